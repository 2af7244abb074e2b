"""``stead ping``."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator

import click

from stead.cli import suggestions
from stead.cli.client import Json, segment
from stead.cli.connection import stream_path
from stead.cli.failures import CliError, Unreachable
from stead.cli.here import client, session
from stead.cli.lazy import Command
from stead.cli.names import parse_target
from stead.cli.output import say, show
from stead.cli.progress import agents_of
from stead.cli.session import Session
from stead.cli.tunnel.frames import BINARY, CLOSE, PING, PONG, Decoder, encode
from stead.cli.tunnel.handshake import open_websocket

_SECONDS = 10.0


@click.command(cls=Command)
@click.argument("workspace", shell_complete=suggestions.workspaces)
@click.option("--agent", metavar="NAME", help="Agent to measure, where there are several.")
@click.option("--count", "-c", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many times.")
@click.option("--interval", default=0.2, show_default=True, type=click.FloatRange(0, 60), help="Seconds between.")
def ping(workspace: str, agent: str | None, count: int, interval: float) -> None:
    """Measure the way to a workspace: connecting to its agent's SSH server, and the way back.

    Each measurement opens a stream and waits for the agent's first bytes. The path is how the agent's streams
    travel: direct, relayed, or over WebSocket.
    """
    target = parse_target(workspace, agent)
    server, current = client(), session()
    times: list[float] = []
    for number in range(count):
        if number:
            time.sleep(interval)
        took = first_byte_ms(current, stream_path(target))
        times.append(took)
        say(f"{workspace}: {took:.1f} ms")
    found = server.get(f"/workspaces/{segment(target.ref)}")
    result: Json = {"agent": _agent(found, target.agent), "ms": [round(value, 2) for value in times]}
    result |= {
        "min": round(min(times), 2),
        "median": round(statistics.median(times), 2),
        "max": round(max(times), 2),
    }
    show(
        result,
        lambda: (
            f"min {result['min']} ms, median {result['median']} ms, max {result['max']} ms,"
            f" {result['agent']['path'] or 'path unknown'}"
        ),
    )


def _agent(workspace: Json, name: str | None) -> Json:
    for agent in agents_of(workspace):
        if name in (None, agent["name"]):
            return {"name": agent["name"], "path": agent["path"], "status": agent["status"]}
    raise CliError(f"{workspace['name']} has no agent{f' {name}' if name else ''}.", reason="not_found")


def first_byte_ms(current: Session, target: str) -> float:
    """Milliseconds from opening a stream to the agent's SSH banner.

    :raises CliError: the stream ended instead, or nothing came.
    """
    started = time.perf_counter()
    sock, received = open_websocket(current.url, current.token, target)
    try:
        sock.settimeout(_SECONDS)
        for payload in _messages(sock, received):
            if payload:
                return (time.perf_counter() - started) * 1000
    except OSError as error:
        raise Unreachable("The agent did not answer.") from error
    finally:
        sock.close()
    raise Unreachable("The stream ended before the agent answered.")


def _messages(sock: socket.socket, received: bytes) -> Iterator[bytes]:
    decoder = Decoder()
    data = received
    while True:
        for frame in decoder.feed(data):
            if frame.opcode == BINARY:
                yield frame.payload
            elif frame.opcode == PING:
                sock.sendall(encode(PONG, frame.payload))
            elif frame.opcode == CLOSE:
                reason = frame.payload[2:].decode("utf-8", "replace")
                raise Unreachable(reason or "The server closed the stream.")
        data = sock.recv(65536)
        if not data:
            return
