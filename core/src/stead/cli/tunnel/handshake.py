"""Opening a stream to the server: an HTTP upgrade to bare bytes, or to a WebSocket (RFC 6455, section 4)."""

from __future__ import annotations

import os
import socket
from binascii import b2a_base64
from typing import NamedTuple

from stead.cli.failures import CliError, Unreachable
from stead.cli.transport import Endpoint, endpoint_of, open_socket

SUBPROTOCOL = "stead-stream-1"
ANSWER_SECONDS = 30.0  # the server waits for the agent before it answers an upgrade to bare bytes

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LIMIT = 65536


class _NotPassedOn(Exception):
    """Something in between answered, or the server is one that does not know this upgrade."""


class Opened(NamedTuple):
    """A connection that is a stream now.

    :param received: what the server sent right behind its answer.
    :param framed: whether its bytes come in WebSocket frames.
    """

    sock: socket.socket
    received: bytes
    framed: bool


def open_stream(url: str, token: str, target: str) -> Opened:
    """Connect to ``target`` (path and query below the server's URL), over WebSocket where nothing less passes.

    :raises CliError: the server refused, with its reason.
    :raises Unreachable: it did not answer.
    """
    if not os.environ.get("STEAD_SSH_WEBSOCKET"):
        try:
            return Opened(*_open_raw(url, token, target), framed=False)
        except _NotPassedOn:
            pass
    return Opened(*open_websocket(url, token, target), framed=True)


def _open_raw(url: str, token: str, target: str) -> tuple[socket.socket, bytes]:
    endpoint = endpoint_of(url)
    sock = open_socket(endpoint)
    try:
        sock.settimeout(ANSWER_SECONDS)
        sock.sendall(_request(endpoint, target, token, [f"Upgrade: {SUBPROTOCOL}"]))
        status, headers, rest = _answer(sock)
        if status == "101" and headers.get("upgrade", "").lower() == SUBPROTOCOL:
            return sock, rest
        error = _told(_body(headers, rest, sock)) if status != "426" else None
        if error is None:
            raise _NotPassedOn
        raise error
    except (OSError, Unreachable):
        sock.close()
        raise _NotPassedOn from None
    except (CliError, _NotPassedOn):
        sock.close()
        raise


def open_websocket(url: str, token: str, target: str) -> tuple[socket.socket, bytes]:
    """Connect to ``target`` (path and query below the server's URL).

    :returns: the socket, and what the server sent right behind its answer.
    :raises CliError: the server refused, with its reason.
    :raises Unreachable: it did not answer, or not as a WebSocket server.
    """
    endpoint = endpoint_of(url)
    key = b2a_base64(os.urandom(16), newline=False).decode()
    sock = open_socket(endpoint)
    try:
        sock.sendall(
            _request(
                endpoint,
                target,
                token,
                [
                    "Upgrade: websocket",
                    "Sec-WebSocket-Version: 13",
                    f"Sec-WebSocket-Key: {key}",
                    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
                ],
            )
        )
        status, headers, rest = _answer(sock)
        if status != "101":
            raise _refusal(status, _body(headers, rest, sock))
        if headers.get("sec-websocket-accept") != _accept(key):
            raise Unreachable("Something between here and the server does not pass WebSockets on.")
    except OSError as error:
        sock.close()
        raise Unreachable(f"The server at {endpoint.authority} broke the connection off.") from error
    except CliError:
        sock.close()
        raise
    return sock, rest


def _request(endpoint: Endpoint, target: str, token: str, more: list[str]) -> bytes:
    lines = [
        f"GET {endpoint.prefix}{target} HTTP/1.1",
        f"Host: {endpoint.authority}",
        "Connection: Upgrade",
        *more,
        f"Authorization: Bearer {token}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _answer(sock: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Status, headers with small names, and what came behind them."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = sock.recv(_LIMIT)
        received += data
        if not data or len(received) > _LIMIT:
            raise Unreachable("The server's answer is not HTTP.", remedy="Check the URL of the server.")
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first.split(" ")[1] if " " in first else "", headers, rest


def _accept(key: str) -> str:
    import hashlib  # with OpenSSL below it; bare bytes need none of it

    # SHA-1 is what the protocol asks for; nothing secret depends on it.
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return b2a_base64(digest, newline=False).decode()


def _body(headers: dict[str, str], rest: bytes, sock: socket.socket) -> bytes:
    size = min(int(headers.get("content-length", "0") or 0), _LIMIT)
    while len(rest) < size and (data := sock.recv(_LIMIT)):
        rest += data
    return rest


def _told(body: bytes) -> CliError | None:
    """The error that a server of ours wrote; None where it was somebody else."""
    import json  # only where something went wrong

    try:
        error = json.loads(body)["error"]
        return CliError(str(error["message"]), reason=str(error["reason"]), remedy=error.get("remedy"))
    except (ValueError, KeyError, TypeError):
        return None


def _refusal(status: str, body: bytes) -> CliError:
    reason = {"401": "not_authenticated", "403": "forbidden", "404": "not_found"}.get(status, "unavailable")
    return _told(body) or CliError(f"The server refused the connection with {status}.", reason=reason)
