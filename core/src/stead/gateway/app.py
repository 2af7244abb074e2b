"""The ASGI application of a server process: live routes here, everything else in the web application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from stead import VERSION
from stead.api.errors import NotFound
from stead.gateway.agent_streams import AgentStreams, MovedAgentStreams
from stead.gateway.bundles import Bundles
from stead.gateway.failures import failure_response
from stead.gateway.identity import IdentityRoutes
from stead.gateway.live import LiveStreams
from stead.gateway.moves import Moves
from stead.gateway.person_streams import PersonStreams, RawPersonStreams
from stead.gateway.relay_map import RelayDocuments
from stead.gateway.rpc import AgentRpc
from stead.gateway.state import Gateway
from stead.services import deployment


def create_app(gateway: Gateway, web: ASGIApp | None = None) -> ASGIApp:
    """
    :param web: serves every HTTP path that the gateway does not know.
    """
    app = Starlette(routes=_routes(gateway))
    app.router.redirect_slashes = False
    app.router.default = Fallback(web)
    return app


class Fallback:
    """What has no live route: HTTP goes on to the web application, WebSockets end."""

    def __init__(self, web: ASGIApp | None) -> None:
        self._web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4404})
        elif self._web is not None:
            await self._web(scope, receive, send)
        else:
            await failure_response(NotFound("There is nothing at this address."))(scope, receive, send)


def _routes(gateway: Gateway) -> list[BaseRoute]:
    settings = gateway.core.settings
    bundles = Bundles(settings.bundle_dir, settings.access_url, gateway.calls)
    relay = RelayDocuments(gateway)
    gateway.moves = Moves(gateway)
    live = LiveStreams(gateway)
    identity = IdentityRoutes(gateway)

    async def health(request: Request) -> Response:
        del request
        await gateway.calls(deployment.status, gateway.core)
        tunnel = "off" if gateway.tunnel is None else "up" if gateway.tunnel.address else "down"
        return JSONResponse({"status": "ok", "version": VERSION, "tunnel": tunnel})

    return [
        Route("/healthz", health),
        Route("/bin/manifest.json", bundles.manifest),
        Route("/bin/bootstrap/{name}", bundles.bootstrap),
        Route("/bin/{name}", bundles.bundle),
        Route("/derp", relay.not_upgraded),
        Route("/derp/map.json", relay.map),
        Route("/derp/probe", relay.probe),
        Route("/derp/latency-check", relay.probe),
        Route("/api/v2/agent/identity/challenge", identity.challenge, methods=["POST"]),
        Route("/api/v2/agent/identity/session", identity.session, methods=["POST"]),
        WebSocketRoute("/api/v2/agent/rpc", AgentRpc(gateway).endpoint),
        WebSocketRoute("/api/v2/agent/stream", AgentStreams(gateway).endpoint),
        Route("/api/v2/agent/stream", MovedAgentStreams(gateway).endpoint),
        WebSocketRoute("/api/v2/workspaces/{ref:path}/stream", PersonStreams(gateway).endpoint),
        Route("/api/v2/workspaces/{ref:path}/stream", RawPersonStreams(gateway).endpoint),
        Route("/api/v2/builds/{id}/logs/stream", live.build_log),
        Route("/api/v2/template-versions/{id}/logs/stream", live.import_log),
        Route("/api/v2/agents/{id}/logs/stream", live.agent_log),
        Route("/api/v2/workspaces/{ref:path}/watch", live.workspace),
        Route("/api/v2/watch", live.all_workspaces),
    ]
