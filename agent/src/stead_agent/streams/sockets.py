"""Small things that asyncio lacks for plain sockets."""

from __future__ import annotations

import asyncio
import socket

from stead_agent.tasks import settle

LINE_LIMIT = 512


async def wait_readable(sock: socket.socket) -> None:
    """Return when ``sock`` has data, or has ended."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock, settle, ready, None)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


async def read_line(sock: socket.socket, limit: int = LINE_LIMIT) -> bytes:
    """Read one line without its end, and not one byte more: what follows belongs to the stream's target.

    :raises ConnectionError: the stream ended, or the line is longer than ``limit``.
    """
    line = b""
    while True:
        try:
            seen = sock.recv(limit, socket.MSG_PEEK)
        except BlockingIOError:
            await wait_readable(sock)
            continue
        if not seen:
            raise ConnectionResetError("the stream ended")
        head, newline, _rest = seen.partition(b"\n")
        sock.recv(len(head) + len(newline))
        line += head
        if newline:
            return line
        if len(line) >= limit:
            raise ConnectionError("a line of the stream protocol is too long")


async def write_line(sock: socket.socket, line: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, line + b"\n")
