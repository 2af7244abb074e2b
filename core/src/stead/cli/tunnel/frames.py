"""WebSocket frames (RFC 6455, section 5) as a client writes and reads them. No I/O."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

MAX_MESSAGE = 16 * 1024 * 1024
_FIN = 0x80
_MASKED = 0x80


class ProtocolError(Exception):
    """The server sent what no WebSocket server may send."""


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    final: bool = True


def encode(opcode: int, payload: bytes) -> bytes:
    """One final frame, masked as a client's must be."""
    mask = os.urandom(4)
    return b"".join((_header(opcode, len(payload)), mask, _masked(payload, mask)))


def _header(opcode: int, size: int) -> bytes:
    first = _FIN | opcode
    if size < 126:
        return bytes((first, _MASKED | size))
    if size < 65536:
        return bytes((first, _MASKED | 126)) + size.to_bytes(2, "big")
    return bytes((first, _MASKED | 127)) + size.to_bytes(8, "big")


def _masked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    whole = (mask * (size // 4 + 1))[:size]
    # One XOR of two big numbers is the fastest that Python does without an extension.
    return (int.from_bytes(payload, "little") ^ int.from_bytes(whole, "little")).to_bytes(size, "little")


class Decoder:
    """Takes bytes as they come and gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that ``data`` completes.

        :raises ProtocolError: the bytes are not frames, or one is too large.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if buffer[0] & 0x70 or buffer[1] & _MASKED:
            raise ProtocolError("a frame has bits set that nobody asked for")
        start, size = self._extent()
        if start is None or len(buffer) < start + size:
            return None
        with memoryview(buffer) as view:
            payload = bytes(view[start : start + size])
        frame = Frame(buffer[0] & 0x0F, payload, bool(buffer[0] & _FIN))
        del buffer[: start + size]
        return frame

    def _extent(self) -> tuple[int | None, int]:
        """Where the payload starts and how long it is; None as long as the header is not complete."""
        size = self._buffer[1] & 0x7F
        if size < 126:
            return 2, size
        width = 2 if size == 126 else 8
        if len(self._buffer) < 2 + width:
            return None, 0
        size = int.from_bytes(self._buffer[2 : 2 + width], "big")
        if size > MAX_MESSAGE:
            raise ProtocolError(f"a frame of {size} bytes is too large")
        return 2 + width, size
