"""Parked streams, with agents that speak the protocol over real loopback connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stead.api.errors import InvalidInput
from stead.network.streams import (
    AgentUnreachable,
    Route,
    StreamPool,
    StreamTimings,
    Target,
    TargetRefused,
    TcpChannel,
    Transport,
    splice,
)
from stead.network.streams.listener import TunnelListener

Handler = Callable[[str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def refuse_or_echo(header: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if header.startswith("tcp"):
        writer.write(b"no connection refused\n")
        return
    writer.write(b"ok\n")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write(b"<end>")
    writer.write_eof()


class FakeAgent:
    """Parks streams like an agent does, and counts what it saw."""

    def __init__(self, port: int, ticket: str, handler: Handler = refuse_or_echo) -> None:
        self.port, self.ticket, self.handler = port, ticket, handler
        self.headers: list[str] = []
        self.pings = 0
        self.deaf = False
        self.tasks: set[asyncio.Task[None]] = set()

    async def park(self) -> str:
        """Dial and greet; returns the answer, and lives on in the background where it is ok."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"STEAD/1 {self.ticket}\n".encode())
        answer = (await reader.readline()).decode().strip()
        if answer == "ok":
            task = asyncio.create_task(self._live(reader, writer))
            self.tasks.add(task)
        else:
            writer.close()
        return answer

    async def _live(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := (await reader.readline()).decode().strip():
                if line == "ping":
                    self.pings += 1
                    if not self.deaf:
                        writer.write(b"pong\n")
                    continue
                self.headers.append(line)
                if not self.deaf:
                    await self.handler(line, reader, writer)
                    break
        finally:
            writer.close()

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def running(**timings: float) -> AsyncIterator[tuple[StreamPool, TunnelListener]]:
    pool = StreamPool(StreamTimings(**timings))  # type: ignore[arg-type]
    listener = TunnelListener(pool)
    await listener.start()
    try:
        yield pool, listener
    finally:
        pool.close()
        await listener.stop()


@contextlib.asynccontextmanager
async def agent_of(pool: StreamPool, listener: TunnelListener, name: str = "a") -> AsyncIterator[FakeAgent]:
    agent = FakeAgent(listener.port, pool.issue(name))
    try:
        yield agent
    finally:
        await agent.stop()


async def until(condition: Callable[[], bool], deadline: float = 5) -> None:
    async with asyncio.timeout(deadline):
        while not condition():
            await asyncio.sleep(0.005)


async def read_all(stream: TcpChannel | object) -> bytes:
    received = b""
    while data := await stream.read():  # type: ignore[attr-defined]
        received += data
    return received


async def test_a_taken_stream_carries_bytes_and_half_close() -> None:
    async with running() as (pool, listener), agent_of(pool, listener) as agent:
        assert await agent.park() == "ok"
        stream = await pool.take("a", Target.ssh())
        await stream.write(b"hello ")
        await stream.write(b"world")
        await stream.write_eof()
        assert await read_all(stream) == b"hello world<end>"
        assert agent.headers == ["ssh"]


async def test_a_wrong_ticket_is_refused_and_a_stale_one_too() -> None:
    async with running() as (pool, listener), agent_of(pool, listener) as agent:
        stale, agent.ticket = agent.ticket, "x" * 43
        assert await agent.park() == "no ticket"
        agent.ticket = pool.issue("a")
        assert await agent.park() == "ok"
        agent.ticket = stale
        assert await agent.park() == "no ticket"


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\n\r\n", b"STEAD/2 x\n", b"x" * 2000])
async def test_other_protocols_are_turned_away(greeting: bytes) -> None:
    async with running() as (_, listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(greeting)
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 5)
            assert answer in {b"", b"no protocol\n", b"no ticket\n"}
        writer.close()


async def test_whoever_does_not_greet_is_closed() -> None:
    async with running(greeting=0.05) as (_, listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_refused_target_is_told_with_its_reason() -> None:
    async with running() as (pool, listener), agent_of(pool, listener) as agent:
        await agent.park()
        with pytest.raises(TargetRefused, match="connection refused"):
            await pool.take("a", Target.tcp("127.0.0.1", 1))


async def test_nobody_there_is_told_at_once_and_silence_after_the_deadline() -> None:
    async with running(take=0.1) as (pool, _listener):
        began = time.monotonic()
        with pytest.raises(AgentUnreachable):
            await pool.take("unknown", Target.ssh(), patience=5)
        assert time.monotonic() - began < 1
        pool.issue("a")
        with pytest.raises(AgentUnreachable):
            await pool.take("a", Target.ssh())


async def test_a_take_waits_for_the_next_stream() -> None:
    async with running() as (pool, listener), agent_of(pool, listener) as agent:
        taking = asyncio.create_task(pool.take("a", Target.ssh()))
        await asyncio.sleep(0)
        await agent.park()
        stream = await asyncio.wait_for(taking, 5)
        await stream.write_eof()
        assert await read_all(stream) == b"<end>"


async def test_heartbeats_keep_a_stream_and_silence_ends_it() -> None:
    async with running(heartbeat=0.02, silence=0.2) as (pool, listener), agent_of(pool, listener) as agent:
        await agent.park()
        await until(lambda: agent.pings > 20)
        assert pool.path("a") is Route.DIRECT
        agent.deaf = True
        await until(lambda: pool.path("a") is None)


async def test_in_a_tunnel_the_streams_of_an_agent_that_can_do_with_it_take_turns() -> None:
    async with running(heartbeat=0.1, silence=5) as (pool, listener), agent_of(pool, listener) as agent:
        pool._answers_for_all = lambda agent_id: agent_id == "a"
        for _ in range(4):
            await agent.park()
        began = time.monotonic()
        await until(lambda: agent.pings >= 12, 30)
        # Each of four would have been pinged every tenth of a second.
        assert time.monotonic() - began > 0.5
        streams = pool._agents["a"].parked
        assert len(streams) == 4
        assert all(stream.asked_at > 0 for stream in streams)


async def test_where_they_take_turns_silence_still_ends_them_all() -> None:
    async with running(heartbeat=0.02, silence=0.2) as (pool, listener), agent_of(pool, listener) as agent:
        pool._answers_for_all = lambda _: True
        for _ in range(3):
            await agent.park()
        await until(lambda: agent.pings > 6)
        agent.deaf = True
        await until(lambda: pool.path("a") is None)


async def test_one_dead_stream_of_several_does_not_end_the_others() -> None:
    async with running(heartbeat=0.1, silence=2) as (pool, listener), agent_of(pool, listener) as agent:
        await agent.park()
        quiet = await pool.take("a", Target.ssh())
        await agent.park()
        dead = FakeAgent(listener.port, agent.ticket)
        dead.deaf = True
        await dead.park()
        parked = pool._agents["a"].parked
        await until(lambda: len(parked) == 2)
        await until(lambda: len(parked) == 1, 30)
        assert not quiet.closed.is_set()
        await quiet.write_eof()
        assert await read_all(quiet) == b"<end>"
        await dead.stop()


async def test_a_tunnel_that_is_gone_takes_its_quiet_streams_along() -> None:
    async with running() as (pool, listener), agent_of(pool, listener) as agent:
        serving: set[asyncio.Task[None]] = set()

        def accept(channel: TcpChannel) -> None:
            serving.add(asyncio.create_task(pool.serve(channel, Transport.WEBSOCKET)))

        other = await asyncio.get_running_loop().create_server(lambda: TcpChannel(accept), "127.0.0.1", 0)
        beside = FakeAgent(other.sockets[0].getsockname()[1], agent.ticket)
        await beside.park()
        stays = await pool.take("a", Target.ssh())
        await agent.park()
        await agent.park()
        quiet = await pool.take("a", Target.ssh())
        pool.end_tunnel("a")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(quiet.read(), 5) == b""
        await until(lambda: pool.path("a") is Route.WEBSOCKET)
        await stays.write_eof()
        assert await read_all(stays) == b"<end>"
        pool.end_tunnel("unknown")
        await beside.stop()
        other.close()


async def test_a_stream_is_taken_in_the_middle_of_a_heartbeat() -> None:
    async with running(heartbeat=0.001, silence=5) as (pool, listener), agent_of(pool, listener) as agent:
        for _ in range(50):
            await agent.park()
            stream = await pool.take("a", Target.ssh())
            await stream.write(b"pong\nok\n")
            await stream.write_eof()
            assert await read_all(stream) == b"pong\nok\n<end>"


async def test_a_dead_stream_is_skipped_for_a_living_one() -> None:
    async with running(answer=0.1) as (pool, listener), agent_of(pool, listener) as dead:
        dead.deaf = True
        await dead.park()
        async with agent_of(pool, listener) as living:
            await living.park()
            for stream in pool._agents["a"].parked:
                stream.listened_at -= stream.transport is Transport.TUNNEL
            pool._agents["a"].parked[0].listened_at += 10
            stream = await pool.take("a", Target.ssh())
            await stream.write_eof()
            assert await read_all(stream) == b"<end>"
        assert dead.headers == ["ssh"]


async def test_when_parked_streams_fall_silent_the_taken_ones_of_that_transport_end() -> None:
    async with running(heartbeat=0.02, silence=0.15) as (pool, listener), agent_of(pool, listener) as agent:
        await agent.park()
        await agent.park()
        stream = await pool.take("a", Target.ssh())
        agent.deaf = True
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(stream.read(), 5) == b""
        assert stream.closed.is_set()


async def test_revoking_ends_parked_and_taken_streams_and_whoever_waits() -> None:
    gone: list[str] = []
    async with running() as (pool, listener), agent_of(pool, listener) as agent:
        pool._gone = gone.append
        await agent.park()
        stream = await pool.take("a", Target.ssh())
        waiting = asyncio.create_task(pool.take("a", Target.ssh()))
        await asyncio.sleep(0.01)
        pool.revoke("a")
        with pytest.raises(AgentUnreachable):
            await waiting
        assert stream.closed.is_set()
        assert await agent.park() == "no ticket"
        assert gone == ["a"]


async def test_a_ticket_outlives_its_connection_for_a_while() -> None:
    async with running(ticket=0.05) as (pool, listener), agent_of(pool, listener) as agent:
        pool.release("a")
        assert await agent.park() == "ok"
        await until(lambda: pool.path("a") is None)
        assert await agent.park() == "no ticket"


async def test_parked_streams_are_bounded() -> None:
    async with running(per_agent=2) as (pool, listener), agent_of(pool, listener) as agent:
        assert [await agent.park() for _ in range(3)] == ["ok", "ok", "no enough"]


async def test_the_tunnel_is_preferred_and_the_path_follows() -> None:
    async with running() as (pool, listener), agent_of(pool, listener) as agent:
        relayed = False
        pool._is_relayed = lambda _: relayed
        serving: set[asyncio.Task[None]] = set()

        def accept(channel: TcpChannel) -> None:
            serving.add(asyncio.create_task(pool.serve(channel, Transport.WEBSOCKET)))

        loop = asyncio.get_running_loop()
        other = await loop.create_server(lambda: TcpChannel(accept), "127.0.0.1", 0)
        slow = FakeAgent(other.sockets[0].getsockname()[1], agent.ticket)
        assert pool.path("a") is None
        await slow.park()
        assert pool.path("a") is Route.WEBSOCKET
        await agent.park()
        assert pool.path("a") is Route.DIRECT
        relayed = True
        assert pool.path("a") is Route.RELAYED
        await pool.take("a", Target.ssh())
        assert (agent.headers, slow.headers) == (["ssh"], [])
        await slow.stop()
        other.close()


async def test_fifty_sessions_at_once() -> None:
    async with running() as (pool, listener), agent_of(pool, listener) as agent:

        async def session(n: int) -> bytes:
            stream = await pool.take("a", Target.ssh())
            await agent.park()
            await stream.write(str(n).encode())
            await stream.write_eof()
            return await read_all(stream)

        for _ in range(4):
            await agent.park()
        answers = await asyncio.wait_for(asyncio.gather(*(session(n) for n in range(50))), 10)
        assert answers == [f"{n}<end>".encode() for n in range(50)]


async def test_splice_passes_everything_with_half_close_and_backpressure() -> None:
    payload = bytes(range(256)) * 40_000
    async with running() as (pool, listener), agent_of(pool, listener) as agent:
        await agent.park()
        stream = await pool.take("a", Target.ssh())
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        splicing: set[asyncio.Task[None]] = set()

        async def person(channel: TcpChannel) -> None:
            done.set_result(await splice(channel, stream))

        def accept(channel: TcpChannel) -> None:
            splicing.add(asyncio.create_task(person(channel)))

        server = await asyncio.get_running_loop().create_server(lambda: TcpChannel(accept), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(payload)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 20) == payload + b"<end>"
        traffic = await asyncio.wait_for(done, 5)
        assert (traffic.up, traffic.down) == (len(payload), len(payload) + 5)  # type: ignore[attr-defined]
        writer.close()
        server.close()


class Memory:
    """A channel that says ``chunks`` and then ends, or stays silent for ever."""

    def __init__(self, chunks: list[bytes], silent: bool = False) -> None:
        self.chunks, self.silent, self.got, self.ended, self.aborted = chunks, silent, b"", False, False

    async def read(self) -> bytes:
        if not self.chunks and self.silent:
            await asyncio.Event().wait()
        return self.chunks.pop(0) if self.chunks else b""

    async def write(self, data: bytes | memoryview) -> None:
        self.got += bytes(data)

    async def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True


async def test_a_half_closed_stream_does_not_linger_for_ever() -> None:
    ended, silent = Memory([b"bye"]), Memory([], silent=True)
    await asyncio.wait_for(splice(ended, silent, half_closed_idle=0.05), 5)
    assert silent.got == b"bye"
    assert silent.ended
    assert ended.aborted
    assert silent.aborted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ssh", "ssh"),
        ("tcp:127.0.0.1:80", "tcp 127.0.0.1 80"),
        ("tcp:[::1]:65535", "tcp ::1 65535"),
        ("unix:/run/my app.sock", "unix /run/my%20app.sock"),
    ],
)
def test_targets_are_read(text: str, line: str) -> None:
    assert Target.parse(text).line == line


@given(st.text(max_size=60))
def test_no_text_makes_a_header_of_more_than_one_line(text: str) -> None:
    for prefix in ("", "tcp:", "unix:/", "tcp:h:"):
        with contextlib.suppress(InvalidInput):
            encoded = Target.parse(prefix + text).encode()
            assert encoded.count(b"\n") == 1
            assert encoded.isascii()


@pytest.mark.parametrize("text", ["", "ssh:", "tcp:x", "tcp::80", "tcp:h:0", "tcp:h:70000", "tcp:a b:1", "unix:x"])
def test_other_targets_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Target.parse(text)


@pytest.mark.parametrize("end", ["release", "revoke"])
async def test_an_agent_that_never_had_a_ticket_is_gone_at_once(end: str) -> None:
    gone: list[str] = []
    pool = StreamPool(gone=gone.append)
    getattr(pool, end)("a")
    assert gone == ["a"]
