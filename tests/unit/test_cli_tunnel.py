"""The WebSocket client of ``stead ssh --stdio``, against a server that somebody else wrote."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from stead.cli.failures import CliError, Unreachable
from stead.cli.tunnel.frames import BINARY, PING, Decoder, ProtocolError, encode
from stead.cli.tunnel.handshake import open_websocket
from stead.cli.tunnel.pump import Pump

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextmanager
def running(handler: Handler, refuse: tuple[int, str] | None = None) -> Iterator[str]:
    """A real WebSocket server in a thread; yields its URL."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    ports: list[int] = []
    stopping = asyncio.Event()

    def check(connection: ServerConnection, request: Request) -> Response | None:
        assert request.headers["Authorization"] == "Bearer secret"
        return connection.respond(*refuse) if refuse else None

    async def main() -> None:
        options = {"process_request": check, "subprotocols": ["stead-stream-1"], "max_size": None}
        async with serve(handler, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
            ports.append(next(iter(server.sockets)).getsockname()[1])
            started.set()
            await stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert started.wait(5)
    try:
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()


class Client:
    """A pump in a thread, with pipes as OpenSSH has them."""

    def __init__(self, url: str, target: str = "/stream") -> None:
        sock, received = open_websocket(url, "secret", target)
        source, self.into = os.pipe()
        self.out, sink = os.pipe()
        self.error: Exception | None = None
        self._ends = (source, sink)
        self._pump = Pump(sock, source, sink, received)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._pump.run()
        except CliError as error:
            self.error = error
        finally:
            for end in self._ends:
                os.close(end)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.into, view) :]

    def end(self) -> None:
        os.close(self.into)
        self.into = -1

    def read_all(self) -> bytes:
        parts = []
        while data := os.read(self.out, 1 << 20):
            parts.append(data)
        return b"".join(parts)

    def close(self) -> None:
        if self.into >= 0:
            os.close(self.into)
        os.close(self.out)
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Client]]:
    clients: list[Client] = []

    def make(url: str) -> Client:
        clients.append(Client(url))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


async def echo(connection: ServerConnection) -> None:
    """Sends everything back; the end too."""
    async for message in connection:
        await connection.send(message)
        if message == b"":
            return


def test_bytes_come_back_as_they_were(connect: Callable[[str], Client]) -> None:
    content = os.urandom(20 * 1024 * 1024 + 13)
    with running(echo) as url:
        client = connect(url)
        writer = threading.Thread(target=lambda: (client.write(content), client.end()))
        writer.start()
        received = client.read_all()
        writer.join()
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()
    assert client.error is None


def test_the_end_of_one_direction_leaves_the_other_open(connect: Callable[[str], Client]) -> None:
    async def answers_after_the_end(connection: ServerConnection) -> None:
        received = b""
        while message := await connection.recv():
            received += message if isinstance(message, bytes) else b""
        await connection.send(b"all of " + received)
        await connection.send(b"")

    with running(answers_after_the_end) as url:
        client = connect(url)
        client.write(b"it")
        client.end()
        assert client.read_all() == b"all of it"


def test_the_servers_end_leaves_our_direction_open(connect: Callable[[str], Client]) -> None:
    heard = []

    async def ends_first(connection: ServerConnection) -> None:
        await connection.send(b"done")
        await connection.send(b"")
        while message := await connection.recv():
            heard.append(message)

    with running(ends_first) as url:
        client = connect(url)
        assert client.read_all() == b"done"
        client.write(b"still here")
        client.end()
        client.thread.join(10)
    assert b"".join(heard) == b"still here"


def test_a_close_with_a_reason_is_told(connect: Callable[[str], Client]) -> None:
    async def refuses(connection: ServerConnection) -> None:
        await connection.close(4503, "The agent main is not connected")

    with running(refuses) as url:
        client = connect(url)
        client.thread.join(10)
    assert str(client.error) == "The agent main is not connected."
    assert isinstance(client.error, CliError)
    assert client.error.reason == "unavailable"


def test_a_lost_connection_is_told(connect: Callable[[str], Client]) -> None:
    async def breaks(connection: ServerConnection) -> None:
        connection.transport.abort()

    with running(breaks) as url:
        client = connect(url)
        client.thread.join(10)
    assert isinstance(client.error, Unreachable)


def test_a_reader_that_went_away_ends_the_stream(connect: Callable[[str], Client]) -> None:
    gone = threading.Event()

    async def talks(connection: ServerConnection) -> None:
        try:
            while True:
                await connection.send(b"x" * 65536)
        except ConnectionClosed:
            gone.set()

    with running(talks) as url:
        client = connect(url)
        os.read(client.out, 1000)
        os.close(client.out)
        client.out = os.open(os.devnull, os.O_RDONLY)
        client.thread.join(10)
        assert not client.thread.is_alive()
        assert gone.wait(10)
    assert client.error is None


def test_a_slow_reader_holds_the_server_back(connect: Callable[[str], Client]) -> None:
    sent = [0]

    async def talks(connection: ServerConnection) -> None:
        for _ in range(1024):
            await connection.send(b"x" * 65536)
            sent[0] += 65536
        await connection.send(b"")

    with running(talks) as url:
        client = connect(url)
        before, since = -1, time.monotonic()
        while sent[0] != before or time.monotonic() - since < 0.5:
            if sent[0] != before:
                before, since = sent[0], time.monotonic()
            assert sent[0] < 32 * 1024 * 1024, "the pump takes all that comes, however slow the reader is"
            time.sleep(0.02)
        assert len(client.read_all()) == 64 * 1024 * 1024


def test_the_servers_pings_are_answered(connect: Callable[[str], Client]) -> None:
    async def pings(connection: ServerConnection) -> None:
        waiter = await connection.ping(b"there?")
        await asyncio.wait_for(waiter, 5)
        await connection.send(b"alive")
        await connection.send(b"")

    with running(pings) as url:
        assert connect(url).read_all() == b"alive"


@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (404, '{"error": {"reason": "not_found", "message": "No dev."}}', "not_found", "No dev."),
        (401, "", "not_authenticated", "401"),
        (502, "<html>", "unavailable", "502"),
    ],
)
def test_a_refused_handshake_tells_why(status: int, body: str, reason: str, words: str) -> None:
    with running(echo, refuse=(status, body)) as url, pytest.raises(CliError, match=words) as caught:
        open_websocket(url, "secret", "/stream")
    assert caught.value.reason == reason


def test_a_server_that_is_not_there_is_unreachable(free_port: int) -> None:
    with pytest.raises(Unreachable, match=f"127.0.0.1:{free_port}"):
        open_websocket(f"http://127.0.0.1:{free_port}", "secret", "/")


def test_a_server_that_is_something_else_is_told() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"SSH-2.0-Other\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    with listener, pytest.raises(Unreachable, match="not HTTP"):
        open_websocket(f"http://127.0.0.1:{listener.getsockname()[1]}", "secret", "/")
    thread.join()


@pytest.mark.parametrize(
    ("size", "chunk"),
    [
        *((size, chunk) for size in (0, 1, 125, 126, 1000) for chunk in (1, 7, 1 << 20)),
        *((size, chunk) for size in (65535, 65536, 200_000) for chunk in (4096, 1 << 20)),
    ],
)
def test_frames_are_read_in_pieces_of_any_size(size: int, chunk: int) -> None:
    payload = os.urandom(size)
    wire = _unmasked(encode(BINARY, payload)) + _unmasked(encode(PING, b"hi"))
    decoder = Decoder()
    frames = [frame for start in range(0, len(wire), chunk) for frame in decoder.feed(wire[start : start + chunk])]
    assert [(frame.opcode, frame.payload) for frame in frames] == [(BINARY, payload), (PING, b"hi")]


def _unmasked(frame: bytes) -> bytes:
    """A client's frame as a server would send it."""
    size = frame[1] & 0x7F
    width = {126: 2, 127: 8}.get(size, 0)
    start = 2 + width
    mask, masked = frame[start : start + 4], frame[start + 4 :]
    plain = bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
    return bytes((frame[0], size)) + frame[2:start] + plain


@pytest.mark.parametrize("wire", [b"\xc2\x00", b"\x82\x85abcd12345", b"\x82\x7f" + (1 << 40).to_bytes(8, "big")])
def test_what_is_no_frame_of_a_server_is_refused(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Decoder().feed(wire))
