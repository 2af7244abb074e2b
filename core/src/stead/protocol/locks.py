"""Files whose lock says that a process lives: the kernel lets go of it when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

POLL = 0.05  # seconds


def take_lock(path: Path) -> IO[str] | None:
    """The open, locked file; ``None`` where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    if path.exists() and path.stat().st_ino == _inode(file):
        return file
    file.close()  # it was removed by its last holder just now
    return take_lock(path)


def await_lock(path: Path, seconds: float) -> IO[str] | None:
    """As :func:`take_lock`, but a holder is waited for."""
    deadline = time.monotonic() + seconds
    while (lock := take_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(POLL)
    return lock


def _inode(file: IO[str]) -> int:
    return Path(f"/proc/self/fd/{file.fileno()}").stat().st_ino
