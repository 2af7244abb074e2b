"""``python -m stead.testing.guardian PID SIGNAL COMMAND...``: run a server no longer than process PID lives.

A test run that is killed cannot stop what it started. The guardian can: it sleeps until its server
ends, it is told to stop, or the process that it watches is gone, and then stops the server.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

GRACE = 30.0  # seconds between the polite signal and the other one


def _wait(server: subprocess.Popen[bytes], watched: int, woken: int) -> None:
    """Return when the server or the watched process ended, or a signal arrived."""
    poller = select.poll()
    for descriptor in (os.pidfd_open(server.pid), watched, woken):
        poller.register(descriptor, select.POLLIN)
    poller.poll()


def _stop(server: subprocess.Popen[bytes], number: int) -> None:
    server.send_signal(number)
    try:
        server.wait(GRACE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def main(arguments: list[str]) -> int:
    watched_pid, number, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    for caught in (signal.SIGTERM, signal.SIGINT):
        signal.signal(caught, lambda *_: None)
    signal.set_wakeup_fd(wake)
    try:
        watched = os.pidfd_open(watched_pid)
    except ProcessLookupError:
        return 1
    server = subprocess.Popen(command)
    _wait(server, watched, woken)
    _stop(server, number)
    return server.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
