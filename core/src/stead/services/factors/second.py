"""The second step of signing in with a password, and signing in with a passkey alone."""

from __future__ import annotations

import base64
import secrets as random
from dataclasses import dataclass
from typing import NoReturn

from stead.api.errors import Forbidden, NotAuthenticated, SteadError
from stead.api.signin import Trace
from stead.domain.records import User
from stead.services import authentication
from stead.services.core import Core
from stead.services.factors import codes, passkeys, steps
from stead.services.factors.steps import Purpose, Step
from stead.services.signin import passwords, record
from stead.services.signin.proof import Proof
from stead.services.signin.record import Source
from stead.store import factors as store
from stead.store import users

CHALLENGE_BYTES = 32
WRONG_CODE = "The code is wrong, or was used already."
TOTP, PASSKEY = "totp", "passkey"


class SecondFactorRequired(NotAuthenticated):
    """The password was right, and is not enough."""

    reason = "second_factor_required"


@dataclass(frozen=True)
class Waiting:
    """Who has to show something more, and what they have. ``options`` is empty where they have no passkey here."""

    user: User
    kinds: frozenset[str]
    options: str


def kinds_of(core: Core, user: User) -> frozenset[str]:
    """The kinds of second factors that a user has set up; empty for accounts of providers, which have their own."""
    if user.provider:
        return frozenset()
    with core.database.read():
        return frozenset(one.factor.kind for one in store.of(user.id))


def needed(core: Core, proof: Proof) -> bool:
    """Whether a proof is not enough yet."""
    return not proof.provider and bool(kinds_of(core, proof.user))


def wait(core: Core, proof: Proof) -> str:
    """Let whoever knew the password wait for the rest; returns the secret for their browser."""
    return steps.begin(core, Purpose.SIGN_IN, proof.user.id, {"challenge": _new_challenge()})


def waiting(core: Core, secret: str | None) -> Waiting:
    """Who waits behind a secret.

    :raises NotAuthenticated: nobody, any more.
    """
    step = steps.look(core, Purpose.SIGN_IN, secret)
    user = user_behind(core, step.user_id)
    kinds = kinds_of(core, user)
    usable = PASSKEY in kinds and not passkeys.site(core).why_not
    options = passkeys.options_to_show(core, user.id, _challenge(step)) if usable else ""
    return Waiting(user, kinds, options)


def answer_code(core: Core, secret: str | None, code: str, source: Source) -> Proof:
    """Somebody waits, and gives a code of their device or a recovery code."""
    step = steps.look(core, Purpose.SIGN_IN, secret)
    user = user_behind(core, step.user_id)
    steps.count_try(core, step)
    check_code(core, user, code, source)
    steps.finish(core, step)
    return Proof(user)


def check_code(core: Core, user: User, code: str, source: Source) -> None:
    """Nothing, where a user's code is right; it is used up then.

    :raises RateLimited: too many wrong ones.
    :raises NotAuthenticated: a wrong one.
    """
    trace = Trace(core.clock.monotonic)
    account = _account(user)
    authentication.slow_down(core, account, source.address)
    if _is_right(core, user, code, trace):
        authentication.forget_failures(core, account, user)
        _record(core, user, source, trace)
        return
    trace.note("Second factor", "wrong code", ok=False)
    _refuse(core, user, source, trace, NotAuthenticated(WRONG_CODE))


def answer_passkey(core: Core, secret: str | None, answer: str, source: Source) -> Proof:
    """Somebody waits, and shows one of their passkeys."""
    step = steps.look(core, Purpose.SIGN_IN, secret)
    user = user_behind(core, step.user_id)
    steps.count_try(core, step)
    trace = Trace(core.clock.monotonic)
    authentication.slow_down(core, _account(user), source.address)
    try:
        passkeys.shown(core, _passkey(core, answer, user.id), answer, _challenge(step), sole=False)
    except NotAuthenticated as error:
        trace.note("Second factor", "the passkey does not hold", ok=False)
        _refuse(core, user, source, trace, error)
    steps.finish(core, step)
    trace.note("Second factor", "a passkey")
    authentication.forget_failures(core, _account(user), user)
    _record(core, user, source, trace)
    return Proof(user)


def begin_passkey(core: Core) -> tuple[str, str]:
    """For signing in with a passkey alone: the secret for the browser, and the options for its authenticator."""
    challenge = _new_challenge()
    secret = steps.begin(core, Purpose.PASSKEY, None, {"challenge": challenge})
    return secret, passkeys.options_to_show(core, None, _bytes(challenge))


def finish_passkey(core: Core, secret: str | None, answer: str, source: Source) -> Proof:
    """Whose passkey it is that was shown.

    :raises NotAuthenticated: nobody's who may sign in so.
    """
    step = steps.look(core, Purpose.PASSKEY, secret)
    trace = Trace(core.clock.monotonic)
    authentication.slow_down(core, _stranger(source), source.address)
    steps.finish(core, step)
    user: User | None = None
    try:
        stored = _passkey(core, answer, None)
        user = user_behind(core, stored.factor.user_id)
        if user.provider or not passwords.may_use(core, user):
            raise NotAuthenticated(passkeys.REFUSED)
        passkeys.shown(core, stored, answer, _challenge(step), sole=True)
    except (NotAuthenticated, Forbidden) as error:
        trace.note("Passkey", "does not hold", ok=False)
        _refuse(core, user, source, trace, error)
    trace.note("Passkey", "of an authenticator that made sure of the person")
    _record(core, user, source, trace)
    return Proof(user)


def _is_right(core: Core, user: User, code: str, trace: Trace) -> bool:
    with core.database.read():
        devices = [one for one in store.of(user.id) if one.factor.kind == TOTP]
    if any(codes.check_totp(core, device, code) for device in devices):
        trace.note("Second factor", "a code of a device")
        return True
    if codes.use_recovery_code(core, user.id, code):
        trace.note("Second factor", "a recovery code")
        return True
    return False


def _passkey(core: Core, answer: str, user_id: str | None) -> store.StoredFactor:
    credential = passkeys.credential_of(answer)
    with core.database.read():
        stored = store.by_credential(credential) if credential else None
    if stored is None or (user_id is not None and stored.factor.user_id != user_id):
        raise NotAuthenticated(passkeys.REFUSED)
    return stored


def user_behind(core: Core, user_id: str | None) -> User:
    """The account of a step, while it can be used."""
    with core.database.read():
        user = users.by_id(user_id) if user_id else None
    if user is None or user.status != "active":
        raise NotAuthenticated("This account cannot be used.")
    return user


def _account(user: User) -> str:
    """Counts apart from passwords: a right password must not make guesses at the code free again."""
    return f"factor:{user.id}"


def _stranger(source: Source) -> str:
    return f"passkey:{source.address}"


def _record(core: Core, user: User, source: Source, trace: Trace) -> None:
    record.write(core, passwords.LOCAL, source, trace, outcome=record.SUCCEEDED, account=user.username, user_id=user.id)


def _refuse(core: Core, user: User | None, source: Source, trace: Trace, error: SteadError) -> NoReturn:
    """Count and record a failure, and raise it."""
    authentication.note_failure(core, _account(user) if user else _stranger(source), source.address, user)
    record.write_failure(core, passwords.LOCAL, source, trace, error, user.username if user else "")
    raise error


def _new_challenge() -> str:
    return base64.b64encode(random.token_bytes(CHALLENGE_BYTES)).decode()


def _challenge(step: Step) -> bytes:
    return _bytes(step.content["challenge"])


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
