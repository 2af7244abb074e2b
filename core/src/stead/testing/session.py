"""What one run of the suite shares between its processes: a folder, locks, and background servers.

With ``pytest -n 4`` a session fixture runs four times. A server that all of them use is started once,
under a lock, by whoever needs it first, and is noted in the folder of the run. Each server has a
guardian process that stops it when the run ends, also where the run is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stead.testing.waiting import eventually

CACHE_VARIABLE = "STEAD_TEST_CACHE"
PREFIX = "stead-t-"


def cache_folder() -> Path:
    """Where what takes long to build is kept: ``$STEAD_TEST_CACHE`` or ``~/.cache/stead-tests``."""
    configured = os.environ.get(CACHE_VARIABLE)
    folder = Path(configured) if configured else Path.home() / ".cache" / "stead-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold ``path`` locked against other processes; the kernel frees it if the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Session:
    """The run's own folder. Its path is short, since unix sockets live in it."""

    folder: Path
    controller: int  # process id of the pytest that the person started

    @classmethod
    def create(cls) -> Session:
        _sweep()
        return cls(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")), os.getpid())

    def shared(self, name: str, start: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``start`` returned to the first process of this run that asked for ``name``."""
        note = self.folder / f"{name}.json"
        with file_lock(self.folder / f"{name}.lock"):
            if not note.exists():
                note.write_text(json.dumps(start()))
            found: dict[str, Any] = json.loads(note.read_text())
            return found

    def spawn(self, name: str, command: Sequence[str], stop: signal.Signals = signal.SIGTERM) -> Path:
        """Run ``command`` in the background until the run ends; returns the file that holds its output."""
        log = self.folder / f"{name}.log"
        guardian = [sys.executable, "-m", "stead.testing.guardian", str(self.controller), str(int(stop))]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*guardian, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (self.folder / f"{name}.guardian").write_text(str(process.pid))
        return log

    def close(self) -> None:
        """Stop what was spawned and remove the folder. Called by the controller alone."""
        guardians = [int(file.read_text()) for file in self.folder.glob("*.guardian")]
        for pid in guardians:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in guardians:
            eventually(partial(_gone, pid), timeout=40, what=f"the end of guardian {pid}")
        shutil.rmtree(self.folder, ignore_errors=True)


def _sweep() -> None:
    """Remove the folders of runs that were killed; their guardians have stopped what ran in them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and _gone(int(pid)) and folder.stat().st_uid == os.geteuid():
            shutil.rmtree(folder, ignore_errors=True)


def _gone(pid: int) -> bool:
    """Whether the process has ended; a zombie, whose parent has not asked for it yet, has."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] == "Z"
