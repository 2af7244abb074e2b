"""Keeps a number of streams parked over one transport."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stead_agent.backoff import Backoff
from stead_agent.errors import AgentError
from stead_agent.log import log
from stead_agent.streams.parked import SILENCE, Targets, await_header, introduce, serve_taken
from stead_agent.tasks import background

Dial = Callable[[], Awaitable[socket.socket]]


@dataclass(frozen=True)
class Ticket:
    """What authenticates parked streams, and how many are wanted."""

    secret: str
    parked: int = 4


class StreamPool:
    """``parked`` slots that each dial, authenticate, wait to be taken, and dial again.

    A taken stream lives on when the pool is stopped, until :meth:`abort`.

    :param silence: seconds without a word from the control plane after which a parked stream is given up.
    """

    def __init__(self, dial: Dial, targets: Targets, name: str, silence: float = SILENCE) -> None:
        self._dial = dial
        self._silence = silence
        self._targets = targets
        self._name = name
        self._slots: list[asyncio.Task[None]] = []
        self._taken: set[asyncio.Task[None]] = set()
        self._parked = 0
        self.last_heard = 0.0
        self.last_round_trip = 0.0  # seconds, from dialling to the first answer
        self.alive = asyncio.Event()

    @property
    def taken(self) -> int:
        return len(self._taken)

    @property
    def parked(self) -> int:
        return self._parked

    @property
    def running(self) -> bool:
        """Whether it tries to keep streams parked, even if none is right now."""
        return bool(self._slots)

    def start(self, ticket: Ticket) -> None:
        """Park streams with ``ticket``; those that are parked with an older one are given up."""
        self.stop()
        self.alive.clear()
        self._slots = [background(self._slot(ticket), f"a parked {self._name} stream") for _ in range(ticket.parked)]

    def stop(self) -> None:
        """Give up all parked streams; taken ones go on."""
        for slot in self._slots:
            slot.cancel()
        self._slots = []

    def abort(self) -> None:
        """Stop, and end the taken streams too."""
        self.stop()
        for task in self._taken:
            task.cancel()

    async def _slot(self, ticket: Ticket) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._park_once(ticket, backoff)
            except (OSError, TimeoutError, AgentError) as error:
                log.debug("%s stream: %s", self._name, error or type(error).__name__)
                await asyncio.sleep(backoff.next())

    async def _park_once(self, ticket: Ticket, backoff: Backoff) -> None:
        started = time.monotonic()
        sock = await self._dial()
        try:
            await introduce(sock, ticket.secret)
            self.last_round_trip = time.monotonic() - started
            self._heard()
            backoff.reset()
            self._parked += 1
            try:
                header = await await_header(sock, self._heard, self._silence)
            finally:
                self._parked -= 1
        except BaseException:
            sock.close()
            raise
        task = background(self._serve(sock, header), f"a {self._name} stream")
        self._taken.add(task)
        task.add_done_callback(self._taken.discard)

    async def _serve(self, sock: socket.socket, header: bytes) -> None:
        try:
            await serve_taken(sock, header, self._targets)
        except (OSError, AgentError) as error:
            log.debug("%s stream ended: %s", self._name, error)

    def _heard(self) -> None:
        self.last_heard = time.monotonic()
        self.alive.set()
