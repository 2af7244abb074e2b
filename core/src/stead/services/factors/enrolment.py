"""Setting up the first second factor on the way in, where one is demanded: between the password and the session.

What waits is good for one browser, one account, a quarter of an hour and five tries. It was begun with a password
alone, so it adds the first factor of an account and never a further one.
"""

from __future__ import annotations

import base64
import secrets as random
from dataclasses import dataclass, field
from datetime import timedelta

from stead.api.errors import InvalidInput, NotAuthenticated
from stead.domain.records import Actor, Factor, User
from stead.services import rights
from stead.services.core import Core, new_id
from stead.services.factors import codes, manage, passkeys, steps
from stead.services.factors.second import CHALLENGE_BYTES, PASSKEY, TOTP, user_behind
from stead.services.factors.steps import Purpose
from stead.services.signin.proof import Proof
from stead.store import credentials
from stead.store import factors as store

LIFE = timedelta(minutes=15)  # whoever has no authenticator yet installs one meanwhile


@dataclass(frozen=True)
class Enrolling:
    """Who sets one up, and with what. ``options`` is empty where there can be no passkeys."""

    user: User
    secret: str = field(repr=False)
    uri: str = field(repr=False)
    options: str = field(repr=False)


@dataclass(frozen=True)
class Enrolled:
    """The proof is complete now; ``recovery_codes`` are shown here and never again."""

    proof: Proof
    factor: Factor
    recovery_codes: tuple[str, ...] = field(repr=False)


def begin(core: Core, proof: Proof) -> str:
    """Let whoever knew the password set one up; returns the secret for their browser."""
    challenge = base64.b64encode(random.token_bytes(CHALLENGE_BYTES)).decode()
    content = {"secret": codes.new_secret(), "challenge": challenge}
    return steps.begin(core, Purpose.ENROL, proof.user.id, content, life=LIFE)


def waiting(core: Core, step_secret: str | None) -> Enrolling:
    """Who waits behind a secret.

    :raises NotAuthenticated: nobody, any more.
    """
    step = steps.look(core, Purpose.ENROL, step_secret)
    user = user_behind(core, step.user_id)
    site, secret = passkeys.site(core), step.content["secret"]
    challenge = base64.b64decode(step.content["challenge"])
    options = "" if site.why_not else passkeys.options_to_add(core, user.id, user.username, user.name, challenge)
    return Enrolling(user, secret, codes.uri(secret, user.username, site.host), options)


def confirm_totp(core: Core, step_secret: str | None, code: str, name: str, address: str) -> Enrolled:
    """The authenticator has shown its first code.

    :raises InvalidInput: a wrong one.
    :raises NotAuthenticated: too late, or the account has a second factor by now.
    """
    step = steps.look(core, Purpose.ENROL, step_secret)
    user = user_behind(core, step.user_id)
    name = manage.check_name(name, "Authenticator")
    steps.count_try(core, step)
    at = core.clock.now()
    counter = codes.matching_step(step.content["secret"], code, at, after=0)
    if counter is None:
        raise InvalidInput("The code is wrong.", field="code", remedy="Check that the device's clock is right.")
    steps.finish(core, step)
    factor = Factor(new_id(), user.id, TOTP, name, at)
    sealed = codes.seal(core, factor.id, step.content["secret"])
    return _add(core, user, store.StoredFactor(factor, sealed, "", counter, verifies_user=False), address)


def confirm_passkey(core: Core, step_secret: str | None, answer: str, name: str, address: str) -> Enrolled:
    """The browser has made a passkey."""
    step = steps.look(core, Purpose.ENROL, step_secret)
    user = user_behind(core, step.user_id)
    name = manage.check_name(name, "Passkey")
    steps.count_try(core, step)
    made = passkeys.added(core, answer, base64.b64decode(step.content["challenge"]))
    steps.finish(core, step)
    factor = Factor(new_id(), user.id, PASSKEY, name, core.clock.now())
    stored = store.StoredFactor(factor, made.public_key, made.credential, made.count, verifies_user=made.verifies_user)
    return _add(core, user, stored, address)


def _add(core: Core, user: User, stored: store.StoredFactor, address: str) -> Enrolled:
    actor = Actor(user.id, user.username, user.roles, address=address)
    with core.change(actor) as change:
        core.database.lock("users")
        # A password alone must not stand beside a factor that somebody has set up in the meantime.
        if store.has_one(user.id):
            raise NotAuthenticated("This account has a second factor by now.", remedy="Sign in with it.")
        made = manage.add(change, actor, stored)
        # They were opened with a password alone.
        credentials.delete_sessions_of(user.id)
        rights.look_again(change, user.id)
    return Enrolled(Proof(user), stored.factor, made)
