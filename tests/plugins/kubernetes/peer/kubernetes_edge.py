"""A scripted edge: an HTTP server that gives the answers it is told, one after the other, and keeps the requests."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

LOST = "lost"  # the connection breaks before the answer
SILENT = "silent"  # no answer within the client's timeout


@dataclass
class Request:
    method: str
    path: str
    body: Any
    headers: dict[str, str]


@dataclass
class Edge:
    """:ivar answers: (status, body) each, LOST or SILENT; the last one stays. A body may be made
    from the request, or be bytes that go out as they are."""

    answers: list[Any] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    def next(self) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def status(code: int, reason: str, message: str = "", **details: Any) -> tuple[int, dict[str, Any]]:
    """An answer that refuses."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return code, {**body, "message": message or reason, "details": details}


def handler(edge: Edge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and content are two packets: each answer would take 40 ms longer

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, json.loads(raw) if raw else None, dict(self.headers))
            edge.requests.append(request)
            answer = edge.next()
            if answer == SILENT:
                edge.released.wait(60)
            if answer in (LOST, SILENT):
                self.close_connection = True
                return
            code, body = answer
            made = body(request) if callable(body) else body
            content = made if isinstance(made, bytes) else json.dumps(made).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def echoed(request: Request) -> dict[str, Any]:
    """The object of a request as the API server gives it back."""
    split = urlsplit(request.path).path.split("/")
    namespace = split[split.index("namespaces") + 1] if "namespaces" in split[:-1] else None
    metadata = {"uid": "u1", "resourceVersion": "7", **request.body["metadata"]}
    if namespace:
        metadata["namespace"] = namespace
    return {**request.body, "metadata": metadata}
