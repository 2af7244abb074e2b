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
from collections.abc import Callable, Iterable, Iterator, Mapping
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


def tree(key: str, first: Identity | None, known: Iterable[Seen] = ()) -> list[Seen]:
    """All processes of a workspace, however far they wandered off from the first one.

    A session cannot begin outside of the workspace that a process in it belongs to, so whoever shares one with
    a process that bears the marker belongs to the workspace, with a clean environment too.

    :param known: what an earlier look found; it still counts, with what it started since.
    """
    everything = {seen.pid: seen for seen in _all()}
    members = {seen.pid for seen in known if _same(everything.get(seen.pid), seen)}
    members |= {pid for pid in everything if _has_marker(pid, key)}
    sessions = {everything[pid].session for pid in members}
    if first is not None and alive(first):
        sessions.add(first.pid)
    members |= {pid for pid, seen in everything.items() if seen.session in sessions}
    members |= _descendants(members, everything)
    members.discard(os.getpid())
    return [everything[pid] for pid in members]


def end(key: str, first: Identity | None, *, grace: float) -> None:
    """End a workspace's processes. That there are none is success.

    The first process alone is asked politely, so that it can end the others in its own order. What is left
    when it is gone, or when ``grace`` seconds have passed, is killed; again and again while there is any.

    :raises OperationTimedOut: something could not be killed, such as a process that waits for a dead disk.
    """
    found = tree(key, first)  # while the first process is there to show what is its own
    if first is not None and alive(first):
        _signal(Seen(first.pid, 0, 0, first.started), signal.SIGTERM)
        _until(lambda: not alive(first), grace)
    ends_at = time.monotonic() + _KILLED
    while found := tree(key, first, found):
        if time.monotonic() > ends_at:
            left = ", ".join(str(seen.pid) for seen in found)
            raise OperationTimedOut(f"The processes {left} do not end although they were killed.")
        for seen in found:
            _signal(seen, signal.SIGKILL)
        time.sleep(_LOOK)


def _signal(seen: Seen, number: signal.Signals) -> None:
    """Signal exactly the process that was seen: the handle is taken first and then compared."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        handle = os.pidfd_open(seen.pid)
        try:
            if _same(_look_at(seen.pid), seen):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _until(done: Callable[[], bool], seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    while not done() and time.monotonic() < ends_at:
        time.sleep(_LOOK)


def _descendants(members: Iterable[int], everything: Mapping[int, Seen]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, seen in everything.items():
        children.setdefault(seen.parent, []).append(pid)
    found: set[int] = set()
    waiting = list(members)
    while waiting:
        fresh = [child for child in children.get(waiting.pop(), ()) if child not in found]
        found.update(fresh)
        waiting += fresh
    return found


def _same(now: Seen | None, before: Seen) -> bool:
    return now is not None and now.started == before.started


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
