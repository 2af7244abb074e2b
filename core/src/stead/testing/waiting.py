"""Waiting for a condition with a deadline, and ports that nobody else has."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


class NeverHappened(AssertionError):
    """The condition of :func:`eventually` did not become true in time."""


def _describe(timeout: float, what: str, value: object, error: Exception | None) -> str:
    last = f"last error: {error!r}" if error is not None else f"last value: {value!r}"
    return f"{what or 'the condition'} did not come true within {timeout:g} s; {last}"


def eventually(
    condition: Callable[[], T | None],
    timeout: float = 10.0,
    *,
    interval: float = 0.02,
    what: str = "",
    ignoring: tuple[type[Exception], ...] = (),
) -> T:
    """Call ``condition`` until it returns something true, and return that.

    :param timeout: seconds until :class:`NeverHappened`.
    :param interval: seconds between two tries; doubles up to half a second.
    :param what: what is waited for, for the failure's message.
    :param ignoring: exceptions that mean "not yet".
    """
    deadline = time.monotonic() + timeout
    while True:
        value: T | None = None
        error: Exception | None = None
        try:
            value = condition()
        except ignoring as raised:
            error = raised
        if value:
            return value
        if time.monotonic() >= deadline:
            raise NeverHappened(_describe(timeout, what, value, error)) from error
        time.sleep(interval)
        interval = min(interval * 2, 0.5)


async def eventually_async(
    condition: Callable[[], T | Awaitable[T | None] | None],
    timeout: float = 10.0,  # noqa: ASYNC109 - the condition is tried again, not cancelled
    *,
    interval: float = 0.02,
    what: str = "",
    ignoring: tuple[type[Exception], ...] = (),
) -> T:
    """As :func:`eventually`, in an event loop; ``condition`` may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        value: T | None = None
        error: Exception | None = None
        try:
            answer = condition()
            value = await answer if isinstance(answer, Awaitable) else answer
        except ignoring as raised:
            error = raised
        if value:
            return value
        if time.monotonic() >= deadline:
            raise NeverHappened(_describe(timeout, what, value, error)) from error
        await asyncio.sleep(interval)
        interval = min(interval * 2, 0.5)


def find_free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    """A free TCP port on loopback."""
    return find_free_port()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """A function that gives so many different free TCP ports."""

    def several(count: int) -> list[int]:
        probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        ports = [int(probe.getsockname()[1]) for probe in probes]
        for probe in probes:
            probe.close()
        return ports

    return several
