"""Moves bytes between descriptors and whoever wants them, without a task or a copy more than needed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Callable

CHUNK = 256 * 1024
HIGH_WATER = 1024 * 1024
USUAL_PIPE = 64 * 1024
WIDE_PIPE = 1024 * 1024


def widen(fd: int) -> None:
    """Give a pipe that has run full the room that spares wake-ups.

    Not from the start: a user has 64 MB for all pipes on a machine, and beyond that each new one, of whatever
    process, gets next to nothing.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, WIDE_PIPE)


class FdReader:
    """Reads a descriptor as long as it is not paused; closes it at its end.

    A terminal whose last process has gone ends with an error, which counts as an end.
    """

    def __init__(self, fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._fd = fd
        self._on_data = on_data
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._reading = False
        self._widened = False
        self._finish_when_empty = False
        self.ended = False

    def start(self) -> None:
        if not self._reading and not self.ended:
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def finish_when_empty(self) -> None:
        """Treat "nothing there right now" as the end: the process has gone, others may keep the descriptor open."""
        self._finish_when_empty = True
        while self._reading and not self.ended:
            self._readable()

    def close(self) -> None:
        self.pause()
        if not self.ended:
            self.ended = True
            os.close(self._fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            if not self._finish_when_empty:
                return
            data = b""
        except OSError:
            data = b""
        if data:
            if not self._widened and len(data) >= USUAL_PIPE:
                self._widened = True
                widen(self._fd)
            self._on_data(data)
        elif not self.ended:
            self.close()
            self._on_end()


class FdWriter:
    """Writes to a descriptor; what it cannot take at once waits, and the source is told to pause."""

    def __init__(self, fd: int, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._fd = fd
        self._pause = pause
        self._resume = resume
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[memoryview] = deque()
        self._size = 0
        self._paused = False
        self._widened = False
        self._close_when_empty = False
        self.closed = False

    def write(self, data: bytes) -> None:
        if self.closed:
            return
        rest = memoryview(data)
        if not self._waiting:
            rest = rest[self._write(rest) :]
            if rest and not self._widened and not self.closed:
                self._widened = True
                widen(self._fd)
                rest = rest[self._write(rest) :]
        if rest and not self.closed:
            if not self._waiting:
                self._loop.add_writer(self._fd, self._writable)
            self._waiting.append(rest)
            self._size += len(rest)
            if self._size > HIGH_WATER and not self._paused:
                self._paused = True
                self._pause()

    def close_when_empty(self) -> None:
        self._close_when_empty = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Close now; what still waits is dropped."""
        if self.closed:
            return
        self.closed = True
        if self._waiting:
            self._loop.remove_writer(self._fd)
            self._waiting.clear()
        os.close(self._fd)
        if self._paused:
            self._paused = False
            self._resume()

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.close()
            return 0

    def _writable(self) -> None:
        while self._waiting:
            head = self._waiting[0]
            written = self._write(head)
            if self.closed:
                return
            self._size -= written
            if written < len(head):
                self._waiting[0] = head[written:]
                break
            self._waiting.popleft()
        if not self._waiting:
            self._loop.remove_writer(self._fd)
            if self._close_when_empty:
                self.close()
                return
        if self._paused and self._size < HIGH_WATER // 2:
            self._paused = False
            self._resume()
