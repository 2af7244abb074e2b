"""Waits for the agents' shutdown scripts before a workspace is stopped or deleted."""

from __future__ import annotations

import threading
import time

from stead.domain.states import Transition
from stead.domain.tasks import BuildTask
from stead.provisioner.held import HeldJob
from stead.provisioner.logs import JobLog

LOOK_EVERY = 0.1  # seconds


def wait_for_shutdown_scripts(
    job: HeldJob, task: BuildTask, lines: JobLog, canceled: threading.Event, timeout: float
) -> None:
    """Ask the agents to shut down, and give them ``timeout`` seconds.

    A build that is canceled meanwhile goes on to its next step, which sees it.
    """
    if task.transition is Transition.START:
        return
    agents = job.agents_to_shut_down()
    if not agents:
        return
    lines.say("info", "applying", f"Running the shutdown scripts of {', '.join(agents)}.")
    lines.flush()
    job.shut_down_agents()
    deadline = time.monotonic() + timeout
    while agents := job.agents_to_shut_down():
        if time.monotonic() > deadline:
            lines.say("warn", "applying", f"The shutdown scripts of {', '.join(agents)} did not end in time; going on.")
            return
        if canceled.wait(LOOK_EVERY):
            return
