"""How requests come in: bodies in chunks, uploads straight to a file, and ``%2F`` in a path as one segment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from flask import Request
from werkzeug.routing import UnicodeConverter

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ENCODED_SLASH = "%2F"


class BoundedRequest(Request):
    """A request whose uploaded files never stand in memory, and which can be handed on by their path."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        del total_content_length, content_type, filename, content_length
        return tempfile.NamedTemporaryFile("wb+", prefix="stead-upload-")


class KeepEncodedSlashes:
    """Middleware: a ``%2F`` in the request's path is data (``owner%2Fname``), not a separator.

    WSGI hands the path over decoded. The raw path, where the server in front tells it, has the difference;
    :class:`RefConverter` decodes what is left of it.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raw = _raw_path(environ)
        if "%2f" in raw.lower():
            environ["PATH_INFO"] = _decode_but_slashes(raw)
        return self.app(environ, start_response)


class ReadChunkedBodies:
    """Middleware: a body of no announced length is read to its end.

    Without it, a body in chunks would count as none. Only an ASGI server in front promises that reading ends.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "asgi.scope" in environ and "CONTENT_LENGTH" not in environ:
            environ["wsgi.input_terminated"] = True
        return self.app(environ, start_response)


def _raw_path(environ: WSGIEnvironment) -> str:
    scope = environ.get("asgi.scope")
    if scope is not None:
        return bytes(scope.get("raw_path") or b"").decode("latin-1").partition("?")[0]
    return str(environ.get("REQUEST_URI") or environ.get("RAW_URI") or "").partition("?")[0]


def _decode_but_slashes(raw: str) -> str:
    kept = raw.replace("%2f", "%252F").replace("%2F", "%252F")
    return unquote_to_bytes(kept).decode("latin-1")


class RefConverter(UnicodeConverter):
    """A path segment that names a thing: an id, a name, or ``owner%2Fname``."""

    def to_python(self, value: str) -> str:
        return value.replace(ENCODED_SLASH, "/")

    def to_url(self, value: str) -> str:
        return super().to_url(value).replace("/", ENCODED_SLASH)
