"""Parked streams over WebSocket: targets, refusals, half-close, heartbeat."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import quote

import pytest


async def echo_server(host: str = "127.0.0.1"):
    async def serve(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"<eof>")
        writer.write_eof()

    return await asyncio.start_server(serve, host, 0)


async def test_tcp_with_half_close_and_payload_behind_the_header(agent, plane):
    server = await echo_server()
    port = server.sockets[0].getsockname()[1]
    stream = await plane.take(f"tcp 127.0.0.1 {port}", payload=b"early ")
    await stream.write(b"x" * 1_000_000)
    await stream.write_eof()
    answer = await asyncio.wait_for(stream.reader.read(), 10)
    assert answer == b"early " + b"x" * 1_000_000 + b"<eof>"
    server.close()


async def test_unix_sockets(agent, plane, tmp_path):
    path = tmp_path / "with space.sock"

    async def serve(reader, writer):
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_unix_server(serve, str(path))
    stream = await plane.take(f"unix {quote(str(path))}")
    await stream.write(b"hello")
    await stream.write_eof()
    assert await asyncio.wait_for(stream.reader.read(), 10) == b"HELLO"
    server.close()


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("tcp 192.0.2.1 80", "not a loopback address"),
        ("tcp example.com 80", "not a loopback address"),
        ("tcp 127.0.0.1 99999", "not a port"),
        ("unix relative", "absolute"),
        ("unix /nowhere/at/all", "No such file"),
        ("carrier-pigeon", "unknown kind"),
    ],
)
async def test_what_is_refused_says_why(agent, plane, header, why):
    with pytest.raises(ConnectionRefusedError, match=why):
        await plane.take(header)


async def test_a_port_where_nothing_listens(agent, plane):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError, match=f"nothing listens on port {port}"):
        await plane.take(f"tcp localhost {port}")


async def test_localhost_may_be_ipv6(agent, plane):
    try:
        server = await echo_server("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    stream = await plane.take(f"tcp localhost {server.sockets[0].getsockname()[1]}")
    await stream.write_eof()
    assert await asyncio.wait_for(stream.reader.read(), 10) == b"<eof>"
    server.close()


async def test_hosts_that_the_manifest_allows(plane, start_agent, wait_for):
    plane.manifest = {"allow_hosts": ["0.0.0.0"]}
    start_agent()
    server = await echo_server()
    stream = await plane.take(f"tcp 0.0.0.0 {server.sockets[0].getsockname()[1]}")
    await stream.write_eof()
    assert await asyncio.wait_for(stream.reader.read(), 10) == b"<eof>"
    server.close()


async def test_a_taken_stream_is_replaced(agent, plane, wait_for):
    server = await echo_server()
    port = server.sockets[0].getsockname()[1]
    held = [await plane.take(f"tcp 127.0.0.1 {port}") for _ in range(6)]
    await wait_for(lambda: len(plane.parked) == plane.parked_wanted, "new parked streams")
    for stream in held:
        await stream.write_eof()
        assert await asyncio.wait_for(stream.reader.read(), 10) == b"<eof>"
    server.close()


async def test_pings_keep_streams_and_silence_ends_them(agent, plane, wait_for):
    first = set(map(id, plane.parked))
    await asyncio.sleep(3)  # as long as it takes for every stream to be pinged more than once
    assert set(map(id, plane.parked)) == first


async def test_the_path_is_reported(agent, plane, wait_for):
    await wait_for(lambda: plane.said("path"), "the path")
    assert plane.said("path")[-1]["path"] == "websocket"
    assert 0 <= plane.said("path")[-1]["latency_ms"] < 5000
