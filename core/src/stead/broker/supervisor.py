"""Keeps the provisioner processes of this server running, and answers them."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from stead.api.errors import SteadError
from stead.broker import leftovers
from stead.broker.session import Session
from stead.broker.settings import process_settings
from stead.services import jobs
from stead.services.core import Core

log = logging.getLogger(__name__)

LOOK = 0.5  # seconds between looks at the processes
REAP_EVERY = 5.0  # seconds between looks for dead provisioners on this machine
BACKOFF = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0)  # seconds before the next start, by starts that failed in a row
HEALTHY = 30.0  # seconds after which a start counts as good
FAREWELL = 60.0  # seconds that a process may live on without a connection: Terraform may need some to end
# What a provisioner inherits is what its plugins' SDKs may need; the control plane's own secrets are not.
WITHHELD = ("STEAD_", "CODER_", "PG")


@dataclass
class _Running:
    """A process, and the connection to it."""

    process: subprocess.Popen[bytes]
    session: Session
    started: float
    alone_since: float | None = None


@dataclass
class _Place:
    """Where one process runs at a time."""

    running: _Running | None = None
    failures: int = 0
    next_start: float = 0.0


class Supervisor:
    """Starts ``settings.provisioners`` processes, and starts again what dies. ``start`` does not block."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._places = [_Place() for _ in range(core.settings.provisioners)]
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for place in self._places:
            self._spawn(place)
        for name, look, every in (("supervisor", self._look, LOOK), ("reaper", self._reap, REAP_EVERY)):
            thread = threading.Thread(target=self._repeat, args=(look, every), name=f"stead-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ask the processes to end, wait for the grace period, then end them."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=10)
        running = [place.running for place in self._places if place.running is not None]
        for one in running:
            one.process.terminate()
        deadline = time.monotonic() + 2 * self._core.settings.provisioner_grace + 5
        for one in running:
            try:
                one.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("A provisioner did not end in time and is killed; its builds are taken up again.")
                one.process.kill()
                one.process.wait(timeout=10)
            self._bury(one)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the provisioners that run."""
        running = (place.running for place in self._places)
        return tuple(one.process.pid for one in running if one is not None and one.process.poll() is None)

    def _repeat(self, look: Callable[[], None], every: float) -> None:
        while not self._stopping.wait(every):
            try:
                look()
            except Exception:  # boundary: one look that fails must not end the next
                log.warning("A look at the provisioners failed; it goes on.", exc_info=True)

    def _look(self) -> None:
        for place in self._places:
            self._look_after(place)

    def _look_after(self, place: _Place) -> None:
        now = time.monotonic()
        one = place.running
        if one is not None:
            code = one.process.poll()
            if code is None:
                self._end_what_is_alone(one, now)
                return
            place.running = None
            place.failures = 0 if now - one.started > HEALTHY else place.failures + 1
            place.next_start = now + BACKOFF[min(place.failures, len(BACKOFF) - 1)]
            log.warning("A provisioner ended with code %d.", code)
            self._bury(one)
        if now >= place.next_start:
            self._spawn(place)

    def _end_what_is_alone(self, one: _Running, now: float) -> None:
        """A process without its connection is about to end, or has to."""
        if not one.session.ended.is_set():
            return
        one.alone_since = one.alone_since or now
        if one.session.violated or now - one.alone_since > FAREWELL:
            one.process.kill()

    def _spawn(self, place: _Place) -> None:
        provisioner_id = f"{platform.node()[:80]}-{os.getpid()}-{secrets.token_hex(3)}"
        ours, theirs = socket.socketpair()
        with theirs, leftovers.take_presence(self._core, provisioner_id) as alive:
            passed = (theirs.fileno(), alive.fileno())
            process = subprocess.Popen(
                [sys.executable, "-m", "stead.provisioner", "--link", str(passed[0]), "--alive", str(passed[1])],
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                pass_fds=passed,
                # A terminal's interrupt goes to the server alone, which then ends its provisioners in order.
                start_new_session=True,
            )
        session = Session(self._core, ours, provisioner_id, process_settings(self._core))
        place.running = _Running(process, session, time.monotonic())
        session.start()

    def _environment(self) -> dict[str, str]:
        """What the process may see of the server's: nothing of ours, and the database's address under no name."""
        url = self._core.settings.pg_connection_url
        secret = url.get_secret_value() if url is not None else None
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(WITHHELD) and not (secret and secret in value)
        }

    def _bury(self, one: _Running) -> None:
        """After the end of a process: what it was doing can be taken up at once."""
        one.session.close()
        provisioner_id = one.session.desk.provisioner_id
        try:
            leftovers.harvest_all(self._core)
            jobs.reap_provisioner(self._core, provisioner_id)
        except SteadError as error:
            log.warning("The jobs of a provisioner that ended are taken up later: %s", error)
            return  # whoever looks for dead provisioners finds its file
        with contextlib.suppress(OSError):
            leftovers.presence_file(self._core, provisioner_id).unlink()

    def _reap(self) -> None:
        leftovers.reap_dead(self._core)
        leftovers.harvest_all(self._core)
