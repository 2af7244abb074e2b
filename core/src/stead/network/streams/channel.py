"""What a byte stream has to offer, whatever carries it."""

from __future__ import annotations

import asyncio
import contextlib
from enum import StrEnum
from typing import Protocol

READ_SIZE = 256 * 1024


class Transport(StrEnum):
    TUNNEL = "tunnel"
    WEBSOCKET = "websocket"


class Route(StrEnum):
    """How an agent's streams travel."""

    DIRECT = "direct"
    RELAYED = "relayed"
    WEBSOCKET = "websocket"


class Channel(Protocol):
    """A stream of bytes in both directions. Each side of it is used by one task at a time."""

    async def read(self) -> bytes:
        """Some bytes; nothing at the end of the stream.

        :raises ConnectionError: the stream broke.
        """
        ...

    async def write(self, data: bytes | memoryview) -> None:
        """Send ``data``; waits while the other side is slow.

        :raises ConnectionError: the stream broke.
        """
        ...

    async def write_eof(self) -> None:
        """End our direction; the other one goes on."""
        ...

    def abort(self) -> None:
        """End both directions at once. May be called often and at any time."""
        ...


class TcpChannel:
    """A TCP connection as a :class:`Channel`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(READ_SIZE)

    async def write(self, data: bytes | memoryview) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def write_eof(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            if self._writer.can_write_eof():
                self._writer.write_eof()
            else:
                self._writer.close()

    def abort(self) -> None:
        self._writer.transport.abort()
