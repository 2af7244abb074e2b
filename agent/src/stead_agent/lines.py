"""Cuts output into lines of text, whatever bytes it has."""

from __future__ import annotations

from collections.abc import Callable

MAX_LINE = 8 * 1024


class LineSplitter:
    """Calls ``emit`` for each line; bytes that are not UTF-8 become replacement characters, long lines are cut up."""

    def __init__(self, emit: Callable[[str], None], max_line: int = MAX_LINE) -> None:
        self._emit = emit
        self._max_line = max_line
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        while len(self._rest) > self._max_line:
            self._line(self._rest[: self._max_line])
            self._rest = self._rest[self._max_line :]

    def end(self) -> None:
        """Emit what came after the last newline."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _line(self, line: bytes) -> None:
        text = line.removesuffix(b"\r")
        for start in range(0, max(len(text), 1), self._max_line):
            piece = text[start : start + self._max_line].decode("utf-8", "replace")
            self._emit(piece.rpartition("\r")[2].replace("\x00", "\N{REPLACEMENT CHARACTER}"))
