"""The clockwork: looks for what is due, and hands it to services. It does no work itself."""

from __future__ import annotations

import logging
from collections.abc import Callable

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from stead.services import jobs
from stead.services.core import Core

logger = logging.getLogger(__name__)

REAP_SECONDS = 5


def start_ticks(core: Core) -> BackgroundScheduler:
    """Start ticking in a thread of its own; ``shutdown()`` of what is returned ends it."""
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(2)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60},
        timezone="UTC",
    )
    scheduler.add_job(_guarded(core, jobs.reap), "interval", seconds=REAP_SECONDS, id="reap jobs")
    scheduler.start()
    return scheduler


def _guarded(core: Core, tick: Callable[[Core], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            tick(core)
        except Exception:  # boundary: one tick; the next one tries again
            logger.exception("the tick %s failed", tick.__name__)

    return run
