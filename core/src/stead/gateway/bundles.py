"""The agent bundles under ``/bin/``: immutable files with digests, and the bootstrap scripts."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from stead.api.errors import NotFound
from stead.gateway.calls import ServiceCalls
from stead.gateway.failures import answering

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}\Z")
_MAX_SCRIPT = 256 * 1024
IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    path: Path
    stat: os.stat_result
    digest: str


class Bundles:
    """Serves one folder, as ``python -m stead_agent_bundle`` leaves it."""

    def __init__(self, folder: Path, access_url: str, calls: ServiceCalls) -> None:
        self._folder = folder
        self._access_url = access_url
        self._calls = calls
        self._digests: dict[tuple[str, int, int], str] = {}

    @answering
    async def manifest(self, request: Request) -> Response:
        return await self._send(request, "manifest.json", "application/json", "no-cache")

    @answering
    async def bundle(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not name.endswith(".tar.gz"):
            raise _missing(name)
        return await self._send(request, name, "application/gzip", IMMUTABLE)

    @answering
    async def bootstrap(self, request: Request) -> Response:
        name = request.path_params["name"]
        text = await self._calls(self._script, name)
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return PlainTextResponse(text, headers=headers, media_type="text/x-shellscript")

    async def _send(self, request: Request, name: str, media_type: str, cache: str) -> Response:
        found = await self._calls(self._find, name)
        etag = f'"{found.digest}"'
        headers = {"ETag": etag, "Cache-Control": cache, "X-Content-SHA256": found.digest}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        # FileResponse answers ranges, and If-Range by this very tag.
        return FileResponse(found.path, headers=headers, media_type=media_type, stat_result=found.stat)

    def _script(self, name: str) -> str:
        if not name.endswith(".sh"):
            raise _missing(name)
        path = self._inside(Path("bootstrap") / _checked(name))
        return path.read_text()[:_MAX_SCRIPT].replace("${ACCESS_URL}", self._access_url)

    def _find(self, name: str) -> _File:
        path = self._inside(Path(_checked(name)))
        stat = path.stat()
        key = (name, stat.st_mtime_ns, stat.st_size)
        if key not in self._digests:
            with path.open("rb") as stream:
                self._digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        return _File(path, stat, self._digests[key])

    def _inside(self, relative: Path) -> Path:
        path = self._folder / relative
        if not path.is_file():
            raise _missing(relative.name)
        return path

    def is_ready(self) -> bool:
        """Whether a bundle was built at all."""
        try:
            return bool(json.loads((self._folder / "manifest.json").read_text())["bundles"])
        except (OSError, ValueError, KeyError, TypeError):
            return False


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise _missing(name)
    return name


def _missing(name: str) -> NotFound:
    return NotFound(
        f"There is no agent bundle {name[:80]!r} here.",
        remedy="An administrator makes the bundles with `python -m stead_agent_bundle`.",
    )
