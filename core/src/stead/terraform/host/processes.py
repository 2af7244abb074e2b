"""Finding and ending the process tree of a workspace, without trusting a process number alone.

A number is given out again once its process is gone. A process is therefore known by its number, its start
time (clock ticks since boot) and the boot; see proc(5). What belongs to a workspace is found by the marker
``STEAD_KEY`` in the environment that it was started with, by the session of the first process, and by descent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stead.api.errors import OperationTimedOut

MARKER = "STEAD_KEY"
#: Seconds between two looks at a tree that is ending, and how long killed processes may take to go.
_LOOK = 0.05
_KILLED = 15.0
_GONE_STATES = (b"Z", b"X")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """A process for good: no other one ever has all three."""

    pid: int
    started: int
    boot: str


@dataclass(frozen=True)
class Seen:
    """A process at one look."""

    pid: int
    parent: int
    session: int
    started: int


def boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def alive(identity: Identity | None) -> bool:
    """Whether the very process still runs."""
    if identity is None or identity.boot != boot_id():
        return False
    seen = _look_at(identity.pid)
    return seen is not None and seen.started == identity.started


def tree(key: str, first: Identity | None) -> list[Seen]:
    """All processes of a workspace, the first one and what it started, however far they wandered off."""
    everything = {seen.pid: seen for seen in _all()}
    session = first.pid if first is not None and alive(first) else None
    members = {pid for pid, seen in everything.items() if seen.session == session or _has_marker(pid, key)}
    children: dict[int, list[int]] = {}
    for pid, seen in everything.items():
        children.setdefault(seen.parent, []).append(pid)
    waiting = list(members)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in members:
                members.add(child)
                waiting.append(child)
    members.discard(os.getpid())
    return [everything[pid] for pid in members]


def end(key: str, first: Identity | None, *, grace: float, check: Callable[[], None] = lambda: None) -> None:
    """End a workspace's processes. That there are none is success.

    The first process alone is asked politely, so that it can end the others in its own order. What is left
    when it is gone, or when ``grace`` seconds have passed, is killed; again and again while there is any.

    :raises OperationTimedOut: something could not be killed, such as a process that waits for a dead disk.
    """
    if first is not None and alive(first):
        _signal(Seen(first.pid, 0, 0, first.started), signal.SIGTERM)
        _until(lambda: not alive(first), grace, check)
    if not _until(lambda: not _kill(tree(key, first)), _KILLED, check):
        left = ", ".join(str(seen.pid) for seen in tree(key, first))
        raise OperationTimedOut(f"The processes {left} do not end although they were killed.")


def _kill(members: Iterable[Seen]) -> int:
    """Kill processes; the answer is how many there were."""
    count = 0
    for seen in members:
        _signal(seen, signal.SIGKILL)
        count += 1
    return count


def _signal(seen: Seen, number: signal.Signals) -> None:
    """Signal exactly the process that was seen: the handle is taken first and then compared."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        handle = os.pidfd_open(seen.pid)
        try:
            now = _look_at(seen.pid)
            if now is not None and now.started == seen.started:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _until(done: Callable[[], bool], seconds: float, check: Callable[[], None]) -> bool:
    ends_at = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= ends_at:
            return False
        check()
        time.sleep(_LOOK)
    return True


def _all() -> Iterator[Seen]:
    for name in os.listdir(_PROC):  # noqa: PTH208  (a thousand Path objects for their names alone)
        if name.isdigit():
            seen = _look_at(int(name))
            if seen is not None:
                yield seen


def _look_at(pid: int) -> Seen | None:
    """A process, or ``None`` where it is gone or only its exit code is left."""
    try:
        content = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = content.rpartition(b")")[2].split()
    if fields[0] in _GONE_STATES:
        return None
    return Seen(pid, parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]))


def _has_marker(pid: int, key: str) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except (OSError, ProcessLookupError):
        return False
    return f"{MARKER}={key}".encode() in environment.split(b"\0")
