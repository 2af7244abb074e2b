"""The REST API as the command line uses it: JSON in and out, uploads, and streams of events."""

from __future__ import annotations

import http.client
import json
import platform
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, cast
from urllib.parse import quote, urlencode

from stead import VERSION
from stead.cli.failures import CliError, Unreachable
from stead.cli.session import Session
from stead.cli.transport import Endpoint, endpoint_of, open_socket

Json = dict[str, Any]

REQUEST_SECONDS = 60.0
_PREFIX = "/api/v2"
_CHUNK = 64 * 1024
# What OpenSSL says, by its version, where the answer to a TLS greeting is not TLS.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"})
_USER_AGENT = f"stead-cli/{VERSION} ({platform.system()}; {platform.machine()})"


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket of :mod:`stead.cli.transport`."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        super().__init__(endpoint.host, endpoint.port, timeout=timeout)
        self._endpoint = endpoint
        self._seconds = timeout

    def connect(self) -> None:
        try:
            self.sock = open_socket(self._endpoint)
        except Unreachable as error:
            if getattr(error.__cause__, "reason", None) in _NO_TLS:
                raise _plain_http(self._endpoint) from error
            raise
        self.sock.settimeout(self._seconds)


class Client:
    """One server, with or without a token. Keeps one connection open between requests."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._endpoint = endpoint_of(self.url)
        self._token = token
        self._connection: _Connection | None = None

    @classmethod
    def of(cls, session: Session) -> Client:
        return cls(session.url, session.token)

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.call("POST", path, body=body or {})

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """One request below ``/api/v2``; returns what the JSON answer holds, or None where it is empty.

        :raises CliError: the server refused, with its own reason, field and remedy.
        :raises Unreachable: it did not answer.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = None if body is None else json.dumps(body).encode()
        response = self._send(method, _target(path, query), content, headers)
        return _decoded(response, response.read())

    def download(self, path: str) -> bytes:
        """The bytes that ``path`` answers."""
        response = self._send("GET", _target(path, None), None, {})
        content = response.read()
        if response.status >= 400:
            raise _failure(response, content)
        return content

    def upload(self, path: str, file: IO[bytes], filename: str, fields: Mapping[str, str]) -> Any:
        """Post a multipart form whose part ``archive`` is read from ``file`` while it is sent."""
        boundary = secrets.token_hex(16)
        size = file.seek(0, 2)
        file.seek(0)
        head, tail = _form_around(boundary, filename, fields)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + size + len(tail)),
        }
        response = self._send("POST", _target(path, None), _parts(head, file, tail), headers)
        return _decoded(response, response.read())

    @contextmanager
    def stream(
        self, path: str, *, last_event_id: str = "", timeout: float = REQUEST_SECONDS
    ) -> Iterator[http.client.HTTPResponse]:
        """An event stream on a connection of its own.

        :param timeout: longest silence; servers send comments in between.
        """
        connection = _Connection(self._endpoint, timeout)
        headers = self._headers() | {"Accept": "text/event-stream"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        try:
            with _network_errors(self._endpoint):
                connection.request("GET", self._endpoint.prefix + _target(path, None), headers=headers)
                response = connection.getresponse()
                if response.status != 200:
                    raise _failure(response, response.read())
            yield response
        finally:
            connection.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": _USER_AGENT, "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _send(self, method: str, target: str, content: Any, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        # A connection that was kept open may have been closed by the server meanwhile. A GET is then made
        # again; what changes something goes over a fresh connection, so that it need not be.
        if method != "GET":
            self.close()
        reused = self._connection is not None
        try:
            return self._exchange(method, target, content, headers)
        except Unreachable as error:
            self.close()
            if not (reused and isinstance(error.__cause__, http.client.RemoteDisconnected)):
                raise
            return self._exchange(method, target, content, headers)

    def _exchange(self, method: str, target: str, content: Any, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = _Connection(self._endpoint, REQUEST_SECONDS)
        with _network_errors(self._endpoint):
            with suppress(BrokenPipeError, ConnectionResetError):
                # A server that refuses an upload answers before it has read all of it.
                self._connection.request(
                    method,
                    self._endpoint.prefix + target,
                    body=content,
                    headers=self._headers() | dict(headers),
                )
            return self._connection.getresponse()


def _plain_http(endpoint: Endpoint) -> Unreachable:
    plain = endpoint._replace(secure=False)
    return Unreachable(
        f"The server at {endpoint.authority} does not speak https.",
        remedy=f"If it serves plain http, sign in with stead login http://{plain.authority}{plain.prefix}.",
    )


def segment(ref: str) -> str:
    """A name or id as one segment of a path; the slash of ``owner/name`` is escaped."""
    return quote(ref, safe="")


def pages(client: Client, path: str, **query: Any) -> Iterator[Json]:
    """Every item of a listing, page by page."""
    offset = 0
    while True:
        page = client.get(path, limit=500, offset=offset, **query)
        yield from page["items"]
        offset += len(page["items"])
        if not page["items"] or offset >= page["total"]:
            return


@contextmanager
def _network_errors(endpoint: Endpoint) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        silent = isinstance(error, TimeoutError | socket.timeout)
        why = "did not answer in time" if silent else "broke the connection off"
        raise Unreachable(
            f"The server at {endpoint.authority} {why}.", remedy="Check that the server runs, and try again."
        ) from error


def _target(path: str, query: Mapping[str, Any] | None) -> str:
    given = {name: str(value) for name, value in (query or {}).items() if value is not None}
    target = path if path == "/healthz" else _PREFIX + path
    return f"{target}?{urlencode(given)}" if given else target


def _decoded(response: http.client.HTTPResponse, content: bytes) -> Any:
    if response.status >= 400:
        raise _failure(response, content)
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise Unreachable(
            "The answer is not JSON.", remedy="Is this the address of a Stead server? See stead login."
        ) from error


def _failure(response: http.client.HTTPResponse, content: bytes) -> CliError:
    try:
        error = cast("Json", json.loads(content)["error"])
        message, reason, remedy = str(error["message"]), str(error["reason"]), error.get("remedy")
        if response.status >= 500:
            return Unreachable(message, remedy=remedy)
        return CliError(message, reason=reason, field=error.get("field"), remedy=remedy)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Unreachable(f"The server answered {response.status} {response.reason}.")


def _form_around(boundary: str, filename: str, fields: Mapping[str, str]) -> tuple[bytes, bytes]:
    head = b""
    for name, value in fields.items():
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    safe = filename.replace('"', "_").replace("\r", "_").replace("\n", "_")
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="archive"; filename="{safe}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    return head, f"\r\n--{boundary}--\r\n".encode()


def _parts(head: bytes, file: IO[bytes], tail: bytes) -> Iterator[bytes]:
    yield head
    while chunk := file.read(_CHUNK):
        yield chunk
    yield tail
