"""``/api/v2/workspaces/{id}/stream``: bytes between a person's program and a target in the workspace.

Two ways lead there: ``Upgrade: stead-stream-1``, after which the connection is the stream, and a WebSocket for where
something in between passes nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from stead.api.errors import InvalidInput, NotAuthenticated, SteadError
from stead.domain.records import Actor, Agent
from stead.gateway.channels import SUBPROTOCOL, WebSocketChannel
from stead.gateway.credentials import Credential, credential_of, rechecked, rights_of
from stead.gateway.failures import accepting, answering, close
from stead.gateway.handover import Gone, HandOver, hand_over_of, upgrade_required
from stead.gateway.state import Gateway
from stead.network.streams import AgentUnreachable, Move, Stream, Target, TargetRefused, splice
from stead.services import workspaces

logger = logging.getLogger(__name__)

NO_AGENT = 4404
NOT_CONNECTED = 4503
REVOKED = 4403


@dataclass(frozen=True)
class _Wish:
    """Who wants to go where. ``agent`` is a name, None where there is only one."""

    credential: Credential
    ref: str
    agent: str | None
    target: Target

    @classmethod
    def of(cls, connection: HTTPConnection) -> _Wish:
        """
        :raises Forbidden: a page of another site asks.
        :raises InvalidInput: the target is none.
        """
        credential = credential_of(connection)
        query = connection.query_params
        target = Target.parse(query.get("to", "ssh"))
        return cls(credential, connection.path_params["ref"], query.get("agent") or None, target)

    def still_allowed(self, gateway: Gateway, agent: Agent) -> Callable[[], object]:
        return lambda: workspaces.agent(gateway.core, self.credential.actor(gateway.core), self.ref, agent.name)


class RawPersonStreams:
    """What becomes of ``Upgrade: stead-stream-1``. Only tokens let in: no page of a browser upgrades like this."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @answering
    async def endpoint(self, request: Request) -> Response:
        gateway = self._gateway
        hand_over = hand_over_of(request)
        if hand_over is None:
            return upgrade_required()
        wish = _Wish.of(request)
        if wish.credential.token is None:
            raise NotAuthenticated("A stream needs a token.", remedy="Send one in the Authorization header.")
        actor = await gateway.calls(wish.credential.actor, gateway.core)
        leave = gateway.person_streams.enter(actor.user_id, "connections to workspaces")
        try:
            agent = await gateway.calls(workspaces.agent, gateway.core, actor, wish.ref, wish.agent)
            name = gateway.moves.name_for(agent.id, wish.target)
            stream = await gateway.streams.take(agent.id, Target.ssh(name) if name else wish.target)
            with rights_of(gateway.core, actor.user_id) as hurry:
                await self._carry(hand_over, stream, wish, agent, gateway.moves.plan(stream, name), hurry)
        finally:
            leave()
        return Gone()

    async def _carry(
        self,
        hand_over: HandOver,
        stream: Stream,
        wish: _Wish,
        agent: Agent,
        move: Move | None,
        hurry: asyncio.Event,
    ) -> None:
        async def denied(error: SteadError) -> None:
            logger.info("a stream to agent %s ended: %s", agent.id, error)
            channel.abort()
            stream.abort()

        try:
            channel = hand_over()
        except ConnectionResetError:
            stream.abort()
            return
        async with rechecked(self._gateway.calls, wish.still_allowed(self._gateway, agent), denied, hurry=hurry):
            traffic = await splice(channel, stream, move=move)
        logger.debug("a stream to agent %s ended: %d up, %d down", agent.id, traffic.up, traffic.down)


class PersonStreams:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @accepting
    async def endpoint(self, socket: WebSocket) -> None:
        gateway = self._gateway
        wish = _Wish.of(socket)
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            raise InvalidInput(f"The subprotocol has to be {SUBPROTOCOL}.", field="Sec-WebSocket-Protocol")
        actor = await gateway.calls(wish.credential.actor, gateway.core)
        leave = gateway.person_streams.enter(actor.user_id, "connections to workspaces")
        try:
            agent = await self._find_agent(socket, actor, wish)
            if agent is not None:
                with rights_of(gateway.core, actor.user_id) as hurry:
                    await self._connect(socket, agent, wish, hurry)
        finally:
            leave()

    async def _find_agent(self, socket: WebSocket, actor: Actor, wish: _Wish) -> Agent | None:
        """The agent to connect to; where there is none, the socket is closed with the reason."""
        try:
            return await self._gateway.calls(workspaces.agent, self._gateway.core, actor, wish.ref, wish.agent)
        except SteadError as error:
            if error.reason in {"not_authenticated", "forbidden"}:
                raise
            await socket.accept(subprotocol=SUBPROTOCOL)
            await close(socket, NO_AGENT, str(error))
            return None

    async def _connect(self, socket: WebSocket, agent: Agent, wish: _Wish, hurry: asyncio.Event) -> None:
        gateway = self._gateway
        await socket.accept(subprotocol=SUBPROTOCOL)
        try:
            stream = await gateway.streams.take(agent.id, wish.target)
        except (AgentUnreachable, TargetRefused) as error:
            await close(socket, NOT_CONNECTED, str(error))
            return

        async def denied(error: SteadError) -> None:
            await close(socket, REVOKED, str(error))
            stream.abort()

        async with rechecked(gateway.calls, wish.still_allowed(gateway, agent), denied, hurry=hurry):
            traffic = await splice(WebSocketChannel(socket), stream)
        logger.debug("a stream to agent %s ended: %d up, %d down", agent.id, traffic.up, traffic.down)
