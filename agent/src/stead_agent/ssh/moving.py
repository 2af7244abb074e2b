"""What lets an SSH connection go on over another transport than it began with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

EARLY_LIMIT = 1024 * 1024


class Successor(asyncio.Protocol):
    """The transport that a connection will read when the one that it reads now has ended.

    :param lost: called where it breaks before.
    """

    def __init__(self, lost: Callable[[Exception | None], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self._lost = lost
        self._early: list[bytes] = []
        self._size = 0
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._early.append(data)
        self._size += len(data)
        if self._size > EARLY_LIMIT and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._lost(exc)

    def give(self, reader: asyncio.Protocol) -> None:
        """Hand the transport, and what came before, to who reads it from now on."""
        transport = self.transport
        if transport is None:
            return
        transport.set_protocol(reader)
        for data in self._early:
            reader.data_received(data)
        self._early.clear()
        if self._ended:
            reader.eof_received()
        elif self._size > EARLY_LIMIT and not transport.is_closing():
            transport.resume_reading()


class Move:
    """One connection's change of transport, from the moment that the new one is dialled."""

    def __init__(self) -> None:
        self.old_ended = False
        self.old: asyncio.Transport | None = None
        self.successor: Successor | None = None

    def abort(self) -> None:
        successor = self.successor.transport if self.successor is not None else None
        for transport in (self.old, successor):
            if transport is not None:
                transport.abort()
