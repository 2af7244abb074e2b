"""Steps that wait: for a code, for a passkey, or for the end of setting one up.

The browser holds the secret of a step, the database its hash; what the step has to remember is sealed. A step is good
for one purpose, five minutes and five tries, and for one success.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from stead.api.errors import NotAuthenticated, RateLimited
from stead.services import secrets
from stead.services.core import Core, new_id
from stead.store import factors as store

LIFE = timedelta(minutes=5)
MOST_TRIES = 5
MOST_WAITING = 20  # of one person and purpose
MOST_STRANGERS = 5000  # of people who have not said who they are


class Purpose(StrEnum):
    SIGN_IN = "sign-in"
    PASSKEY = "passkey"
    ADD_TOTP = "add-totp"
    ADD_PASSKEY = "add-passkey"
    ENROL = "enrol"


@dataclass(frozen=True)
class Step:
    id: str
    user_id: str | None
    content: Mapping[str, str] = field(repr=False)


def begin(
    core: Core, purpose: Purpose, user_id: str | None, content: Mapping[str, str], *, life: timedelta = LIFE
) -> str:
    """Let somebody wait; returns the secret for their browser.

    :raises RateLimited: too many wait already.
    """
    now, step_id = core.clock.now(), new_id()
    secret, digest = secrets.make(step_id)
    sealed = core.keyring.seal(_seal(step_id), json.dumps(dict(content)).encode())
    waiting = store.StoredStep(step_id, purpose.value, digest, user_id, sealed, 0, now, now + life)
    with core.database.write():
        store.delete_expired(now)
        if store.waiting(user_id, purpose.value) >= (MOST_STRANGERS if user_id is None else MOST_WAITING):
            raise RateLimited("Too many sign-ins are under way.", remedy="Try again in 5 minutes.")
        store.insert_step(waiting)
    return secret


def look(core: Core, purpose: Purpose, secret: str | None) -> Step:
    """What waits behind a secret.

    :raises NotAuthenticated: nothing does, any more.
    """
    parts = secrets.split(secret or "")
    with core.database.read():
        found = store.step(parts[0]) if parts else None
    good = (
        parts is not None
        and found is not None
        and secrets.matches(parts[1], found.secret_hash)
        and found.purpose == purpose.value
        and found.expires_at > core.clock.now()
    )
    if not good or found is None:
        raise _over()
    return Step(found.id, found.user_id, json.loads(core.keyring.open(_seal(found.id), found.sealed)))


def count_try(core: Core, step: Step) -> None:
    """Before a try.

    :raises NotAuthenticated: there were too many.
    """
    with core.database.write():
        free = store.count_try(step.id, MOST_TRIES)
    if not free:
        raise _over("There were too many wrong answers.")


def finish(core: Core, step: Step) -> None:
    """After a success.

    :raises NotAuthenticated: somebody else was first with the same secret.
    """
    with core.database.write():
        taken = store.take_step(step.id)
    if not taken:
        raise _over()


def _over(why: str = "This took too long, or was done already.") -> NotAuthenticated:
    return NotAuthenticated(why, remedy="Begin again.")


def _seal(step_id: str) -> str:
    return f"factor-step:{step_id}"
