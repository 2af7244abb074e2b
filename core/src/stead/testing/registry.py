"""A small image registry on loopback, which a Docker engine of this machine can pull from.

Speaks as much of the distribution API (version 2) as a pull needs, with or without a login. Engines take
registries on loopback without TLS.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stead.testing.docker_api import tar_of

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class ImageRegistry:
    """Images by name. ``login`` is ``user:password`` where the registry wants one."""

    def __init__(self) -> None:
        self.login: str | None = None
        self._blobs: dict[str, bytes] = {}
        self._manifests: dict[str, bytes] = {}
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.answer(self)

            def do_HEAD(self) -> None:
                registry.answer(self)

            def log_message(self, *_: object) -> None:
                """Silence: the server would write to the terminal."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Silence: an engine that has enough hangs up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def add(self, name: str, files: dict[str, bytes], tag: str = "1") -> str:
        """Offer an image with these files; returns the name to pull."""
        layer_tar = tar_of(files, mode=0o755)
        layer = gzip.compress(layer_tar, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/bin/sh"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer_tar)]},
            }
        ).encode()
        described = [(CONFIG, config), (LAYER, layer)]
        entries = [{"mediaType": kind, "size": len(b), "digest": _digest(b)} for kind, b in described]
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": entries[0], "layers": entries[1:]}
        ).encode()
        self._blobs.update({_digest(content): content for _, content in described})
        self._manifests[f"{name}:{tag}"] = self._manifests[f"{name}:{_digest(manifest)}"] = manifest
        return f"{self.address}/{name}:{tag}"

    def digest(self, name: str, tag: str = "1") -> str:
        return _digest(self._manifests[f"{name}:{tag}"])

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        expected = f"Basic {base64.b64encode((self.login or '').encode()).decode()}"
        if self.login is not None and request.headers.get("Authorization") != expected:
            self._refuse(request)
            return
        if request.path == "/v2/":
            self._send(request, b"{}", "application/json")
            return
        name, _, rest = request.path.removeprefix("/v2/").rpartition("/")
        repository, _, kind = name.rpartition("/")
        content = self._blobs.get(rest) if kind == "blobs" else self._manifests.get(f"{repository}:{rest}")
        if content is None:
            error = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
            self._send(request, json.dumps(error).encode(), "application/json", status=404)
        else:
            self._send(request, content, MANIFEST if kind == "manifests" else "application/octet-stream")

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, content: bytes, kind: str, status: int = 200) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.send_header("Docker-Content-Digest", _digest(content))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(content)

    @staticmethod
    def _refuse(request: BaseHTTPRequestHandler) -> None:
        request.send_response(401)
        request.send_header("WWW-Authenticate", 'Basic realm="test"')
        request.send_header("Content-Length", "0")
        request.end_headers()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


@pytest.fixture
def image_registry() -> Iterator[ImageRegistry]:
    """A registry on loopback, empty and without a login."""
    registry = ImageRegistry()
    yield registry
    registry.close()
