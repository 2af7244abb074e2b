"""What is kept for how long: states that newer ones replaced, and logs of builds that newer ones followed.

Nothing that a workspace still needs is ever old: its newest state, the log of its last build and of the agents of its
last start stay as long as it does. Who did what is not touched: builds and the audit log stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from stead.services.core import Core
from stead.store import retention as store

log = logging.getLogger(__name__)

AT_ONCE = 50  # in one transaction: on SQLite nobody else writes meanwhile
MOST_ROUNDS = 200  # in one tick


def purge(core: Core) -> dict[str, int]:
    """Remove what the settings keep no longer; returns how much of what."""
    removed = {
        "states": _in_rounds(lambda: _purge_states(core)),
        "build logs": _in_rounds(lambda: _purge_job_logs(core)),
        "agent logs": _in_rounds(lambda: _purge_agent_logs(core)),
    }
    if any(removed.values()):
        log.info("removed what is kept no longer: %s", ", ".join(f"{n} {what}" for what, n in removed.items() if n))
    return removed


def _in_rounds(one_round: Callable[[], int]) -> int:
    total = 0
    for _ in range(MOST_ROUNDS):
        removed = one_round()
        total += removed
        if removed < AT_ONCE:
            break
    return total


def _purge_states(core: Core) -> int:
    before = core.clock.now() - timedelta(seconds=core.settings.state_retention)
    with core.database.read():
        found = store.replaced_states(before, AT_ONCE)
    if found:
        with core.database.write():
            store.delete_states(found)
    return len(found)


def _purge_job_logs(core: Core) -> int:
    now = core.clock.now()
    before = now - timedelta(seconds=core.settings.log_retention)
    with core.database.read():
        found = store.old_job_logs(before, AT_ONCE)
    if found:
        text = f"This log was removed on {now:%Y-%m-%d}: logs are kept for {_days(core.settings.log_retention)}."
        with core.database.write():
            store.delete_job_logs(found, now, text)
    return len(found)


def _purge_agent_logs(core: Core) -> int:
    before = core.clock.now() - timedelta(seconds=core.settings.log_retention)
    with core.database.read():
        found = store.old_agent_logs(before, AT_ONCE)
    if found:
        with core.database.write():
            store.delete_agent_logs(found)
    return len(found)


def _days(seconds: float) -> str:
    days = seconds / 86400
    return f"{days:g} day{'' if days == 1 else 's'}"
