"""``/api/v2/agent/stream``: streams that agents park over WebSocket while no tunnel works."""

from __future__ import annotations

from starlette.websockets import WebSocket

from stead.api.errors import InvalidInput, NotAuthenticated
from stead.gateway.channels import SUBPROTOCOL, WebSocketChannel
from stead.gateway.credentials import bearer_token
from stead.gateway.failures import accepting
from stead.gateway.state import Gateway
from stead.network.streams import Transport
from stead.services import authentication


class AgentStreams:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @accepting
    async def endpoint(self, socket: WebSocket) -> None:
        gateway = self._gateway
        token = bearer_token(socket)
        if token is None:
            raise NotAuthenticated("An agent shows its token in the Authorization header.")
        identity = await gateway.calls(authentication.agent_for_token, gateway.core, token)
        if SUBPROTOCOL not in socket.scope["subprotocols"]:
            raise InvalidInput(f"The subprotocol has to be {SUBPROTOCOL}.", field="Sec-WebSocket-Protocol")
        await socket.accept(subprotocol=SUBPROTOCOL)
        await gateway.streams.serve(WebSocketChannel(socket), Transport.WEBSOCKET, identity.agent_id)
