"""Opening a WebSocket (RFC 6455, section 4) to a path of the server."""

from __future__ import annotations

import base64
import json
import os
import socket
from hashlib import sha1

from stead.cli.failures import CliError, Unreachable
from stead.cli.transport import Endpoint, endpoint_of, open_socket

SUBPROTOCOL = "stead-stream-1"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LIMIT = 65536


def open_websocket(url: str, token: str, target: str) -> tuple[socket.socket, bytes]:
    """Connect to ``target`` (path and query below the server's URL).

    :returns: the socket, and what the server sent right behind its answer.
    :raises CliError: the server refused, with its reason.
    :raises Unreachable: it did not answer, or not as a WebSocket server.
    """
    endpoint = endpoint_of(url)
    key = base64.b64encode(os.urandom(16)).decode()
    sock = open_socket(endpoint)
    try:
        sock.sendall(_request(endpoint, target, key, token))
        head, rest = _answer(sock)
        _check(head, rest, key, sock)
    except OSError as error:
        sock.close()
        raise Unreachable(f"The server at {endpoint.authority} broke the connection off.") from error
    except CliError:
        sock.close()
        raise
    return sock, rest


def _request(endpoint: Endpoint, target: str, key: str, token: str) -> bytes:
    lines = [
        f"GET {endpoint.prefix}{target} HTTP/1.1",
        f"Host: {endpoint.authority}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
        f"Authorization: Bearer {token}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _answer(sock: socket.socket) -> tuple[list[str], bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        data = sock.recv(_LIMIT)
        received += data
        if not data or len(received) > _LIMIT:
            raise Unreachable("The server's answer is not HTTP.", remedy="Check the URL of the server.")
    head, _, rest = received.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), rest


def _check(head: list[str], rest: bytes, key: str, sock: socket.socket) -> None:
    status = head[0].split(" ")[1] if head[0].count(" ") else ""
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if status != "101":
        raise _refusal(status, _body(headers, rest, sock))
    # SHA-1 is what the protocol asks for; nothing secret depends on it.
    expected = base64.b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    if headers.get("sec-websocket-accept") != expected:
        raise Unreachable("Something between here and the server does not pass WebSockets on.")


def _body(headers: dict[str, str], rest: bytes, sock: socket.socket) -> bytes:
    size = min(int(headers.get("content-length", "0") or 0), _LIMIT)
    while len(rest) < size and (data := sock.recv(_LIMIT)):
        rest += data
    return rest


def _refusal(status: str, body: bytes) -> CliError:
    try:
        error = json.loads(body)["error"]
        return CliError(str(error["message"]), reason=str(error["reason"]), remedy=error.get("remedy"))
    except (ValueError, KeyError, TypeError):
        reason = {"401": "not_authenticated", "403": "forbidden", "404": "not_found"}.get(status, "unavailable")
        return CliError(f"The server refused the connection with {status}.", reason=reason)
