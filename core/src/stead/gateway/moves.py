"""Streams that carry much leave the tunnel: their agent is asked for a connection of its own for each.

Userspace WireGuard costs several times what SSH itself does, at both ends. A shell never feels it, a large file does.
What is moved is SSH alone, which is encrypted between the person and the agent whatever carries it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass

from stead.api.errors import NotFound
from stead.gateway.handover import HandOver
from stead.gateway.state import Gateway
from stead.network.streams import Move, Stream, Target, Transport

logger = logging.getLogger(__name__)

CAPABILITY = "move"
AFTER = 1024 * 1024  # bytes: more than typing and looking around, less than a second of the tunnel
PATIENCE = 15.0


@dataclass(frozen=True)
class _Asked:
    stream: Stream
    moved: asyncio.Event


class Moves:
    """Lives in one event loop."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._asked: dict[tuple[str, str], _Asked] = {}

    def name_for(self, agent_id: str, target: Target) -> str:
        """What a stream to this target is to be called, empty where it may not move."""
        rpc = self._gateway.rpc
        wanted = self._gateway.core.settings.bulk_beside_tunnel and target == Target.ssh()
        return secrets.token_urlsafe(12) if wanted and rpc is not None and rpc.can(agent_id, CAPABILITY) else ""

    def plan(self, stream: Stream, name: str) -> Move | None:
        """When and how a stream that was taken by this name moves."""
        if not name or stream.transport is not Transport.TUNNEL:
            return None

        async def ask() -> None:
            await self._ask(stream, name)

        return Move(AFTER, ask)

    async def _ask(self, stream: Stream, name: str) -> None:
        rpc, key = self._gateway.rpc, (stream.agent_id, name)
        asked = self._asked[key] = _Asked(stream, asyncio.Event())
        try:
            if rpc is not None and await rpc.notify(stream.agent_id, "stream.move", stream=name):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await asked.moved.wait()
        finally:
            self._asked.pop(key, None)

    def complete(self, agent_id: str, name: str, hand_over: HandOver) -> None:
        """The agent has come with the connection: from the answer to it on, both ends use it.

        :raises NotFound: nobody asked this agent for it, or the stream has ended meanwhile.
        """
        asked = self._asked.pop((agent_id, name), None)
        if asked is None or not asked.stream.movable:
            raise NotFound("There is no stream to be moved.")
        asked.stream.move(hand_over())
        asked.moved.set()
        logger.debug("a stream of agent %s left the tunnel", agent_id)
