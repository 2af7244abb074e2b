"""What a byte stream has to offer, whatever carries it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, cast

READ_SIZE = 256 * 1024
WRITE_BUFFER = 1024 * 1024


class Transport(StrEnum):
    TUNNEL = "tunnel"
    WEBSOCKET = "websocket"
    UPGRADED = "upgraded"  # no stream is parked this way: one that outgrew the tunnel goes on in it


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


class TcpChannel(asyncio.Protocol):
    """A TCP or TLS connection as a :class:`Channel`.

    Two of them can be joined: then bytes pass from one transport to the other as they come, and no task wakes up.
    A joined one can be succeeded by another connection to the same end, without either end noticing.

    :param opened: called once the connection is there.
    """

    successor: TcpChannel | None = None
    watched: float = math.inf
    """Bytes received after which :attr:`grown` is set."""

    def __init__(self, opened: Callable[[TcpChannel], None] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.received = 0
        self.heard_at = loop.time()
        self.ended = asyncio.Event()
        self.lost = asyncio.Event()
        self.grown = asyncio.Event()
        self._loop = loop
        self._opened = opened
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._came = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._sink: TcpChannel | None = None  # where goes what comes here
        self._source: TcpChannel | None = None  # whose bytes are written here
        self._error: Exception | None = None
        self._said_all = False

    # As a channel

    async def read(self) -> bytes:
        while not self._waiting:
            if self._error is not None:
                raise ConnectionResetError("the connection broke") from self._error
            if self.ended.is_set():
                return b""
            self._came.clear()
            await self._came.wait()
        data = b"".join(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        self._waiting.clear()
        self._size = 0
        self._read_on()
        return data

    async def write(self, data: bytes | memoryview) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()
            if self.lost.is_set():
                raise ConnectionResetError("the connection broke")

    async def write_eof(self) -> None:
        self.end()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Joined

    def join(self, peer: TcpChannel, early: bytes = b"") -> None:
        """Pass on to ``peer`` what was read already (``early``), what waits, and what comes from now on."""
        self._sink, peer._source = peer, self
        for data in (early, *self._waiting):
            if data:
                peer.send(data)
        self._waiting.clear()
        self._size = 0
        if self.ended.is_set():
            peer.end()
        elif peer._writable.is_set():
            self._read_on()
        else:
            self._hold()

    @property
    def whole(self) -> bool:
        """Whether both directions are open."""
        transport = self._transport
        return transport is not None and not (transport.is_closing() or self._said_all or self.ended.is_set())

    def succeed(self, wider: TcpChannel) -> None:
        """Let ``wider`` go on where this connection, which is joined, stops: each end ends this one and uses that one.

        What is written from now on goes there. What comes there waits until the far end has ended this connection.
        """
        self.successor = wider
        source, self._source = self._source, None
        if source is not None:
            source._sink, wider._source = wider, source
            source._read_on()
        self.end()

    def send(self, data: bytes) -> None:
        """Write without waiting; who joined us is told to pause."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> None:
        """End our direction after what is written; TLS has no half of an end, and closes."""
        transport = self._transport
        self._said_all = True
        if transport is None or transport.is_closing():
            return
        with contextlib.suppress(OSError, RuntimeError):
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()

    async def close(self, patience: float) -> None:
        """Close after what is written has been sent, or ``patience`` seconds from now."""
        if self._transport is not None:
            self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.lost.wait()
        self.abort()

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        if self._opened is not None:
            self._opened(self)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self.heard_at = self._loop.time()
        if self.received >= self.watched:
            self.watched = math.inf
            self.grown.set()
        if self._sink is not None:
            self._sink.send(data)
            return
        self._waiting.append(data)
        self._size += len(data)
        self._came.set()
        if self._size >= READ_SIZE:
            self._hold()

    def eof_received(self) -> bool:
        self._finish()
        # TLS closes at an end, whatever is said here.
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        self._writable.clear()
        if self._source is not None:
            self._source._hold()

    def resume_writing(self) -> None:
        self._writable.set()
        if self._source is not None:
            self._source._read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._error = exc
        self.lost.set()
        self._writable.set()
        if not self.ended.is_set() and self.successor is not None:
            # It broke before its last bytes: there is nothing to go on with.
            self.successor.abort()
        self._finish()

    def _finish(self) -> None:
        if not self.ended.is_set():
            self.ended.set()
            if self._sink is not None and self.successor is not None:
                self.successor.join(self._sink)
            elif self._sink is not None:
                self._sink.end()
        self._came.set()

    def _hold(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and not self.ended.is_set():
            self._transport.resume_reading()
