"""What becomes due with time. The scheduler only ticks; each tick finds what is due and does it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from stead.services import jobs
from stead.services.core import Core
from stead.services.signin import ending, record
from stead.store import credentials, factors, identity
from stead.store import jobs as job_store

log = logging.getLogger(__name__)

REAP_EVERY = 2.0  # seconds
EXPIRE_EVERY = 60.0
LOOK_UP_EVERY = 5.0
FORGET_PROVISIONERS_AFTER = timedelta(minutes=10)
FORGET_CHALLENGES_AFTER = timedelta(minutes=5)


class Ticks:
    """A running scheduler; ``stop`` ends it."""

    def __init__(self, core: Core) -> None:
        self._scheduler = BackgroundScheduler(timezone="UTC", executors={"default": ThreadPoolExecutor(3)}, daemon=True)
        self._add(reap, REAP_EVERY, core)
        self._add(expire, EXPIRE_EVERY, core)
        if any(one.directory is not None for one in core.identity):
            self._add(look_up, LOOK_UP_EVERY, core)

    def _add(self, tick: Callable[[Core], None], seconds: float, core: Core) -> None:
        self._scheduler.add_job(
            _guarded, "interval", (tick, core), seconds=seconds, max_instances=1, coalesce=True, id=tick.__name__
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


def _guarded(tick: Callable[[Core], None], core: Core) -> None:
    try:
        tick(core)
    except Exception:  # boundary: a tick that fails comes again
        log.warning("The tick %s failed; it comes again.", tick.__name__, exc_info=True)


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


def look_up(core: Core) -> None:
    """Ask identity providers about the people who are due: whoever left there has nothing here any more."""
    ending.look_up_due(core)
