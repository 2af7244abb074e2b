"""``serve``: the entry of the ``stead server`` command."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal

import uvloop

from stead.api.errors import SteadError
from stead.config import Settings
from stead.server.lock import locked
from stead.server.logs import configure_logging
from stead.server.process import ServerProcess
from stead.services.core import Core, close_core, open_core

logger = logging.getLogger(__name__)


def serve(settings: Settings) -> int:
    """Run the control plane until SIGTERM or SIGINT; returns the exit code."""
    configure_logging(settings.log_level, settings.log_format)
    try:
        with locked(settings.data_dir):
            core = open_core(settings)
            try:
                return _run(core)
            finally:
                close_core(core)
    except SteadError as error:
        logger.error("%s", error)
        return 1


def _run(core: Core) -> int:
    # What was loaded so far lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(core))
    return 0


async def _serve(core: Core) -> None:
    process = ServerProcess(core)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.request_stop)
    await process.run()
