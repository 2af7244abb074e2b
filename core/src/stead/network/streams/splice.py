"""Connect two channels until both directions have ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from stead.network.streams.channel import Channel

HALF_CLOSED_IDLE = 600.0


@dataclass
class Traffic:
    """Bytes that passed: ``up`` from the first channel to the second, ``down`` back."""

    up: int = 0
    down: int = 0


async def splice(first: Channel, second: Channel, half_closed_idle: float = HALF_CLOSED_IDLE) -> Traffic:
    """Copy both ways, keep half-closes, slow down with the slower side, and end both at the end.

    :param half_closed_idle: after one direction has ended, the other may be silent for so many seconds.
    """
    traffic = Traffic()

    async def copy(source: Channel, sink: Channel, direction: str) -> None:
        while data := await source.read():
            await sink.write(data)
            setattr(traffic, direction, getattr(traffic, direction) + len(data))
        await sink.write_eof()

    ways = {
        asyncio.create_task(copy(first, second, "up")),
        asyncio.create_task(copy(second, first, "down")),
    }
    try:
        done, open_ways = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if all(way.exception() is None for way in done):
            await _linger(open_ways, traffic, half_closed_idle)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        first.abort()
        second.abort()
    return traffic


async def _linger(ways: set[asyncio.Task[None]], traffic: Traffic, idle: float) -> None:
    """Let the direction that is left go on for as long as bytes pass."""
    passed = -1
    while ways and traffic.up + traffic.down != passed:
        passed = traffic.up + traffic.down
        _, ways = await asyncio.wait(ways, timeout=idle)
