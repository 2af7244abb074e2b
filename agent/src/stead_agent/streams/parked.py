"""One parked stream: authenticated, kept alive, and joined to a target when the control plane takes it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from stead_agent.errors import StreamRefused
from stead_agent.streams.sockets import read_line, write_line
from stead_agent.streams.splice import splice

GREETING_TIMEOUT = 10.0
SILENCE = 15.0  # the control plane pings every 5 s
SILENCE_IN_TURN = 120.0  # where the streams of a tunnel take turns in being pinged
TARGET_TIMEOUT = 10.0

ServeSsh = Callable[[socket.socket, str], Awaitable[None]]


@dataclass
class Targets:
    """What streams may be joined to.

    :param serve_ssh: takes over a socket on which an SSH client speaks, and its name; returns when that has ended.
    :param allow_hosts: hosts beside loopback that ``tcp`` may reach.
    """

    serve_ssh: ServeSsh
    allow_hosts: frozenset[str] = frozenset()
    opened: int = field(default=0)


async def introduce(sock: socket.socket, ticket: str) -> None:
    """Authenticate a new stream.

    :raises ConnectionError: the control plane did not accept it.
    """
    async with asyncio.timeout(GREETING_TIMEOUT):
        await write_line(sock, b"STEAD/1 " + ticket.encode())
        answer = await read_line(sock)
    if answer != b"ok":
        raise ConnectionRefusedError(f"the control plane refused a stream: {answer.decode('utf-8', 'replace')}")


async def await_header(sock: socket.socket, heard: Callable[[], None], silence: float = SILENCE) -> bytes:
    """Answer pings until the control plane takes the stream; return the line that names the target.

    :raises TimeoutError: nothing came for ``silence`` seconds.
    """
    while True:
        async with asyncio.timeout(silence):
            line = await read_line(sock)
        heard()
        if line != b"ping":
            return line
        await write_line(sock, b"pong")


async def serve_taken(sock: socket.socket, header: bytes, targets: Targets) -> None:
    """Join a taken stream to its target until both have ended; closes ``sock``."""
    try:
        kind, _, name = header.decode("utf-8", "replace").partition(" ")
        if kind == "ssh":
            await write_line(sock, b"ok")
            await targets.serve_ssh(sock, name)
            return
        try:
            async with asyncio.timeout(TARGET_TIMEOUT):
                target = await _connect(header, targets)
        except TimeoutError:
            raise StreamRefused(f"the target did not answer within {TARGET_TIMEOUT:g} s") from None
        except OSError as error:
            raise StreamRefused(error.strerror or str(error)) from error
        await write_line(sock, b"ok")
        await splice(sock, target)
    except StreamRefused as error:
        await write_line(sock, b"no " + str(error).replace("\n", " ").encode()[:400])
    finally:
        sock.close()


async def _connect(header: bytes, targets: Targets) -> socket.socket:
    kind, _, rest = header.decode("utf-8", "replace").partition(" ")
    if kind == "tcp":
        host, _, port = rest.rpartition(" ")
        return await _connect_tcp(host, port, targets.allow_hosts)
    if kind == "unix":
        return await _connect_unix(unquote(rest))
    raise StreamRefused(f"unknown kind of stream: {kind[:40]!r}")


async def _connect_tcp(host: str, port: str, allow_hosts: frozenset[str]) -> socket.socket:
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise StreamRefused(f"not a port: {port[:20]!r}")
    host = host.strip("[]")
    if host not in allow_hosts and not is_loopback(host):
        raise StreamRefused(f"{host} is not a loopback address of the workspace")
    addresses = ["127.0.0.1", "::1"] if host == "localhost" else [host]
    failure: OSError | None = None
    for address in addresses:
        try:
            return await _connect_address(address, int(port))
        except OSError as error:
            failure = failure or error
    raise StreamRefused(f"nothing listens on port {port} ({failure.strerror if failure else 'no address'})")


async def _connect_address(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    family, kind, protocol, _name, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    try:
        await loop.sock_connect(sock, address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect_unix(path: str) -> socket.socket:
    if not path.startswith("/"):
        raise StreamRefused("the path of a unix socket must be absolute")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


def is_loopback(host: str) -> bool:
    """Whether ``host`` names the workspace itself; other names are not looked up at all."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
