"""Keeps the server's provisioner processes running."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from stead.config import Settings

log = logging.getLogger(__name__)

LOOK = 0.5  # seconds between looks at the processes
BACKOFF = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0)  # seconds before the next start, by starts that failed in a row
HEALTHY = 30.0  # seconds after which a start counts as good
# What a provisioner inherits is what its plugins' SDKs may need; the control plane's own secrets are not.
WITHHELD = ("STEAD_", "CODER_", "PG")


@dataclass
class _Child:
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    next_start: float = 0.0


class Supervisor:
    """Starts ``settings.provisioners`` processes, and starts again what dies. ``start`` does not block."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children = [_Child() for _ in range(settings.provisioners)]
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        for child in self._children:
            self._spawn(child)
        self._thread = threading.Thread(target=self._watch, name="stead-supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the processes to end, wait for the grace period, then end them."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + 2 * self._settings.provisioner_grace + 5
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("A provisioner did not end in time and is killed; its builds are taken up again.")
                process.kill()
                process.wait(timeout=10)
            self._close_input(process)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the provisioners that run."""
        return tuple(
            child.process.pid for child in self._children if child.process is not None and child.process.poll() is None
        )

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK):
            for child in self._children:
                self._look_after(child)

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return
            child.failures = 0 if now - child.started > HEALTHY else child.failures + 1
            child.next_start = now + BACKOFF[min(child.failures, len(BACKOFF) - 1)]
            log.warning("A provisioner ended with code %d.", code)
            self._close_input(child.process)
            child.process = None
        if now >= child.next_start:
            self._spawn(child)

    def _spawn(self, child: _Child) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(WITHHELD)}
        process = subprocess.Popen(
            [sys.executable, "-m", "stead.provisioner", "--settings-from-stdin"],
            stdin=subprocess.PIPE,
            env=environment,
            # A terminal's interrupt goes to the server alone, which then ends its provisioners in order.
            start_new_session=True,
        )
        child.process, child.started = process, time.monotonic()
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(self._settings.for_provisioner().dump().encode() + b"\n")
                process.stdin.flush()

    def _close_input(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
