"""Stands between the plugin and a real API server, and lets requests and answers go wrong on the way."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from kubernetes_peer import Server

from stead.testing.waiting import eventually

PATIENCE = 60.0  # seconds
PASSED_ON = ("Authorization", "Content-Type", "Accept")


@dataclass
class Fault:
    """What goes wrong, ``times`` times, with requests of a method to one kind of objects.

    :ivar kind: ``refused`` (answered with ``code`` and ``reason``, and not done), ``cut`` (the connection ends and
        nothing is done), ``lost`` (done, and the connection ends), ``late`` (done, and no answer comes),
        ``broken`` (done, and answered with 500), ``torn`` (done, and half of the answer comes), ``twice`` (done two
        times, and the second answer comes), ``vanished`` (a creation is done, and what it made is gone before its
        answer; what another request is about is gone before the request).
    """

    method: str
    kind: str
    times: int = 1
    code: int = 503
    reason: str = "ServiceUnavailable"
    plural: str = ".*"


@dataclass
class Proxy:
    """:ivar requests: methods and paths that came, in order."""

    server: Server
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            self.requests.append((method, path))
            for fault in self.faults:
                about = re.search(rf"/{fault.plural}(/[^/]+)?$", urlsplit(path).path)
                if fault.times > 0 and fault.method == method and about:
                    fault.times -= 1
                    return fault
        return None

    def vanish(self, path: str) -> None:
        """Remove an object as somebody else would, and wait until it is gone."""
        found = self.server.ask("GET", path)
        if found is None:
            return
        now = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
        self.server.ask("DELETE", path, now)
        uid = found["metadata"]["uid"]
        eventually(
            lambda: (self.server.ask("GET", path) or {"metadata": {}})["metadata"].get("uid") != uid,
            PATIENCE,
            what=f"the end of {path}",
        )


class _Ended(Exception):
    """The connection is to end without an answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and content go at once, or the client waits for the second packet
    proxy: Proxy

    def setup(self) -> None:
        super().setup()
        target = urlsplit(self.proxy.server.url)
        context = ssl.create_default_context(cafile=self.proxy.server.authority)
        self.behind = http.client.HTTPSConnection(target.hostname or "", target.port, timeout=60, context=context)

    def finish(self) -> None:
        self.behind.close()
        super().finish()

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        headers = {name: self.headers[name] for name in PASSED_ON if self.headers.get(name)}
        self.behind.request(self.command, self.path, body or None, headers)
        answer = self.behind.getresponse()
        return answer.status, answer.read()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.fault(self.command, self.path)
        try:
            code, content = self._answer(fault, body) if fault else self._forward(body)
        except _Ended:
            self.close_connection = True
            return
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault is not None and fault.kind == "torn":
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)

    def _answer(self, fault: Fault, body: bytes) -> tuple[int, bytes]:
        if fault.kind == "refused":
            return fault.code, _refusal(fault.code, fault.reason)
        if fault.kind == "cut":
            raise _Ended
        if fault.kind == "vanished" and self.command != "POST":
            self.proxy.vanish(urlsplit(self.path).path)
        answer = self._forward(body)
        if fault.kind == "lost":
            raise _Ended
        if fault.kind == "late":
            self.proxy.released.wait(PATIENCE)
            raise _Ended
        if fault.kind == "broken":
            return 500, _refusal(500, "InternalError")
        if fault.kind == "twice":
            return self._forward(body)
        if fault.kind == "vanished" and self.command == "POST":
            name = json.loads(answer[1])["metadata"]["name"]
            self.proxy.vanish(f"{urlsplit(self.path).path}/{name}")
        return answer

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - named by the standard library

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""


def _refusal(code: int, reason: str) -> bytes:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return json.dumps({**body, "message": f"injected: {reason}"}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone."""


@contextmanager
def proxied(server: Server) -> Iterator[Proxy]:
    """A proxy on a free port."""
    proxy = Proxy(server)
    listener = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{listener.server_address[1]}"
    try:
        yield proxy
    finally:
        proxy.released.set()
        listener.shutdown()
        listener.server_close()
        thread.join(30)
