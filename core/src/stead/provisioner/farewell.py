"""Waits for the agents' shutdown scripts before a workspace is stopped or deleted."""

from __future__ import annotations

import threading

from stead.domain.states import Transition
from stead.provisioner.logs import JobLog
from stead.services import shutdown
from stead.services.core import Core
from stead.services.work import BuildWork

LOOK_EVERY = 0.1  # seconds


def wait_for_shutdown_scripts(core: Core, work: BuildWork, lines: JobLog, canceled: threading.Event) -> None:
    """Ask the agents to shut down, and give them the time that the settings say.

    A build that is canceled meanwhile goes on to its next step, which sees it.
    """
    if work.transition is Transition.START:
        return
    agents = shutdown.outstanding(core, work.workspace_id)
    if not agents:
        return
    lines.say("info", "applying", f"Running the shutdown scripts of {', '.join(a.name for a in agents)}.")
    lines.flush()
    shutdown.request(core, work.workspace_id)
    deadline = core.clock.monotonic() + core.settings.agent_shutdown_timeout
    while agents := shutdown.outstanding(core, work.workspace_id):
        if core.clock.monotonic() > deadline:
            late = ", ".join(agent.name for agent in agents)
            lines.say("warn", "applying", f"The shutdown scripts of {late} did not end in time; going on.")
            return
        if canceled.wait(LOOK_EVERY):
            return
