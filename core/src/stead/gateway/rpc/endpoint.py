"""``/api/v2/agent/rpc``: one connection for each agent, the newest wins."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketState

from stead.api.errors import NotAuthenticated, SteadError
from stead.gateway.credentials import bearer_token
from stead.gateway.failures import accepting, close
from stead.gateway.rpc import wire
from stead.gateway.rpc.methods import METHODS, AgentMethods
from stead.gateway.state import Gateway
from stead.services import agents, authentication, shutdown
from stead.services.authentication import AgentIdentity
from stead.services.bus import Payload

logger = logging.getLogger(__name__)

PROTOCOL = "1"
REPLACED = 4001
REVOKED = 4003
GOING_AWAY = 1012
HELLO_SECONDS = 20.0
RECHECK_SECONDS = 20.0
RECHECK_AT_ONCE = 500  # connections that one query asks for


class Connection:
    """One agent's WebSocket."""

    def __init__(self, gateway: Gateway, socket: WebSocket, identity: AgentIdentity, token: str) -> None:
        self.id = secrets.token_hex(8)
        self.identity = identity
        self.said_hello = False
        self.capabilities: frozenset[str] = frozenset()
        self._gateway = gateway
        self._socket = socket
        self._token = token
        self._methods = AgentMethods(gateway, identity, self)

    def tunnel_offer(self) -> dict[str, Any] | None:
        """How this agent reaches the tunnel: by the host under which it reached us."""
        tunnel = self._gateway.tunnel
        if tunnel is None or tunnel.address is None:
            return None
        url = self._socket.url
        secure = url.scheme == "wss"
        return {
            "address": tunnel.address.address,
            "port": tunnel.address.port,
            "derp_map_url": f"{'https' if secure else 'http'}://{url.netloc}/derp/map.json",
            "pin_ca": self._gateway.certificate_pem,
            "relay_http": not secure,
        }

    async def notify(self, method: str, **params: Any) -> None:
        """Tell the agent something; it is told again when it reconnects, should it be away."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError):
                await self._socket.send_text(wire.notification(method, params))

    async def close(self, code: int, reason: str) -> None:
        await close(self._socket, code, reason)

    async def serve(self) -> None:
        """Answer requests, one after the other, until the agent leaves."""
        deadline = asyncio.get_running_loop().call_later(HELLO_SECONDS, self._check_hello)
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                if text is not None:
                    await self._answer(text)
        finally:
            deadline.cancel()

    @property
    def token(self) -> str:
        return self._token

    def still_admitted(self) -> None:
        """
        :raises NotAuthenticated: the build of this agent is over.
        """
        authentication.agent_for_token(self._gateway.core, self._token)

    async def _answer(self, text: str) -> None:
        number = None
        try:
            request = wire.parse(text)
            number = request.id
            answer = wire.result(number, await self._dispatch(request))
        except SteadError as error:
            answer = wire.failure(number, wire.code_of(error), error)
        except Exception:  # boundary: one request of an agent
            logger.exception("a request of agent %s failed", self.identity.agent_id)
            answer = wire.failure(number, wire.FAILED, SteadError("The server could not do this."))
        if number is not None and self._socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError):
                await self._socket.send_text(answer)

    async def _dispatch(self, request: wire.Request) -> Any:
        handler = METHODS.get(request.method)
        if handler is None:
            raise wire.Malformed(f"There is no method {request.method[:64]!r}.", wire.UNKNOWN_METHOD)
        if not self.said_hello and request.method != "hello":
            raise wire.Malformed("The first request is `hello`.", wire.INVALID_REQUEST)
        return await handler(self._methods, request.params)

    def _check_hello(self) -> None:
        if not self.said_hello:
            self._closing = asyncio.create_task(self.close(4400, "no hello"))


class AgentRpc:
    """All connections of agents to this server."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._connections: dict[str, Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._rechecking = False
        gateway.rpc = self
        gateway.streams.changed = self.path_changed

    @accepting
    async def endpoint(self, socket: WebSocket) -> None:
        if socket.query_params.get("protocol") != PROTOCOL:
            message = "This server speaks another version of the agent protocol."
            await socket.send_denial_response(JSONResponse({"message": message, "supported": [1]}, 400))
            return
        token = bearer_token(socket)
        if token is None:
            raise NotAuthenticated("An agent shows its token in the Authorization header.")
        identity = await self._gateway.calls(authentication.agent_for_token, self._gateway.core, token)
        await socket.accept()
        await self._serve(Connection(self._gateway, socket, identity, token))

    async def _serve(self, connection: Connection) -> None:
        agent_id = connection.identity.agent_id
        before = self._connections.get(agent_id)
        self._connections[agent_id] = connection
        if before is not None:
            await before.close(REPLACED, "replaced")
        logger.info("agent %s of %s connected", connection.identity.name, connection.identity.workspace)
        if not self._rechecking:
            self._rechecking = True
            self._spawn(self._recheck())
        try:
            await connection.serve()
        finally:
            await asyncio.shield(self._gone(connection))

    async def revoke(self, connection: Connection) -> None:
        """The build of this agent is over: end its connection and all its streams."""
        await connection.close(REVOKED, "revoked")
        self._gateway.streams.revoke(connection.identity.agent_id)

    async def _gone(self, connection: Connection) -> None:
        agent_id = connection.identity.agent_id
        if self._connections.get(agent_id) is connection:
            del self._connections[agent_id]
            self._gateway.streams.release(agent_id)
        core = self._gateway.core
        if not core.presence.disconnected(agent_id, connection.id) or self._gateway.closing.is_set():
            return
        logger.info("agent %s of %s left", connection.identity.name, connection.identity.workspace)
        try:
            await self._gateway.calls(agents.disconnected, core, connection.identity.actor, agent_id)
        except SteadError as error:
            logger.info("could not note that agent %s left: %s", agent_id, error)

    # From the rest of the server

    def subscribe(self) -> contextlib.ExitStack:
        """Follow announcements that concern connected agents; closing what is returned ends it."""
        loop = asyncio.get_running_loop()

        def workspace_changed(topic: str, payload: Payload) -> None:
            del payload
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._check_workspace, topic.partition(":")[2])

        def shutdown_asked(topic: str, payload: Payload) -> None:
            del payload
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._shut_down, topic.partition(":")[2])

        stack = contextlib.ExitStack()
        stack.enter_context(self._gateway.core.bus.subscribe(f"{shutdown.TOPIC}:*", shutdown_asked))
        stack.enter_context(self._gateway.core.bus.subscribe("workspace:*", workspace_changed))
        return stack

    def can(self, agent_id: str, capability: str) -> bool:
        """Whether this agent is connected here and has said that it can."""
        connection = self._connections.get(agent_id)
        return connection is not None and capability in connection.capabilities

    async def notify(self, agent_id: str, method: str, **params: Any) -> bool:
        """Tell one agent something; whether it is connected."""
        connection = self._connections.get(agent_id)
        if connection is not None:
            await connection.notify(method, **params)
        return connection is not None

    def tunnel_changed(self) -> None:
        """Tell every agent where the tunnel is now."""
        for connection in list(self._connections.values()):
            if connection.said_hello:
                self._spawn(connection.notify("tunnel", tunnel=connection.tunnel_offer()))

    def paths_changed(self) -> None:
        """Bring what is shown of agents' paths up to date: a tunnel becomes direct or relayed without a word."""
        for agent_id in list(self._connections):
            self.path_changed(agent_id)

    def path_changed(self, agent_id: str) -> None:
        presence = self._gateway.core.presence
        live, path = presence.get(agent_id), self._gateway.path(agent_id)
        if live is not None and path is not None and live.path is not path:
            presence.set_path(agent_id, path, live.latency_ms)
            self._gateway.core.bus.publish(f"agent:{agent_id}", {"path": path.value})

    def _shut_down(self, workspace_id: str) -> None:
        for connection in list(self._connections.values()):
            if connection.identity.workspace_id == workspace_id:
                self._spawn(connection.notify("shutdown", reason="the workspace ends"))

    def _check_workspace(self, workspace_id: str) -> None:
        for connection in list(self._connections.values()):
            if connection.identity.workspace_id == workspace_id:
                self._spawn(self._check(connection))

    async def _recheck(self) -> None:
        """Ask for all connections together whether their builds go on: announcements may be lost."""
        try:
            while self._connections:
                await asyncio.sleep(RECHECK_SECONDS)
                known = list(self._connections.values())
                for start in range(0, len(known), RECHECK_AT_ONCE):
                    await self._check_some(known[start : start + RECHECK_AT_ONCE])
        finally:
            self._rechecking = False

    async def _check_some(self, connections: Sequence[Connection]) -> None:
        tokens = [connection.token for connection in connections]
        try:
            admitted = await self._gateway.calls(authentication.agents_admitted, self._gateway.core, tokens)
        except Exception:  # boundary: the database may be away for a moment; builds have not ended by that
            logger.warning("could not check the agents' connections", exc_info=True)
            return
        for connection in connections:
            if connection.token not in admitted:
                await self._check(connection)

    async def _check(self, connection: Connection) -> None:
        try:
            await self._gateway.calls(connection.still_admitted)
        except NotAuthenticated:
            await self.revoke(connection)
        except SteadError as error:
            logger.info("could not check agent %s: %s", connection.identity.agent_id, error)

    async def close(self) -> None:
        """The server ends: agents come back to whoever is there next."""
        await asyncio.gather(*(c.close(GOING_AWAY, "restart") for c in list(self._connections.values())))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
