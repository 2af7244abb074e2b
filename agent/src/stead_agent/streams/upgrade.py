"""Connections to the control plane's HTTP port that become bare streams: ``Upgrade: stead-stream-1``."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from stead_agent.errors import ControlPlaneError
from stead_agent.settings import AgentSettings
from stead_agent.streams.splice import carry
from stead_agent.tls import client_context

PROTOCOL = "stead-stream-1"
DIAL_TIMEOUT = 10.0
HEAD_LIMIT = 16384


async def upgraded(settings: AgentSettings, path: str) -> socket.socket:
    """A socket on which the stream that ``path`` names at the control plane speaks.

    :raises ControlPlaneError: it was refused, or something in between passes no upgrades.
    :raises OSError: there is no connection.
    """
    parts = urlsplit(settings.url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    if parts.scheme in getproxies() and not proxy_bypass(host):
        raise ControlPlaneError("A proxy is between here and the control plane; upgrades are not asked of it.")
    async with asyncio.timeout(DIAL_TIMEOUT):
        sock = await _connect(host, parts.port or (443 if secure else 80), secure)
        try:
            await _ask(sock, settings, parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + path)
        except BaseException:
            sock.close()
            raise
    return sock


async def _connect(host: str, port: int, secure: bool) -> socket.socket:
    loop = asyncio.get_running_loop()
    if secure:
        return await carry(host, port, client_context())
    failure: OSError = ConnectionError("the control plane's name has no address")
    for family, kind, protocol, _name, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    raise failure


async def _ask(sock: socket.socket, settings: AgentSettings, authority: str, path: str) -> None:
    loop = asyncio.get_running_loop()
    lines = [f"GET {path} HTTP/1.1", f"Host: {authority}", "Connection: Upgrade", f"Upgrade: {PROTOCOL}"]
    lines += [f"{name}: {value}" for name, value in settings.authorization.items()]
    await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        # What comes behind the head is the stream's already, so it is looked at before it is taken.
        data = await loop.sock_recv(sock, 1)
        if not data or len(head) > HEAD_LIMIT:
            raise ControlPlaneError("The control plane closed a connection that was to become a stream.")
        head += data
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if status[1:2] != [b"101"]:
        answer = b" ".join(status[1:]).decode("latin-1")[:80]
        raise ControlPlaneError(f"The control plane did not make a stream of a connection: {answer}")
