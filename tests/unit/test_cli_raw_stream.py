"""The stream without frames that ``stead ssh --stdio`` opens, and its way back to a WebSocket."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stead.cli.connection import carry
from stead.cli.failures import CliError, Unreachable
from stead.cli.transport import endpoint_of
from stead.cli.tunnel.handshake import Opened, open_stream
from stead.testing.certificates import self_signed

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: stead-stream-1\r\nConnection: Upgrade\r\n\r\n"


@contextmanager
def serving(*handlers: Callable[[socket.socket, bytes], None], read_head: bool = True) -> Iterator[str]:
    """A server with one handler for each connection, which gets the head of the request."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def run() -> None:
        for handle in handlers:
            connection, _ = listener.accept()
            connection.settimeout(10)
            with connection:
                head = b""
                while read_head and b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                handle(connection, head)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(15)
        listener.close()
        assert not thread.is_alive()


def answer(status: str, body: bytes = b"") -> Callable[[socket.socket, bytes], None]:
    def handle(connection: socket.socket, head: bytes) -> None:
        assert b"Authorization: Bearer secret" in head
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return handle


class Carried:
    """A stream in a thread, between pipes as OpenSSH has them."""

    def __init__(self, opened: Opened) -> None:
        source, self.into = os.pipe()
        self.out, sink = os.pipe()
        self.error: CliError | None = None

        def run() -> None:
            try:
                carry(opened, source, sink)
            except CliError as error:
                self.error = error
            finally:
                os.close(source)
                os.close(sink)

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def read_all(self) -> bytes:
        parts = []
        while data := os.read(self.out, 1 << 20):
            parts.append(data)
        return b"".join(parts)

    def finish(self) -> CliError | None:
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.error


def test_bytes_pass_both_ways_and_each_end_on_its_own() -> None:
    content = os.urandom(8 * 1024 * 1024 + 13)
    heard: list[bytes] = []

    def handle(connection: socket.socket, head: bytes) -> None:
        assert b"Upgrade: stead-stream-1\r\n" in head
        connection.sendall(SWITCHED + b"early")
        while data := connection.recv(1 << 20):
            heard.append(data)
        connection.sendall(content)

    with serving(handle) as url:
        opened = open_stream(url, "secret", "/stream")
        assert not opened.framed
        carried = Carried(opened)

        def write() -> None:
            view = memoryview(content)
            while view:
                view = view[os.write(carried.into, view) :]
            os.close(carried.into)

        writer = threading.Thread(target=write)
        writer.start()
        assert carried.read_all() == b"early" + content
        writer.join(10)
        assert carried.finish() is None
    assert b"".join(heard) == content


def test_a_client_that_went_away_ends_the_stream() -> None:
    ended = threading.Event()

    def handle(connection: socket.socket, head: bytes) -> None:
        del head
        connection.sendall(SWITCHED)
        while connection.recv(65536):
            pass
        ended.set()
        # Says nothing more and does not close: a client that is gone must not wait for that.
        assert finished.wait(10)

    finished = threading.Event()
    with serving(handle) as url:
        carried = Carried(open_stream(url, "secret", "/stream"))
        os.close(carried.into)
        assert ended.wait(10)
        os.close(carried.out)
        assert carried.finish() is None
        finished.set()


def test_a_connection_that_breaks_is_told() -> None:
    def handle(connection: socket.socket, head: bytes) -> None:
        del head
        connection.sendall(SWITCHED)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    with serving(handle) as url:
        carried = Carried(open_stream(url, "secret", "/stream"))
        assert carried.read_all() == b""
        os.close(carried.into)
        assert isinstance(carried.finish(), Unreachable)


@pytest.mark.parametrize("first", ["426 Upgrade Required", "400 Bad Request", "502 Bad Gateway", "200 OK"])
def test_where_the_upgrade_does_not_pass_a_websocket_is_asked_for(first: str) -> None:
    asked: list[bytes] = []

    def websocket(connection: socket.socket, head: bytes) -> None:
        asked.append(head)
        answer("403 Forbidden", b'{"error": {"reason": "forbidden", "message": "Not you."}}')(connection, head)

    with serving(answer(first, b"<html>"), websocket) as url, pytest.raises(CliError, match="Not you"):
        open_stream(url, "secret", "/stream")
    assert b"Upgrade: websocket" in asked[0]


def test_what_the_server_refuses_is_final() -> None:
    body = b'{"error": {"reason": "not_found", "message": "No dev."}}'
    with serving(answer("404 Not Found", body)) as url, pytest.raises(CliError, match="No dev") as caught:
        open_stream(url, "secret", "/stream")
    assert caught.value.reason == "not_found"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://Dev.Example.com", (False, "dev.example.com", 80, "")),
        ("https://dev.example.com:8443/stead/", (True, "dev.example.com", 8443, "/stead")),
        ("http://[::1]:3000", (False, "::1", 3000, "")),
        ("https://user@dev.example.com/", (True, "dev.example.com", 443, "")),
    ],
)
def test_urls_are_taken_apart(url: str, expected: tuple[object, ...]) -> None:
    assert tuple(endpoint_of(url)) == expected


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:99999", "http://host:x"])
def test_what_names_no_server_is_refused(url: str) -> None:
    with pytest.raises(CliError):
        endpoint_of(url)


def test_over_tls_the_same_bytes_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = self_signed(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    content = os.urandom(3_000_001)
    received: list[bytes] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)

    def handle(plain: socket.socket, head: bytes) -> None:
        connection = context.wrap_socket(plain, server_side=True)
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        connection.sendall(SWITCHED + content)
        while sum(map(len, received)) < len(content):
            received.append(connection.recv(1 << 20))
        connection.close()

    with serving(handle, read_head=False) as url:
        carried = Carried(open_stream(url.replace("http:", "https:"), "secret", "/stream"))
        reader = threading.Thread(target=lambda: got.append(carried.read_all()))
        got: list[bytes] = []
        reader.start()
        view = memoryview(content)
        while view:
            view = view[os.write(carried.into, view) :]
        assert carried.finish() is None
        reader.join(10)
        os.close(carried.into)
    assert got == [content]
    assert b"".join(received) == content


def test_a_server_that_does_not_read_never_blocks_who_writes_without_waiting() -> None:
    """OpenSSH has to go on reading when it cannot write: else both directions wait for each other for ever."""
    filled, finished = threading.Event(), threading.Event()

    def handle(connection: socket.socket, head: bytes) -> None:
        del head
        connection.sendall(SWITCHED)
        finished.wait(30)

    with serving(handle) as url:
        carried = Carried(open_stream(url, "secret", "/stream"))
        os.set_blocking(carried.into, False)

        def fill() -> None:
            poller = select.poll()
            poller.register(carried.into, select.POLLOUT)
            while poller.poll(1000):
                with contextlib.suppress(BlockingIOError):
                    os.write(carried.into, bytes(1 << 20))
            with contextlib.suppress(BlockingIOError):
                os.write(carried.into, bytes(1 << 20))
            filled.set()

        threading.Thread(target=fill, daemon=True).start()
        assert filled.wait(20)
        finished.set()
        os.close(carried.into)
        os.close(carried.out)
        carried.finish()


def test_files_are_carried_where_no_pipe_is(tmp_path: Path) -> None:
    content = os.urandom(1024 * 1024 + 7)
    (tmp_path / "source").write_bytes(content)
    heard: list[bytes] = []

    def handle(connection: socket.socket, head: bytes) -> None:
        del head
        connection.sendall(SWITCHED)
        while data := connection.recv(1 << 20):
            heard.append(data)
        connection.sendall(b"".join(heard))

    with serving(handle) as url, (tmp_path / "source").open("rb") as source, (tmp_path / "sink").open("wb") as sink:
        carry(open_stream(url, "secret", "/stream"), source.fileno(), sink.fileno())
    assert b"".join(heard) == content
    assert (tmp_path / "sink").read_bytes() == content
