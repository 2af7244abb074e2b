"""The built files in ``static/``: their names, and how they are served."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, abort, request, send_from_directory
from markupsafe import Markup, escape

_STATIC = Path(__file__).resolve().parent.parent / "static"
_MANIFEST = _STATIC / "manifest.json"
_YEAR = 31_536_000
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def init_assets(app: Flask) -> None:
    """Serve the built files compressed and for ever cacheable, and give templates ``asset()`` and ``icon()``."""
    app.view_functions["static"] = serve
    app.jinja_env.globals["asset"] = asset
    app.jinja_env.globals["icon"] = icon


def asset(name: str) -> str:
    """The address of a built file by its plain name, such as ``main.js``."""
    return f"/static/{_manifest(_changed()).get(name, name)}"


def icon(name: str, classes: str = "") -> Markup:
    """An icon of the sprite; decoration, so hidden from screen readers."""
    return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
        classes, asset("icons.svg"), escape(name)
    )


def serve(filename: str) -> Response:
    """A built file, in the best encoding that the browser takes. Names carry hashes, so it never changes."""
    kind = _TYPES.get(Path(filename).suffix)
    if kind is None:
        abort(404)
    encoding, suffix = _encoding(filename)
    response = send_from_directory(_STATIC, filename + suffix, mimetype=kind, max_age=_YEAR)
    if encoding:
        response.headers["Content-Encoding"] = encoding
    if filename != _MANIFEST.name:
        response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    response.vary.add("Accept-Encoding")
    return response


def _encoding(filename: str) -> tuple[str, str]:
    accepted = request.accept_encodings
    for encoding, suffix in _ENCODINGS:
        if accepted.quality(encoding) > 0 and (_STATIC / (filename + suffix)).is_file():
            return encoding, suffix
    return "", ""


def _changed() -> int:
    return _MANIFEST.stat().st_mtime_ns if _MANIFEST.is_file() else 0


@lru_cache(maxsize=2)
def _manifest(_changed_at: int) -> dict[str, str]:
    return json.loads(_MANIFEST.read_text()) if _MANIFEST.is_file() else {}
