"""A STUN server (RFC 5389) that knows one thing: from which address a binding request came.

Tunnel clients ask it to find out how they look from outside, which is what direct paths are made of.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from typing import Any, cast

MAGIC_COOKIE = 0x2112A442
HEADER = struct.Struct(">HHI12s")
BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101
XOR_MAPPED_ADDRESS = 0x0020
MAX_REQUEST = 1280


def binding_response(request: bytes, host: str, port: int) -> bytes | None:
    """The answer to a binding request from ``host:port``; None for whatever is not a binding request."""
    transaction = _transaction(request)
    if transaction is None:
        return None
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    mask = struct.pack(">I", MAGIC_COOKIE) + transaction
    hidden = bytes(a ^ b for a, b in zip(address.packed, mask, strict=False))
    family = 1 if address.version == 4 else 2
    value = struct.pack(">BBH", 0, family, port ^ (MAGIC_COOKIE >> 16)) + hidden
    attribute = struct.pack(">HH", XOR_MAPPED_ADDRESS, len(value)) + value
    return HEADER.pack(BINDING_SUCCESS, len(attribute), MAGIC_COOKIE, transaction) + attribute


def _transaction(request: bytes) -> bytes | None:
    if not HEADER.size <= len(request) <= MAX_REQUEST:
        return None
    kind, length, cookie, transaction = HEADER.unpack_from(request)
    if kind != BINDING_REQUEST or cookie != MAGIC_COOKIE or length != len(request) - HEADER.size:
        return None
    return cast("bytes", transaction)


class StunServer(asyncio.DatagramProtocol):
    """Answers binding requests, keeps nothing, and amplifies nothing: replies are as short as requests."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._transport is None or self._paused:
            return
        answer = binding_response(data, addr[0], addr[1])
        if answer is not None:
            self._transport.sendto(answer, addr)

    def error_received(self, exc: Exception) -> None:
        """An unreachable asker is not our concern."""
        del exc

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False


async def serve_stun(host: str, port: int) -> asyncio.DatagramTransport:
    """Listen on UDP ``host:port`` (0: any free port) until the returned transport is closed."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(StunServer, local_addr=(host, port))

    return transport
