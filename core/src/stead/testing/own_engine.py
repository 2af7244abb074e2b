"""A Docker engine of a test's own, which it may kill and start again as often as it likes.

It runs in network, process and mount namespaces of its own: its bridge, its rules and its mounts are nowhere else, and
when it is killed all that it started goes with it, as when the power fails.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stead.network.children import die_with
from stead.testing.docker_api import DockerApi
from stead.testing.docker_engine import DAEMON
from stead.testing.left_out import leave_out
from stead.testing.waiting import NeverHappened, eventually

READY_SECONDS = 90.0
END_SECONDS = 60.0
CGROUPS = Path("/sys/fs/cgroup")
NAMESPACES = ("unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
# A private /run, in which pid files and sockets are that would mean another process after a restart.
SCRIPT = "mount -t tmpfs tmpfs /run && ip link set lo up && exec {}"


@dataclass
class OwnEngine:
    """:param folder: empty, and with a short path, as unix sockets are in it."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 'd.sock'}"

    @property
    def group(self) -> str:
        """The control group of its containers."""
        return f"stead-{self.folder.name}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"the engine ended while it started:\n{self.log[-3000:]}")
        with DockerApi(self.url) as api:
            return api.answers()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        (self.folder / "d.sock").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*NAMESPACES, "sh", "-c", SCRIPT.format(shlex.join(self._command()))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509
            )
        eventually(self.answers, READY_SECONDS, what="an engine that answers")

    def _command(self) -> list[str]:
        return [
            DAEMON,
            f"--host={self.url}",
            f"--data-root={self.folder / 'data'}",
            "--exec-root=/run/docker",
            "--pidfile=/run/docker.pid",
            f"--cgroup-parent=/{self.group}",
            "--storage-driver=overlay2",
        ]

    def crash(self) -> None:
        """SIGKILL to the engine and to all that it runs, at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As its service manager would: containers are stopped first."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process = self.process
        if process is None:
            return
        for pid in _children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        process.kill()  # and with it, by --kill-child, whatever is left
        process.wait()
        self.process = None  # not before: a second engine on the same folder would not come up

    def remove(self) -> None:
        self.crash()
        for controller in CGROUPS.glob(f"*/{self.group}"):
            for folder in [*sorted(controller.glob("**/*/"), reverse=True), controller]:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextlib.contextmanager
def own_engine(folder: Path) -> Iterator[OwnEngine]:
    """An engine that runs; nothing of it is left. Leaves the test out, by name, where none can be started."""
    missing = [name for name in (DAEMON, "unshare", "ip") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        leave_out("second Docker engine", f"starting one needs root, {DAEMON}, unshare and ip")
    folder.mkdir(parents=True, exist_ok=True)
    engine = OwnEngine(folder)
    try:
        try:
            engine.start()
        except (AssertionError, NeverHappened) as error:
            leave_out("second Docker engine", " | ".join(str(error).splitlines()[-2:]))
        yield engine
    finally:
        engine.remove()
