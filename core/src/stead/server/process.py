"""One server process: the parts, in the order in which they start, and the reverse in which they end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any, cast

import uvicorn
from a2wsgi import WSGIMiddleware
from starlette.types import ASGIApp

from stead.broker.supervisor import Supervisor
from stead.config import Settings, split_address
from stead.gateway.app import create_app
from stead.gateway.rpc import AgentRpc
from stead.gateway.state import Gateway
from stead.gateway.upgrade import protocol_factory
from stead.network.streams.listener import TunnelListener
from stead.network.stun import serve_stun
from stead.network.tailcat import RelayAccess, Tailcat, TailcatUnavailable
from stead.network.tunnel import TunnelServer
from stead.server import listeners
from stead.server.apart import SignInsApart
from stead.server.bodies import ReadBodiesFirst
from stead.server.bundle import provide_bundle
from stead.server.certificate import pinned_certificate
from stead.services import ticks
from stead.services.core import Core

logger = logging.getLogger(__name__)

ALWAYS_RELAY = "TS_DEBUG_ALWAYS_USE_DERP"  # of the tunnel program itself, for tests
WEB_THREADS = 8
SIGN_IN_THREADS = 24  # of which most wait for a provider
WEB_QUEUE = 64  # pieces of an answer that a slow reader may leave unsent before it holds a thread
DRAIN_SECONDS = 5
PATH_SECONDS = 2.0
PING_SECONDS = 15.0
MAX_WEBSOCKET_MESSAGE = 1024 * 1024


class WebServer(uvicorn.Server):
    """uvicorn without signal handlers: the process around it has its own. It wakes up once a second, not ten times."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # which renews the date that answers bear
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._ending.wait()


class ServerProcess:
    """Everything that runs in the event loop of ``stead server``."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.settings: Settings = core.settings
        self._stopping = asyncio.Event()
        self._cleanups: list[tuple[str, Callable[[], Awaitable[Any] | None]]] = []
        self._background: set[asyncio.Task[None]] = set()

    def request_stop(self) -> None:
        """Begin an orderly end; safe to call often."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until :meth:`request_stop`, then end everything that was started."""
        try:
            await self._start()
            await self._stopping.wait()
            logger.info("stopping")
        finally:
            for name, cleanup in reversed(self._cleanups):
                await self._clean(name, cleanup)

    async def _clean(self, name: str, cleanup: Callable[[], Awaitable[Any] | None]) -> None:
        try:
            pending = cleanup()
            if pending is not None:
                await pending
        except Exception:  # boundary: one part that does not end well must not keep the next from ending
            logger.exception("%s did not end well", name)

    def _at_end(self, name: str, cleanup: Callable[[], Awaitable[Any] | None]) -> None:
        self._cleanups.append((name, cleanup))

    async def _start(self) -> None:
        # The sockets come first: a taken port has to stop the start before anything else is touched.
        sockets = listeners.bind_all(self.settings)
        self._at_end("sockets", lambda: listeners.close_all(sockets))
        gateway = await self._start_gateway()
        tunnel_listener = await self._start_streams(gateway)
        relay_port = await self._start_web(gateway, sockets)
        await self._start_tunnel(gateway, tunnel_listener, relay_port)
        self._start_helpers(gateway)
        self._run_in_background(provide_bundle(self.settings))
        logger.info("serving %s", self.settings.access_url)

    async def _start_gateway(self) -> Gateway:
        stun_port = await self._start_stun()
        pinned = pinned_certificate(self.settings.tls_cert_file)
        gateway = Gateway(
            self.core,
            stun_port=stun_port,
            certificate_digest=pinned.digest if pinned else None,
            certificate_pem=pinned.pem if pinned else None,
        )
        self._at_end("calls", gateway.calls.close)
        self.core.presence.serving = True
        return gateway

    async def _start_stun(self) -> int | None:
        if not (self.settings.relay and self.settings.stun):
            return None
        host, port = split_address(self.settings.stun_address)
        try:
            transport = await serve_stun(host, port)
        except OSError as error:
            logger.warning(
                "no STUN on %s (%s): agents behind NAT will be relayed; set stun_address to a free UDP port",
                self.settings.stun_address,
                error.strerror or error,
            )
            return None
        self._at_end("stun", transport.close)
        bound: int = transport.get_extra_info("sockname")[1]
        return bound

    async def _start_streams(self, gateway: Gateway) -> TunnelListener:
        listener = TunnelListener(gateway.streams)
        await listener.start()
        self._at_end("tunnel listener", listener.stop)
        return listener

    async def _start_web(self, gateway: Gateway, sockets: list[Any]) -> int:
        """Serve HTTP; returns the plain HTTP port on which our own tunnel process finds the relay."""
        app = create_app(gateway, self._web_application())
        # Our own tunnel process needs the relay on loopback, whatever people reach us by, and without TLS.
        inner = listeners.bind("127.0.0.1:0")
        servers = [
            await self._serve(gateway, app, sockets, tls=True),
            await self._serve(gateway, app, [inner], tls=False),
        ]
        self._at_end("web server", lambda: self._stop_web(gateway, servers))
        port: int = inner.getsockname()[1]
        return port

    def _web_application(self) -> ASGIApp:
        flask_app = import_module("stead.web.app").create_app(self.core)
        web = WSGIMiddleware(flask_app, workers=WEB_THREADS, send_queue_size=WEB_QUEUE)
        sign_ins = WSGIMiddleware(flask_app, workers=SIGN_IN_THREADS, send_queue_size=WEB_QUEUE)
        return ReadBodiesFirst(SignInsApart(cast("ASGIApp", web), cast("ASGIApp", sign_ins)))

    async def _serve(
        self, gateway: Gateway, app: Any, sockets: list[Any], *, tls: bool
    ) -> tuple[WebServer, asyncio.Task[None]]:
        settings = self.settings
        cert, key = (settings.tls_cert_file, settings.tls_key_file) if tls else (None, None)
        config = uvicorn.Config(
            app,
            http=protocol_factory(gateway.relay),  # type: ignore[arg-type]  # any factory of protocols will do
            ws="websockets-sansio",
            ws_max_size=MAX_WEBSOCKET_MESSAGE,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_SECONDS,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_graceful_shutdown=DRAIN_SECONDS,
            ssl_certfile=str(cert) if cert else None,
            ssl_keyfile=str(key) if key else None,
        )
        server = WebServer(config)
        task = asyncio.create_task(server.serve(sockets=sockets), name="web server")
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn says it by this flag alone
            await asyncio.sleep(0.005)
        if task.done():
            task.result()
        return server, task

    async def _stop_web(self, gateway: Gateway, servers: list[tuple[WebServer, asyncio.Task[None]]]) -> None:
        if gateway.rpc is not None:
            await gateway.rpc.close()
        gateway.close()
        for server, _ in servers:
            server.end()
        await asyncio.gather(*(task for _, task in servers))

    async def _start_tunnel(self, gateway: Gateway, listener: TunnelListener, relay_port: int) -> None:
        if not (self.settings.tunnel and self.settings.relay):
            return
        try:
            tailcat = await asyncio.to_thread(Tailcat.find)
            tunnel = TunnelServer(
                tailcat,
                folder=self.settings.data_dir / "tunnel",
                port=listener.port,
                relay=RelayAccess(
                    f"http://127.0.0.1:{relay_port}/derp/map.json",
                    plain_http=True,
                    always=os.environ.get(ALWAYS_RELAY) == "true",
                ),
                admission=gateway.admission,
                changed=lambda: gateway.rpc.tunnel_changed() if gateway.rpc else None,
            )
            gateway.tunnel = tunnel
            await tunnel.start()
            self._at_end("tunnel", tunnel.stop)
        except TailcatUnavailable as error:
            gateway.tunnel = None
            logger.warning("no tunnel: %s Agents connect over WebSocket.", error)

    def _start_helpers(self, gateway: Gateway) -> None:
        clockwork = ticks.start(self.core)
        self._at_end("ticks", lambda: asyncio.to_thread(clockwork.stop))
        provisioners = Supervisor(self.core)
        provisioners.start()
        self._at_end("provisioners", lambda: asyncio.to_thread(provisioners.stop))
        if gateway.rpc is not None:
            self._at_end("announcements", gateway.rpc.subscribe().close)
            self._run_in_background(_watch_paths(gateway.rpc))

    def _run_in_background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        self._at_end("background", lambda: _cancel(task))


async def _watch_paths(rpc: AgentRpc) -> None:
    while True:
        await asyncio.sleep(PATH_SECONDS)
        rpc.paths_changed()


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
