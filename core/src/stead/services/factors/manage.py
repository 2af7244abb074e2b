"""Setting second factors up and taking them away. Each change needs the password again."""

from __future__ import annotations

import base64
import secrets as random
from dataclasses import dataclass, field

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotAuthenticated, NotFound
from stead.domain import names, rbac
from stead.domain.records import Actor, Factor, User
from stead.services import authentication, users
from stead.services.core import Change, Core, new_id
from stead.services.factors import codes, demand, passkeys, steps
from stead.services.factors.second import CHALLENGE_BYTES, PASSKEY, TOTP
from stead.services.factors.steps import Purpose
from stead.store import factors as store

MOST = 20
LONGEST_NAME = 64


@dataclass(frozen=True)
class Factors:
    """What an account has. ``recovery_codes`` is how many are left."""

    items: tuple[Factor, ...]
    recovery_codes: int


@dataclass(frozen=True)
class NewTotp:
    """A device that is being set up: ``step`` comes back with its first code."""

    step: str = field(repr=False)
    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True)
class NewPasskey:
    step: str = field(repr=False)
    options: str = field(repr=False)


@dataclass(frozen=True)
class Added:
    """``recovery_codes`` are shown here and never again; empty where there were some already."""

    factor: Factor
    recovery_codes: tuple[str, ...] = field(repr=False)


def overview(core: Core, actor: Actor, ref: str = "me") -> Factors:
    """What somebody has set up; of others where the actor may see them."""
    user = users.get(core, actor, ref)
    with core.database.read():
        return Factors(tuple(one.factor for one in store.of(user.id)), store.codes_left(user.id))


def begin_totp(core: Core, actor: Actor, password: str) -> NewTotp:
    """A new secret for a device; it counts for nothing until a code of it was seen."""
    user = _prove(core, actor, password)
    _bounded(core, user)
    secret = codes.new_secret()
    step = steps.begin(core, Purpose.ADD_TOTP, user.id, {"secret": secret})
    return NewTotp(step, secret, codes.uri(secret, user.username, passkeys.site(core).host))


def pending_totp(core: Core, actor: Actor, step_secret: str) -> NewTotp:
    """The device that is being set up, for showing it again."""
    step = steps.look(core, Purpose.ADD_TOTP, step_secret)
    _own(step, actor)
    secret = step.content["secret"]
    return NewTotp(step_secret, secret, codes.uri(secret, actor.username, passkeys.site(core).host))


def confirm_totp(core: Core, actor: Actor, step_secret: str, code: str, name: str) -> Added:
    """The device has shown its first code."""
    step = steps.look(core, Purpose.ADD_TOTP, step_secret)
    _own(step, actor)
    name = check_name(name, "Authenticator")
    steps.count_try(core, step)
    at = core.clock.now()
    counter = codes.matching_step(step.content["secret"], code, at, after=0)
    if counter is None:
        raise InvalidInput("The code is wrong.", field="code", remedy="Check that the device's clock is right.")
    steps.finish(core, step)
    factor = Factor(new_id(), actor.user_id, TOTP, name, at)
    sealed = codes.seal(core, factor.id, step.content["secret"])
    return _insert(core, actor, store.StoredFactor(factor, sealed, "", counter, verifies_user=False))


def begin_passkey(core: Core, actor: Actor, password: str) -> NewPasskey:
    """Options for the browser's authenticator.

    :raises Conflict: this deployment's address allows none.
    """
    user = _prove(core, actor, password)
    why_not = passkeys.site(core).why_not
    if why_not:
        raise Conflict(why_not, remedy="Set access_url to an https address with a name.")
    _bounded(core, user)
    challenge = random.token_bytes(CHALLENGE_BYTES)
    step = steps.begin(core, Purpose.ADD_PASSKEY, user.id, {"challenge": base64.b64encode(challenge).decode()})
    return NewPasskey(step, passkeys.options_to_add(core, user.id, user.username, user.name, challenge))


def confirm_passkey(core: Core, actor: Actor, step_secret: str, answer: str, name: str) -> Added:
    """The browser has made a passkey."""
    step = steps.look(core, Purpose.ADD_PASSKEY, step_secret)
    _own(step, actor)
    name = check_name(name, "Passkey")
    steps.count_try(core, step)
    made = passkeys.added(core, answer, base64.b64decode(step.content["challenge"]))
    steps.finish(core, step)
    factor = Factor(new_id(), actor.user_id, PASSKEY, name, core.clock.now())
    return _insert(
        core,
        actor,
        store.StoredFactor(factor, made.public_key, made.credential, made.count, verifies_user=made.verifies_user),
    )


def remove(core: Core, actor: Actor, factor_id: str, password: str) -> None:
    """Take one away; with the last one go the recovery codes."""
    user = _prove(core, actor, password)
    with core.change(actor) as change:
        core.database.lock("users")
        mine = store.of(user.id)
        found = next((one.factor for one in mine if one.factor.id == factor_id), None)
        if found is None:
            raise NotFound("There is no such second factor.")
        if len(mine) == 1 and demand.demanded(core, user):
            raise Conflict(
                "This is your last second factor, and this deployment asks for one.", remedy="Add another one first."
            )
        store.delete(found.id)
        if len(mine) == 1:
            store.delete_all(user.id)
        change.record("removed second factor", "user", user.id, user.username, before=_audited(found))


def new_recovery_codes(core: Core, actor: Actor, password: str) -> tuple[str, ...]:
    """Ten new codes; the old ones are worth nothing any more."""
    user = _prove(core, actor, password)
    made = codes.new_recovery_codes()
    with core.change(actor) as change:
        core.database.lock("users")
        if not store.of(user.id):
            raise Conflict("There is no second factor to recover.", remedy="Set one up first.")
        store.replace_codes(user.id, codes.digests(made))
        change.record("made recovery codes", "user", user.id, user.username)
    return made


def reset(core: Core, actor: Actor, ref: str) -> int:
    """Take all of somebody's away, who has lost them; returns how many there were.

    :raises Forbidden: one's own, which take the password: whoever finds an open session must not get rid of them.
    """
    user = users.get(core, actor, ref)
    users.require_any(actor, rbac.Action.UPDATE)
    if user.id == actor.user_id:
        raise Forbidden(
            "Your own second factors are removed with your password.",
            remedy="Remove them in your settings, or ask another administrator.",
        )
    with core.change(actor) as change:
        user = users.held(core, actor, user)
        count = store.delete_all(user.id)
        if count:
            change.record("reset second factors", "user", user.id, user.username, before={"factors": count})
    return count


def _insert(core: Core, actor: Actor, stored: store.StoredFactor) -> Added:
    with core.change(actor) as change:
        core.database.lock("users")
        return Added(stored.factor, add(change, actor, stored))


def add(change: Change, actor: Actor, stored: store.StoredFactor) -> tuple[str, ...]:
    """Within a transaction that holds the lock ``users``: keep it; returns the recovery codes that were made for it."""
    made: tuple[str, ...] = ()
    if not store.insert(stored):
        raise Conflict("This passkey is in use already.", field="passkey", remedy="Choose another one.")
    if not store.codes_left(actor.user_id):
        made = codes.new_recovery_codes()
        store.replace_codes(actor.user_id, codes.digests(made))
    change.record("added second factor", "user", actor.user_id, actor.username, after=_audited(stored.factor))
    return made


def _audited(factor: Factor) -> dict[str, object]:
    return {"kind": factor.kind, "name": factor.name}


def _prove(core: Core, actor: Actor, password: str) -> User:
    """The actor's account, where this is its password.

    :raises InvalidInput: it is not.
    :raises Conflict: the account has none.
    """
    user = users.get(core, actor, actor.user_id)
    if user.provider:
        raise Conflict(
            f"You sign in with {user.provider}, which asks for second factors itself.",
            remedy="Set them up there.",
        )
    try:
        return authentication.verify_password(core, user.username, password, actor.address)
    except NotAuthenticated as error:
        raise InvalidInput("The password is wrong.", field="password") from error


def _bounded(core: Core, user: User) -> None:
    with core.database.read():
        count = len(store.of(user.id))
    if count >= MOST:
        raise Conflict(f"You have {count} second factors; no more are kept.", remedy="Remove one first.")


def _own(step: steps.Step, actor: Actor) -> None:
    if step.user_id != actor.user_id:
        raise NotAuthenticated("This took too long, or was done already.", remedy="Begin again.")


def check_name(name: str, otherwise: str) -> str:
    """A factor's name, or what it is called otherwise."""
    return names.check_text(name.strip() or otherwise, "name", LONGEST_NAME)
