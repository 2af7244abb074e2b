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

from stead_agent.agent import REVOKED, run_agent
from stead_agent.errors import AgentError
from stead_agent.first_process import run_below_reaper
from stead_agent.log import log, set_up_logging
from stead_agent.oom import protection
from stead_agent.proof.session import SessionFile, prove_until_taken
from stead_agent.settings import AgentSettings, choose_run_dir, read_settings


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
        code = _run_proven(settings) if settings.proves else run_agent(settings, uvloop.new_event_loop)
        return 0 if code == REVOKED else code
    except (AgentError, asyncio.CancelledError) as error:
        log.error("%s", error)
        return 1


def _run_proven(settings: AgentSettings) -> int:
    """Run the agent in sessions that the machine proves to be worthy of.

    A session ends with its build. The machine may well go on, as it holds nothing that a new build would change: then
    it proves itself again, and is the agent of the next build, in a folder of that one's own.
    """
    kept = SessionFile(settings.run_dir)
    while True:
        session = kept.load()
        if session is None:
            session = prove_until_taken(settings.url, settings.auth, settings.metadata_url)
            kept.save(session)
        run_dir = choose_run_dir(os.environ, session.agent_id)
        code = run_agent(replace(settings, token=session.token, run_dir=run_dir), uvloop.new_event_loop)
        if code != REVOKED:
            return code
        kept.forget()


def _name_process() -> None:
    """Processes are named after the program's file, which in a bundle is the ELF loader."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("stead-agent", encoding="ascii")
