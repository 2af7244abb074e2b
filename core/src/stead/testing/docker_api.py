"""The few calls of the Docker Engine API that fixtures need, without an SDK."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

TIMEOUT = httpx.Timeout(120.0, connect=5.0)


class DockerRefused(RuntimeError):
    """The engine answered with an error; the message is its own."""


class DockerApi:
    """A connection to the engine at ``url`` (``unix:///path`` or ``tcp://host:port``)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            transport = httpx.HTTPTransport(uds=parts.path)
            base = "http://docker"
        else:
            transport = httpx.HTTPTransport()
            base = f"http://{parts.netloc}"
        self.url = url
        self._client = httpx.Client(transport=transport, base_url=base, timeout=TIMEOUT, trust_env=False)

    def __enter__(self) -> DockerApi:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = self._client.request(method, path, **options)
        if response.is_error:
            raise DockerRefused(f"{method} {path}: {response.status_code} {response.text.strip()}")
        return response

    def answers(self) -> bool:
        try:
            return self._client.get("/_ping", timeout=5.0).status_code == 200
        except httpx.TransportError:
            return False

    def inspect_image(self, tag: str) -> dict[str, Any] | None:
        """What the engine tells of the image, or None where it has none of that name."""
        response = self._client.get(f"/images/{tag}/json")
        if response.status_code == 404:
            return None
        found: dict[str, Any] = response.raise_for_status().json()
        return found

    def image_labels(self, tag: str) -> dict[str, str] | None:
        """The image's labels, or None where the engine has no such image."""
        found = self.inspect_image(tag)
        return None if found is None else (found.get("Config") or {}).get("Labels") or {}

    def discard_image(self, identity: str) -> None:
        """Remove an image that has lost its name; one that is still used stays."""
        self._client.delete(f"/images/{identity}")

    def import_image(self, tag: str, root: Iterable[bytes], changes: Iterable[str]) -> None:
        """Make an image of one layer from a tar stream; ``changes`` are Dockerfile lines."""
        repository, _, version = tag.rpartition(":")
        query = [("fromSrc", "-"), ("repo", repository), ("tag", version), *(("changes", c) for c in changes)]
        headers = {"Content-Type": "application/x-tar"}
        _finish(self.call("POST", "/images/create", params=query, content=root, headers=headers))

    def build_image(self, tag: str, dockerfile: str, labels: Mapping[str, str]) -> None:
        """Build from a Dockerfile that needs no context."""
        query = {"t": tag, "labels": json.dumps(dict(labels)), "forcerm": "1", "networkmode": "none"}
        headers = {"Content-Type": "application/x-tar"}
        context = tar_of({"Dockerfile": dockerfile.encode()})
        _finish(self.call("POST", "/build", params=query, content=context, headers=headers))


def _finish(response: httpx.Response) -> None:
    """Image calls answer 200 and tell of errors in their stream."""
    for line in response.text.splitlines():
        if line.strip() and "error" in (message := json.loads(line)):
            raise DockerRefused(message["error"])


def tar_of(files: Mapping[str, bytes], *, mode: int = 0o644) -> bytes:
    """A tar archive with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
