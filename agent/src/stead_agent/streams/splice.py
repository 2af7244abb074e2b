"""Joins two sockets: bytes both ways, back-pressure and half-close included."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import cast


class _End(asyncio.Protocol):
    def __init__(self) -> None:
        self.peer: _End | None = None
        self.transport: asyncio.Transport | None = None
        self.closed = asyncio.get_running_loop().create_future()
        self._early: list[bytes] = []
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def join(self, peer: _End) -> None:
        """Start to pass on what came, and comes, to ``peer``."""
        self.peer = peer
        for data in self._early:
            self.data_received(data)
        if self._ended:
            self.eof_received()

    def data_received(self, data: bytes) -> None:
        if self.peer is None:
            self._early.append(data)
        elif self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        peer = self.peer
        if peer is None:
            return True
        if peer.transport is not None and not peer.transport.is_closing():
            if peer.transport.can_write_eof():
                peer.transport.write_eof()
            else:
                peer.transport.close()
        if peer._ended and self.transport is not None:
            self.transport.close()
        return True

    def pause_writing(self) -> None:
        if self.peer and self.peer.transport:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer and self.peer.transport and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        if self.peer and self.peer.transport:
            self.peer.transport.close()
        if not self.closed.done():
            self.closed.set_result(None)


async def splice(left: socket.socket, right: socket.socket) -> None:
    """Carry bytes between two connected sockets until both have ended; closes them."""
    loop = asyncio.get_running_loop()
    ends: list[_End] = []
    try:
        for sock in (left, right):
            _transport, end = await loop.create_connection(_End, sock=sock)
            ends.append(end)
        ends[0].join(ends[1])
        ends[1].join(ends[0])
        await asyncio.gather(ends[0].closed, ends[1].closed)
    finally:
        for end in ends:
            if end.transport is not None:
                end.transport.abort()


async def carry(host: str, port: int, context: ssl.SSLContext) -> socket.socket:
    """Connect with TLS; returns a plain socket whose bytes travel in it. Either end ends both directions."""
    loop = asyncio.get_running_loop()
    _transport, outer = await loop.create_connection(_End, host, port, ssl=context)
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    try:
        _transport, inner = await loop.create_connection(_End, sock=theirs)
    except BaseException:
        ours.close()
        if outer.transport is not None:
            outer.transport.abort()
        raise
    outer.join(inner)
    inner.join(outer)
    return ours
