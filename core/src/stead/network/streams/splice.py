"""Connect two channels until both directions have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from stead.network.streams.channel import Channel, TcpChannel
from stead.network.streams.parked import Stream

HALF_CLOSED_IDLE = 600.0
FLUSH = 30.0  # seconds for the last bytes to leave
SETTLE = 60.0  # seconds of silence in the old connection when a stream has moved to another


@dataclass
class Traffic:
    """Bytes that passed: ``up`` from the first channel to the second, ``down`` back."""

    up: int = 0
    down: int = 0


@dataclass(frozen=True)
class Move:
    """How a stream that carries much is brought to another connection.

    :param after: bytes in either direction after which it is asked for.
    :param ask: has the agent open the connection; returns when :meth:`Stream.move` was called, or will not be.
    """

    after: int
    ask: Callable[[], Awaitable[None]]


async def splice(
    first: Channel, second: Channel, half_closed_idle: float = HALF_CLOSED_IDLE, move: Move | None = None
) -> Traffic:
    """Copy both ways, keep half-closes, slow down with the slower side, and end both at the end.

    :param half_closed_idle: after one direction has ended, the other may be silent for so many seconds.
    :param move: for streams over TCP, where to go when much is to be carried.
    """
    agent = second.surrender() if isinstance(first, TcpChannel) and isinstance(second, Stream) else None
    if isinstance(first, TcpChannel) and agent is not None:
        try:
            return await _join(first, *agent, half_closed_idle, move)
        finally:
            second.abort()
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


async def _join(first: TcpChannel, second: TcpChannel, early: bytes, idle: float, move: Move | None = None) -> Traffic:
    """Let the transports feed each other; what is left to do here is to wait for the end."""
    traffic = Traffic(-first.received, len(early) - second.received)
    second.join(first, early)
    first.join(second)
    try:
        if move is not None and (wider := await _outgrown(first, second, move)):
            traffic.down += second.received
            second = wider
        await _wait_until_over(first, second, idle)
        await asyncio.gather(first.close(FLUSH), second.close(FLUSH))
    finally:
        first.abort()
        second.abort()
    return Traffic(first.received + traffic.up, second.received + traffic.down)


async def _wait_until_over(first: TcpChannel, second: TcpChannel, idle: float) -> None:
    await _first_of(first.ended, second.ended)
    passed = -1
    while not _over(first, second) and first.received + second.received != passed:
        passed = first.received + second.received
        still_open = second.ended if first.ended.is_set() else first.ended
        await _first_of(first.lost, second.lost, still_open, patience=idle)


async def _outgrown(first: TcpChannel, second: TcpChannel, move: Move) -> TcpChannel | None:
    """The connection that succeeded ``second`` because much passes, None if it never did."""
    first.watched, second.watched = first.received + move.after, second.received + move.after
    await _first_of(first.ended, second.ended, first.grown, second.grown)
    if not (first.ended.is_set() or second.ended.is_set()):
        await _first_of(first.ended, second.ended, asked=asyncio.ensure_future(move.ask()))
    if second.successor is None:
        return None
    try:
        passed = -1
        while not second.ended.is_set() and second.received != passed:
            passed = second.received
            await _first_of(second.ended, patience=SETTLE)
        await second.close(HALF_CLOSED_IDLE if second.ended.is_set() else 0)
    finally:
        second.abort()
    return second.successor


def _over(first: TcpChannel, second: TcpChannel) -> bool:
    lost = first.lost.is_set() or second.lost.is_set()
    return lost or (first.ended.is_set() and second.ended.is_set())


async def _first_of(
    *events: asyncio.Event, patience: float | None = None, asked: asyncio.Future[None] | None = None
) -> None:
    waits: list[asyncio.Future[Any]] = [asyncio.create_task(event.wait()) for event in events]
    if asked is not None:
        waits.append(asked)
    try:
        await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
