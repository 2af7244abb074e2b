"""``stead-agent agent``: the agent's process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import uvloop

from stead_agent.agent import run_agent
from stead_agent.errors import AgentError
from stead_agent.first_process import run_below_reaper
from stead_agent.log import log, set_up_logging
from stead_agent.oom import protection
from stead_agent.settings import read_settings


def main(arguments: Sequence[str]) -> int:
    """Run the agent until it is told to stop. As the first process of a container, stay its reaper."""
    del arguments
    first = os.getpid() == 1
    code = run_below_reaper() if first else None
    if code is not None:
        return code
    set_up_logging()
    try:
        settings = replace(read_settings(os.environ), owns_container=first)
    except (AgentError, OSError) as error:
        print(f"stead-agent: {error}", file=sys.stderr)
        return 2
    _name_process()
    protection.protect()
    gc.freeze()
    try:
        return run_agent(settings, uvloop.new_event_loop)
    except (AgentError, asyncio.CancelledError) as error:
        log.error("%s", error)
        return 1


def _name_process() -> None:
    """Processes are named after the program's file, which in a bundle is the ELF loader."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("stead-agent", encoding="ascii")
