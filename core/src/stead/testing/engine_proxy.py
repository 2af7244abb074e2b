"""A socket in front of a Docker engine that can be cut, be silent, and lose the answer to a request."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK = 64 * 1024
TICK = 0.1  # seconds between looks at whether the proxy was closed


class EngineProxy:
    """Passes connections on to the engine at ``target`` (``unix:///path``) while it is open.

    :param path: of its own socket; short, as unix sockets are.
    """

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = urlsplit(target).path
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._silent = threading.Event()
        self._trap = b""
        self._late: list[socket.socket] = []
        self.sprung = threading.Event()

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def open(self) -> None:
        """Take connections and pass them on."""
        self._silent.clear()
        if self._listener is not None:
            return
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and break those that are open."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def be_silent(self) -> None:
        """Keep connections, and let nothing through any more."""
        self._silent.set()

    def cut_at(self, request: bytes) -> None:
        """Cut when a request with these bytes has reached the engine: its answer is lost."""
        self.sprung.clear()
        self._trap = request

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        for connection in self._late:
            connection.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            engine.connect(self._target)
            with self._lock:
                self._connections |= {client, engine}
            for source, sink, asks in ((client, engine, True), (engine, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, asks), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                while self._silent.is_set() and self._alive(source):
                    threading.Event().wait(TICK)
                if asks and self._trap and self._trap in data:
                    self._spring(source, sink, data)
                    return
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _alive(self, connection: socket.socket) -> bool:
        with self._lock:
            return connection in self._connections

    def _spring(self, source: socket.socket, sink: socket.socket, data: bytes) -> None:
        """The whole request reaches the engine, which carries it out; nobody hears of it."""
        self._trap = b""
        while not _is_complete(data):
            data += source.recv(CHUNK)
        with self._lock:
            self._connections.discard(sink)
            self._late.append(sink)  # stays open: an engine may drop what its client has gone away from
        self.cut()
        sink.sendall(data)
        self.sprung.set()


def _is_complete(request: bytes) -> bool:
    """Whether an HTTP request is there up to the end of its body, whose length its head tells."""
    head, end, body = request.partition(b"\r\n\r\n")
    length = next((line.split(b":")[1] for line in head.lower().split(b"\r\n") if b"content-length:" in line), b"0")
    return bool(end) and len(body) >= int(length)
