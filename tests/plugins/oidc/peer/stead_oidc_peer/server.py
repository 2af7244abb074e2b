"""A small HTTP server on a thread, whose answers are functions."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def token(self) -> str:
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind == "Bearer" else ""


@dataclass(frozen=True)
class Reply:
    """``drip`` sends the body byte by byte, with so many seconds between two."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: float = 0.0
    wait: float = 0.0

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


Route = Callable[[Request], Reply]


class Server:
    """Answers by ``routes``: ``"GET /path"``, or ``"GET /path/*"`` for all below.

    :param tls: certificate and key files.
    """

    def __init__(self, tls: tuple[str, str] | None = None) -> None:
        self.routes: dict[str, Route] = {}
        self.requests: list[Request] = []
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, path: str) -> int:
        return sum(request.path == path for request in self.requests)

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        route = self.routes.get(f"{request.method} {request.path}")
        if route is None:
            parent = request.path.rpartition("/")[0]
            route = self.routes.get(f"{request.method} {parent}/*")
        return route(request) if route else Reply({"message": "Not Found"}, 404)

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the server."""
        self._ended.wait(seconds)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two packets: each answer would take 40 ms longer

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            try:
                reply = server.answer(Request(self.command, parts.path, query, headers, body))
            except ConnectionAbortedError:
                self.close_connection = True
                return
            server.pause(reply.wait)
            try:
                _send(self, server, reply)
            except OSError:
                self.close_connection = True  # the client has had enough

    return Handler


def _send(handler: BaseHTTPRequestHandler, server: Server, reply: Reply) -> None:
    content = reply.content()
    handler.send_response(reply.status)
    handler.send_header("content-length", str(len(content)))
    for name, value in {"content-type": "application/json", **reply.headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if not reply.drip:
        handler.wfile.write(content)
        return
    for at in range(len(content)):
        handler.wfile.write(content[at : at + 1])
        server.pause(reply.drip)


def now() -> int:
    return int(time.time())
