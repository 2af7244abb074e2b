"""A socket to the server: TCP, through a proxy where the environment names one, with TLS for https."""

from __future__ import annotations

import os
import socket
from binascii import b2a_base64
from typing import TYPE_CHECKING, NamedTuple

from stead.cli.failures import Unreachable, usage_error

if TYPE_CHECKING:
    from urllib.parse import SplitResult

CONNECT_SECONDS = 10.0
_PROXY_ANSWER_LIMIT = 16384


class Endpoint(NamedTuple):
    """Where a server listens, taken apart from its URL. ``prefix`` is the path below which it lives."""

    secure: bool
    host: str
    port: int
    prefix: str

    @property
    def authority(self) -> str:
        """What belongs into the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def endpoint_of(url: str) -> Endpoint:
    """The endpoint that a URL names.

    :raises CliError: it names none.
    """
    return _plain(url) or _taken_apart(url)


def _plain(url: str) -> Endpoint | None:
    """``SCHEME://HOST[:PORT][/PATH]`` as nearly every URL is; None where it takes more to understand it."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.partition(":")
    plain = host.isascii() and host.replace("-", "").replace(".", "").isalnum() and not any(c in path for c in "?#")
    if scheme not in {"http", "https"} or not plain or (colon and not (port.isascii() and port.isdigit())):
        return None
    number = int(port) if port else (443 if scheme == "https" else 80)
    return Endpoint(scheme == "https", host.lower(), number, (slash + path).rstrip("/")) if 0 < number < 65536 else None


def _taken_apart(url: str) -> Endpoint:
    from urllib.parse import urlsplit  # slow to import

    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
        raise usage_error(f"{url} is not the URL of a server.", field="url", remedy="Write https://HOST.")
    secure = parts.scheme == "https"
    return Endpoint(secure, parts.hostname, port or (443 if secure else 80), parts.path.rstrip("/"))


def open_socket(endpoint: Endpoint, timeout: float = CONNECT_SECONDS) -> socket.socket:
    """Connect.

    :param timeout: seconds for each step; the socket keeps it.
    :raises Unreachable: nothing answers, or not as it should; the message says where and why.
    """
    where = f"{endpoint.host}:{endpoint.port}"
    try:
        return _secured(_connected(endpoint, timeout), endpoint)
    except OSError as error:
        raise Unreachable(
            f"The server at {where} does not answer: {_reason(error)}.",
            remedy="Check the address, and that the server runs.",
        ) from error


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    return str(getattr(error, "verify_message", "") or error.strerror or error)


def _connected(endpoint: Endpoint, timeout: float) -> socket.socket:
    proxy = _proxy_for(endpoint)
    if proxy is None:
        # As bytes a name needs no codec for international ones, which would have to be imported.
        host = endpoint.host.encode() if endpoint.host.isascii() else endpoint.host
        sock = socket.create_connection((host, endpoint.port), timeout)  # type: ignore[arg-type]  # bytes will do
    else:
        sock = _through(proxy, endpoint, timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _secured(sock: socket.socket, endpoint: Endpoint) -> socket.socket:
    if not endpoint.secure:
        return sock
    import ssl  # only where it is needed: a server on this machine is plain http

    return ssl.create_default_context().wrap_socket(sock, server_hostname=endpoint.host)


def _proxy_for(endpoint: Endpoint) -> SplitResult | None:
    name = "https_proxy" if endpoint.secure else "http_proxy"
    url = os.environ.get(name) or os.environ.get(name.upper())
    if not url or _bypassed(endpoint.host):
        return None
    from urllib.parse import urlsplit  # only where there is a proxy

    return urlsplit(url if "://" in url else f"http://{url}")


def _bypassed(host: str) -> bool:
    if host in {"localhost", "127.0.0.1", "::1"}:
        return True
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip().lstrip(".").lower() for name in listed.split(",")]
    lower = host.lower()
    return any(name == "*" or (name and (lower == name or lower.endswith(f".{name}"))) for name in names)


def _through(proxy: SplitResult, endpoint: Endpoint, timeout: float) -> socket.socket:
    sock = socket.create_connection((proxy.hostname or "", proxy.port or 8080), timeout)
    target = f"{endpoint.host}:{endpoint.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username:
        from urllib.parse import unquote

        credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
        lines.append(f"Proxy-Authorization: Basic {b2a_base64(credentials, newline=False).decode()}")
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    status = _proxy_status(sock)
    if status != 200:
        sock.close()
        raise OSError(f"the proxy {proxy.hostname} refused with {status}")
    return sock


def _proxy_status(sock: socket.socket) -> int:
    answer = b""
    while b"\r\n\r\n" not in answer:
        # One byte at a time: what comes behind the answer already belongs to the server.
        byte = sock.recv(1)
        if not byte or len(answer) > _PROXY_ANSWER_LIMIT:
            raise OSError("the proxy closed the connection")
        answer += byte
    return int(answer.split(b" ", 2)[1])
