"""``/api/v2/agent/stream``: streams that agents park over WebSocket while no tunnel works.

As ``Upgrade: stead-stream-1`` it is where a stream goes on that carries too much for the tunnel.
"""

from __future__ import annotations

import logging

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from stead.api.errors import InvalidInput, NotAuthenticated
from stead.gateway.channels import SUBPROTOCOL, WebSocketChannel
from stead.gateway.credentials import bearer_token
from stead.gateway.failures import accepting, answering
from stead.gateway.handover import Gone, hand_over_of, upgrade_required
from stead.gateway.state import Gateway
from stead.network.streams import Transport
from stead.services import authentication
from stead.services.authentication import AgentIdentity

logger = logging.getLogger(__name__)


class AgentStreams:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @accepting
    async def endpoint(self, socket: WebSocket) -> None:
        identity = await _identity(self._gateway, socket)
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            raise InvalidInput(f"The subprotocol has to be {SUBPROTOCOL}.", field="Sec-WebSocket-Protocol")
        await socket.accept(subprotocol=SUBPROTOCOL)
        await self._gateway.streams.serve(WebSocketChannel(socket), Transport.WEBSOCKET, identity.agent_id)


class MovedAgentStreams:
    """What becomes of ``Upgrade: stead-stream-1``: the rest of a stream that the agent was asked to move."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @answering
    async def endpoint(self, request: Request) -> Response:
        hand_over = hand_over_of(request)
        if hand_over is None:
            return upgrade_required()
        identity = await _identity(self._gateway, request)
        try:
            self._gateway.moves.complete(identity.agent_id, request.query_params.get("move", ""), hand_over)
        except ConnectionResetError:
            logger.info("agent %s left before its stream could move", identity.agent_id)
        return Gone()


async def _identity(gateway: Gateway, connection: HTTPConnection) -> AgentIdentity:
    token = bearer_token(connection)
    if token is None:
        raise NotAuthenticated("An agent shows its token in the Authorization header.")
    return await gateway.calls(authentication.agent_for_token, gateway.core, token)
