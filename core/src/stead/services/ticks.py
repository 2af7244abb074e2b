"""What becomes due with time. The scheduler only ticks; each tick finds what is due and does it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from stead.services import jobs, retention
from stead.services.core import Core
from stead.services.signin import ending, record
from stead.store import credentials, factors, identity
from stead.store import jobs as job_store

log = logging.getLogger(__name__)

REAP_EVERY = 2.0  # seconds
EXPIRE_EVERY = 60.0
PURGE_EVERY = 900.0
LOOK_UP_EVERY = 5.0
END_REMOVED_EVERY = 5.0
FORGET_PROVISIONERS_AFTER = timedelta(minutes=10)
FORGET_CHALLENGES_AFTER = timedelta(minutes=5)


class Ticks:
    """A running scheduler; ``stop`` ends it."""

    def __init__(self, core: Core) -> None:
        # A directory that hangs holds a thread of its own.
        directories = [one for one in core.identity if one.directory is not None]
        threads = ThreadPoolExecutor(2 + len(directories))
        self._scheduler = BackgroundScheduler(timezone="UTC", executors={"default": threads}, daemon=True)
        self._add(reap, REAP_EVERY, core)
        self._add(expire, EXPIRE_EVERY, core)
        self._add(purge, PURGE_EVERY, core)
        self._add(end_of_removed, END_REMOVED_EVERY, core)
        for one in directories:
            self._add(partial(look_up, name=one.name), LOOK_UP_EVERY, core, f"look_up {one.name}")

    def _add(self, tick: Callable[[Core], None], seconds: float, core: Core, name: str = "") -> None:
        name = name or tick.__name__
        self._scheduler.add_job(
            _guarded, "interval", (tick, name, core), seconds=seconds, max_instances=1, coalesce=True, id=name
        )

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=True)


def start(core: Core) -> Ticks:
    """Begin to tick."""
    ticks = Ticks(core)
    ticks.start()
    return ticks


def _guarded(tick: Callable[[Core], None], name: str, core: Core) -> None:
    try:
        tick(core)
    except Exception:  # boundary: a tick that fails comes again
        log.warning("The tick %s failed; it comes again.", name, exc_info=True)


def reap(core: Core) -> None:
    """Free the jobs whose provisioner was not heard of in time."""
    jobs.reap(core)


def expire(core: Core) -> None:
    """Forget sessions, tokens, challenges and failed logins that are over, and provisioners that left in silence."""
    now = core.clock.now()
    with core.database.write():
        credentials.delete_expired(now, now - timedelta(seconds=core.settings.login_window))
        identity.delete_expired(now, now - FORGET_CHALLENGES_AFTER)
        factors.delete_expired(now)
        job_store.forget_provisioners(now - FORGET_PROVISIONERS_AFTER)
    record.expire(core)


def end_of_removed(core: Core) -> None:
    """End the sessions that came by an identity provider which was taken out of the settings."""
    ending.end_of_removed(core)


def purge(core: Core) -> None:
    """Remove states and logs that are kept no longer."""
    retention.purge(core)


def look_up(core: Core, name: str) -> None:
    """Ask an identity provider about the people who are due: whoever left there has nothing here any more."""
    ending.look_up_at(core, core.identity.get(name))
