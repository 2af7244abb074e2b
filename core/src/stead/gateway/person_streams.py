"""``/api/v2/workspaces/{id}/stream``: bytes between a person's program and a target in the workspace."""

from __future__ import annotations

import logging

from starlette.websockets import WebSocket

from stead.api.errors import InvalidInput, SteadError
from stead.domain.records import Actor, Agent
from stead.gateway.channels import SUBPROTOCOL, WebSocketChannel
from stead.gateway.credentials import Credential, credential_of, rechecked
from stead.gateway.failures import accepting, close
from stead.gateway.state import Gateway
from stead.network.streams import AgentUnreachable, Target, TargetRefused, splice
from stead.services import workspaces

logger = logging.getLogger(__name__)

NO_AGENT = 4404
NOT_CONNECTED = 4503
REVOKED = 4403


class PersonStreams:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @accepting
    async def endpoint(self, socket: WebSocket) -> None:
        gateway = self._gateway
        credential = credential_of(socket)
        target = Target.parse(socket.query_params.get("to", "ssh"))
        name = socket.query_params.get("agent") or None
        ref = socket.path_params["ref"]
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            raise InvalidInput(f"The subprotocol has to be {SUBPROTOCOL}.", field="Sec-WebSocket-Protocol")
        actor = await gateway.calls(credential.actor, gateway.core)
        leave = gateway.person_streams.enter(actor.user_id, "connections to workspaces")
        try:
            agent = await self._find_agent(socket, actor, ref, name)
            if agent is not None:
                await self._connect(socket, agent, target, credential, ref)
        finally:
            leave()

    async def _find_agent(self, socket: WebSocket, actor: Actor, ref: str, name: str | None) -> Agent | None:
        """The agent to connect to; where there is none, the socket is closed with the reason."""
        try:
            return await self._gateway.calls(workspaces.agent, self._gateway.core, actor, ref, name)
        except SteadError as error:
            if error.reason in {"not_authenticated", "forbidden"}:
                raise
            await socket.accept(subprotocol=SUBPROTOCOL)
            await close(socket, NO_AGENT, str(error))
            return None

    async def _connect(self, socket: WebSocket, agent: Agent, target: Target, credential: Credential, ref: str) -> None:
        gateway = self._gateway
        await socket.accept(subprotocol=SUBPROTOCOL)
        try:
            stream = await gateway.streams.take(agent.id, target)
        except (AgentUnreachable, TargetRefused) as error:
            await close(socket, NOT_CONNECTED, str(error))
            return

        def still_allowed() -> None:
            workspaces.agent(gateway.core, credential.actor(gateway.core), ref, agent.name)

        async def denied(error: SteadError) -> None:
            await close(socket, REVOKED, str(error))
            stream.abort()

        async with rechecked(gateway.calls, still_allowed, denied):
            traffic = await splice(WebSocketChannel(socket), stream)
        logger.debug("a stream to agent %s ended: %d up, %d down", agent.id, traffic.up, traffic.down)
