"""The duties of a container's first process: pass signals on and reap whatever is orphaned."""

from __future__ import annotations

import os
import signal

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_below_reaper() -> int | None:
    """Fork. The child gets ``None`` and goes on as the agent; the parent reaps until the child has ended.

    :returns: in the parent the child's exit code.
    """
    child = os.fork()
    if child == 0:
        return None
    for number in PASSED_ON:
        signal.signal(number, lambda received, _frame: _pass_on(child, received))
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _pass_on(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return
