"""The record of attempts to sign in: who tried what, from where, what happened, and what became of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from stead.api.errors import NotFound, RateLimited, SteadError, Unavailable
from stead.api.signin import AuthenticationFailed, Step, Trace
from stead.domain import rbac
from stead.domain.records import Actor, Page, SignInAttempt, SignInStep
from stead.services.core import Core
from stead.services.users import page_bounds
from stead.store import signin as store

log = logging.getLogger(__name__)

SUCCEEDED = "succeeded"
REFUSED = "refused"
FAILED = "failed"
UNAVAILABLE = "unavailable"
LIMITED = "limited"
OUTCOMES = (SUCCEEDED, REFUSED, FAILED, UNAVAILABLE, LIMITED)

MOST_STEPS = 60
MOST_ROWS = 200_000
LONGEST_DETAIL = 1000


@dataclass(frozen=True)
class Source:
    """Where somebody signs in from."""

    address: str
    user_agent: str = ""


class Refused(AuthenticationFailed):
    """A rule of Stead's own keeps somebody out whom the provider knows."""


def outcome_of(error: SteadError) -> str:
    if isinstance(error, RateLimited):
        return LIMITED
    if isinstance(error, Unavailable):
        return UNAVAILABLE
    if isinstance(error, Refused) or not isinstance(error, AuthenticationFailed):
        return REFUSED
    return FAILED


def detail_of(error: SteadError) -> str:
    return error.detail if isinstance(error, AuthenticationFailed) else str(error)


def write(
    core: Core,
    provider: str,
    source: Source,
    trace: Trace,
    *,
    outcome: str,
    account: str = "",
    user_id: str | None = None,
    detail: str = "",
) -> None:
    """Add one attempt. What cannot be recorded because the database is away fails nothing else."""
    attempt = SignInAttempt(
        id=0,
        at=core.clock.now(),
        provider=provider[:64],
        outcome=outcome,
        user_id=user_id,
        account=_line(account, 254),
        address=source.address[:64],
        user_agent=_line(source.user_agent, 256),
        detail=_line(detail, LONGEST_DETAIL),
        steps=steps_of(trace.steps),
        seconds=round(max((step.seconds for step in trace.steps), default=0.0), 4),
    )
    try:
        with core.database.write():
            store.insert_attempt(attempt)
    except Unavailable:
        log.warning("an attempt to sign in with %s could not be recorded", provider, exc_info=True)


def write_failure(
    core: Core, provider: str, source: Source, trace: Trace, error: SteadError, account: str = ""
) -> None:
    """Add an attempt that came to nothing."""
    write(core, provider, source, trace, outcome=outcome_of(error), account=account, detail=detail_of(error))


def steps_of(steps: Iterable[Step]) -> tuple[SignInStep, ...]:
    """Steps of a trace, bounded, as they are kept and shown."""
    return tuple(
        SignInStep(_line(step.title, 120), _line(step.detail, LONGEST_DETAIL), step.ok, round(step.seconds, 4))
        for step in islice(steps, MOST_STEPS)
    )


def _line(text: str, longest: int) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:longest])


def list(  # noqa: A001
    core: Core,
    actor: Actor,
    *,
    provider: str = "",
    outcome: str = "",
    search: str = "",
    limit: int = 50,
    offset: int = 0,
) -> Page:
    """The record, newest first."""
    rbac.require(actor, rbac.Resource.AUDIT, rbac.Action.READ)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        items, total = store.attempts(
            provider=provider, outcome=outcome, user_id=None, search=search, limit=limit, offset=offset
        )
    return Page(items=tuple(items), total=total)


def get(core: Core, actor: Actor, number: int) -> SignInAttempt:
    rbac.require(actor, rbac.Resource.AUDIT, rbac.Action.READ)
    with core.database.read():
        found = store.attempt(number)
    if found is None:
        raise NotFound("There is no such attempt.")
    return found


def expire(core: Core) -> None:
    """Forget what is over, and what is older than the record is kept."""
    now = core.clock.now()
    with core.database.write():
        store.delete_expired(now, now - timedelta(seconds=core.settings.sign_in_history), MOST_ROWS)
