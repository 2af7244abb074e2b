"""Chooses how streams travel: through the tunnel where it works, over WebSocket while it does not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from stead_agent.backoff import Backoff
from stead_agent.errors import AgentError
from stead_agent.log import log
from stead_agent.outbox import Outbox
from stead_agent.settings import AgentSettings
from stead_agent.streams.parked import SILENCE_IN_TURN, Targets
from stead_agent.streams.pool import StreamPool, Ticket
from stead_agent.streams.tunnel import TunnelKey, TunnelOffer, TunnelProcess, find_program
from stead_agent.streams.websocket import WebSocketDialer
from stead_agent.tasks import background

FIRST_ANSWER = 5.0  # seconds for a new tunnel to carry a stream
SILENCE = 12.0  # seconds without a ping on any parked stream
WATCH_INTERVAL = 0.2
HEAD_START = 1.0  # seconds that a first tunnel has before WebSocket streams are parked

AnnounceKey = Callable[[str], Awaitable[TunnelOffer | None]]


class Transports:
    """Owns the tunnel and both pools of parked streams.

    :param announce_key: tells the control plane the key of the next tunnel process; returns what to connect to.
    """

    def __init__(self, settings: AgentSettings, targets: Targets, outbox: Outbox, announce_key: AnnounceKey) -> None:
        self._settings = settings
        self._outbox = outbox
        self._announce_key = announce_key
        self._targets = targets
        self._ticket: Ticket | None = None
        self._offer: TunnelOffer | None = None
        self._next_key: TunnelKey | None = None
        self._websocket: StreamPool | None = None
        self._tunnel: StreamPool | None = None
        self._process: TunnelProcess | None = None
        self._tunnels = 0  # that were started
        self._tunnel_up = asyncio.Event()
        self._tunnel_task: asyncio.Task[None] | None = None
        self._fallback_task: asyncio.Task[None] | None = None
        self._program = find_program() if settings.tunnel else None

    async def key_for_hello(self) -> str | None:
        """The public key that the next tunnel process will have, or ``None`` where there is no tunnel program."""
        if self._program is None:
            return None
        if self._next_key is None:
            try:
                self._next_key = await TunnelKey.make(self._program, self._settings.run_dir)
            except (AgentError, OSError) as error:
                log.warning("no tunnel: %s", error)
                self._program = None
                return None
        return self._next_key.public

    def hello(self, ticket: Ticket, websocket_path: str, offer: TunnelOffer | None) -> None:
        """Park streams with a fresh ticket; a tunnel that still answers is kept, with all that it carries."""
        self._ticket = ticket
        if self._websocket is None:
            self._websocket = StreamPool(WebSocketDialer(self._settings, websocket_path), self._targets, "websocket")
        elif self._websocket.running:
            self._websocket.start(ticket)
        self.offer(offer)
        if self._tunnel is not None:
            self._tunnel.start(ticket)
        if self._fallback_task is None:
            self._fallback_task = background(self._watch(), "choosing transports")

    def offer(self, offer: TunnelOffer | None) -> None:
        """The control plane's tunnel came up, or changed its address, or went."""
        changed = offer != self._offer
        self._offer = offer
        if self._program is None:
            return
        if offer is None or changed:
            self._stop_tunnel()
        if offer is not None and self._tunnel_task is None:
            self._tunnel_task = background(self._keep_tunnel(), "the tunnel")

    async def close(self) -> None:
        self._stop_tunnel()
        for task in (self._fallback_task,):
            if task is not None:
                task.cancel()
        for pool in (self._websocket, self._tunnel):
            if pool is not None:
                pool.abort()

    def status(self) -> dict[str, Any]:
        """For ``stead-agent status`` and tests: how many streams are parked and taken on each transport."""
        pools = {"tunnel": self._tunnel, "websocket": self._websocket}
        return {name: {"parked": pool.parked, "taken": pool.taken} for name, pool in pools.items() if pool}

    def processes(self) -> tuple[int, ...]:
        return (self._process.pid,) if self._process is not None else ()

    def _stop_tunnel(self) -> None:
        if self._tunnel_task is not None:
            self._tunnel_task.cancel()
            self._tunnel_task = None

    async def _keep_tunnel(self) -> None:
        backoff = Backoff(limit=30)
        while True:
            try:
                await self._run_tunnel(backoff)
            except (OSError, TimeoutError, AgentError) as error:
                log.info("the tunnel is down: %s", error or type(error).__name__)
            await asyncio.sleep(backoff.next())

    async def _run_tunnel(self, backoff: Backoff) -> None:
        key, self._next_key = self._next_key, None
        known = key
        offer = self._offer
        if key is None and self._program is not None:
            key = await TunnelKey.make(self._program, self._settings.run_dir)
        if key is not None and (key is not known or self._tunnels):
            # This also tells the control plane that the tunnel before is gone, with all that it carried.
            offer = await self._announce_key(key.public)
        if key is None or offer is None or self._ticket is None or self._program is None:
            return
        async with TunnelProcess(self._program, offer, key, self._settings.run_dir) as process:
            pool = StreamPool(process.dial, self._targets, "tunnel", SILENCE_IN_TURN)
            self._process, self._tunnel = process, pool
            self._tunnels += 1
            pool.start(self._ticket)
            try:
                await self._until_dead(process, pool, backoff)
            finally:
                self._process = self._tunnel = None
                pool.abort()

    async def _until_dead(self, process: TunnelProcess, pool: StreamPool, backoff: Backoff) -> None:
        while True:
            async with asyncio.timeout(FIRST_ANSWER):
                await pool.alive.wait()
            self._tunnel_up.set()
            backoff.reset()
            if process.ended:
                log.info("the tunnel process has ended")
                return
            if pool.alive.is_set() and time.monotonic() - pool.last_heard > SILENCE:
                log.info("the tunnel has been silent for %g s", SILENCE)
                return
            await process.wait_ended(0.5)

    async def _watch(self) -> None:
        """Park WebSocket streams exactly while the tunnel carries none, and report the path."""
        if self._offer is not None and self._program is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEAD_START):
                    await self._tunnel_up.wait()
        running = False
        said: tuple[str, int] | None = None
        while True:
            works = self._tunnel_works()
            if works and running and self._websocket is not None:
                self._websocket.stop()
                running = False
            elif not works and not running and self._websocket is not None and self._ticket is not None:
                self._websocket.start(self._ticket)
                running = True
            path = self._path()
            if path is not None and (said is None or path[0] != said[0] or abs(path[1] - said[1]) > said[1] / 2 + 5):
                said = path
                self._outbox.state("path", {"path": path[0], "latency_ms": path[1]})
            await asyncio.sleep(WATCH_INTERVAL)

    def _tunnel_works(self) -> bool:
        return self._tunnel is not None and self._tunnel.alive.is_set()

    def _path(self) -> tuple[str, int] | None:
        if self._tunnel_works() and self._tunnel is not None and self._process is not None:
            return self._process.path, round(self._tunnel.last_round_trip * 1000)
        if self._websocket is not None and self._websocket.parked:
            return "websocket", round(self._websocket.last_round_trip * 1000)
        return None
