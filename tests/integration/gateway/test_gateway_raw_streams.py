"""Streams of people without a WebSocket: ``Upgrade: stead-stream-1``, over tunnel-like and WebSocket agents."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from stead.testing.handmade import end_workspace

UPGRADE = "stead-stream-1"


class Parked:
    """One stream of an agent over WebSocket, answering pings until it is taken."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.buffer = b""

    async def line(self) -> bytes:
        async with asyncio.timeout(20):
            while b"\n" not in self.buffer:
                self.buffer += await self.socket.recv()  # type: ignore[operator]
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    async def header(self) -> bytes:
        while (line := await self.line()) == b"ping":
            await self.socket.send(b"pong\n")
        return line


@asynccontextmanager
async def connected(site: Any, made: Any) -> AsyncIterator[Parked]:
    async with site.rpc(made.tokens["main"]) as agent:
        ticket = (await agent.hello())["streams"]["ticket"]
        async with connect(
            f"{site.websocket_url}/api/v2/agent/stream",
            additional_headers={"Authorization": f"Bearer {made.tokens['main']}"},
            subprotocols=[UPGRADE],  # type: ignore[list-item]
            compression=None,
        ) as socket:
            await socket.send(f"STEAD/1 {ticket}\n".encode())
            stream = Parked(socket)
            assert await stream.line() == b"ok"
            yield stream


class Person:
    """A connection that asks for the upgrade."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(25):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        return int(head[0].split(" ")[1]), headers

    async def refusal(self) -> tuple[int, dict[str, Any]]:
        status, headers = await self.answer()
        body = await self.reader.readexactly(int(headers["content-length"]))
        return status, json.loads(body)["error"]


@asynccontextmanager
async def person(
    site: Any, made: Any, to: str = "ssh", *, token: str | None = None, upgrade: str = UPGRADE, more: str = ""
) -> AsyncIterator[Person]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.deployment.port)
    used = site.deployment.token if token is None else token
    lines = [f"GET /api/v2/workspaces/{made.workspace.id}/stream?to={to} HTTP/1.1", "Host: stead"]
    lines += [f"Upgrade: {upgrade}", "Connection: Upgrade"] if upgrade else []
    lines += [f"Authorization: Bearer {used}"] if used else []
    lines += [more] if more else []
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        yield Person(reader, writer)
    finally:
        writer.close()


@pytest.mark.parametrize(("to", "header"), [("ssh", b"ssh"), ("tcp:127.0.0.1:8080", b"tcp 127.0.0.1 8080")])
async def test_bytes_pass_both_ways_with_half_close(site: Any, to: str, header: bytes) -> None:
    made = site.workspace()
    payload = secrets.token_bytes(3_000_000)
    async with connected(site, made) as stream, person(site, made, to) as client:
        assert await stream.header() == header
        await stream.socket.send(b"ok\nfrom the ")
        await stream.socket.send(b"workspace")
        status, headers = await client.answer()
        assert (status, headers["upgrade"]) == (101, UPGRADE)
        client.writer.write(payload)
        client.writer.write_eof()
        received = stream.buffer
        async with asyncio.timeout(20):
            while data := await stream.socket.recv():
                received += data  # type: ignore[operator]
            assert received == payload
            await stream.socket.send(b"!")
            await stream.socket.send(b"")
            assert await client.reader.read() == b"from the workspace!"


async def test_the_agents_reason_is_the_answer(site: Any) -> None:
    made = site.workspace()
    async with connected(site, made) as stream, person(site, made, "tcp:127.0.0.1:1") as client:
        await stream.header()
        await stream.socket.send(b"no connection refused\n")
        status, error = await client.refusal()
        assert (status, error["reason"]) == (503, "unavailable")
        assert "connection refused" in error["message"]


async def test_refusals_come_before_the_upgrade(site: Any) -> None:
    made, stopped = site.workspace(), site.workspace()
    await asyncio.to_thread(end_workspace, site.core, site.owner, stopped.workspace.id, "stop")
    _, stranger = site.member()
    wishes: list[tuple[Any, dict[str, str], int]] = [
        (made, {}, 503),  # no agent is connected
        (made, {"to": "nonsense"}, 400),
        (made, {"token": "rubbish"}, 401),
        (made, {"token": ""}, 401),
        (made, {"token": "", "more": "Cookie: stead_session=whatever"}, 401),
        (made, {"token": stranger}, 404),
        (stopped, {}, 409),
        (made, {"upgrade": ""}, 426),
    ]
    for workspace, options, expected in wishes:
        async with person(site, workspace, **options) as client:  # type: ignore[arg-type]
            status, error = await client.refusal()
            assert (status, bool(error["message"])) == (expected, True), options


async def test_when_the_workspace_stops_its_streams_end(site: Any) -> None:
    made = site.workspace()
    async with connected(site, made) as stream, person(site, made) as client:
        await stream.header()
        await stream.socket.send(b"ok\n")
        assert (await client.answer())[0] == 101
        await asyncio.to_thread(end_workspace, site.core, site.owner, made.workspace.id, "stop")
        async with asyncio.timeout(10):
            try:
                assert await client.reader.read() == b""
            except ConnectionResetError:
                # An abort may reach the client as a reset: an end as well.
                assert client.reader.at_eof() or client.reader.exception() is not None
