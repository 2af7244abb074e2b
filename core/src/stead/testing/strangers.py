"""What answers in place of a platform: a page to sign in at, a proxy that gives up, an answer that is cut off.

A plugin says of each that the platform cannot be reached, and does not take it for an answer that lists nothing::

    @pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
    def test_strangers(answer):
        with stranger(answer) as address:
            ...
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Stands in the answers: no message may repeat what a stranger says.
SAID = "aHVudGVy"
STRANGE: dict[str, tuple[int, str, bytes]] = {
    "page": (200, "text/html", f"<html><body><h1>Sign in</h1>{SAID}</body></html>".encode()),
    "proxy": (502, "text/html", f"<html><body>{SAID}</body></html>".encode()),
    "cut off": (200, "application/json", f'{{"items": [{{"metadata": {{"name": "{SAID}'.encode()),
    "empty": (200, "application/json", b""),
    "failed": (500, "text/plain", b""),
    "null": (200, "application/json", b"null"),
    "list": (200, "application/json", b"[1, 2]"),
    "bytes": (200, "application/octet-stream", bytes(range(256))),
}


@contextmanager
def stranger(answer: tuple[int, str, bytes]) -> Iterator[str]:
    """The address of a server that answers everything in this way: status, type of content, content."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # headers and body in one packet

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind, content = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815 - names of the library

        def log_message(self, *arguments: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
