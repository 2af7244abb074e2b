"""HTTP between a Docker engine and who uses it, in which single requests go wrong.

Unlike :mod:`stead.testing.engine_proxy`, which cuts connections, this one reads requests: it refuses, drops or answers
them late, loses their answers, and lets something happen behind the client's back.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"


class Kind(Enum):
    """What becomes of a request."""

    REFUSE = "refuse"  # answered with a status, and never seen by the engine
    DROP = "drop"  # the connection ends before the engine has seen it
    LOSE = "lose"  # the engine carries it out, and nobody hears of it
    GO = "go"  # as ever; for what happens meanwhile


@dataclass
class Fault:
    """:param pattern: of method and path, as in ``POST /v1.41/volumes/create``.

    :param before: called before the engine sees the request.
    :param meanwhile: called when the engine has the request, or most of it, and may be at work on it.
    :param after: called when the engine has answered and the client has not heard of it.
    :ivar seen: how often it has struck.
    """

    pattern: str
    kind: Kind = Kind.REFUSE
    status: int = 500
    message: str = "the engine is not well"
    times: int = 1
    before: Callable[[], object] | None = None
    meanwhile: Callable[[], object] | None = None
    after: Callable[[], object] | None = None
    seen: int = 0


@dataclass
class EngineEdge:
    """A socket at ``path`` (short, as unix sockets are) in front of the engine at ``target`` (``unix:///path``).

    Each connection carries one request: clients connect anew for the next.

    :ivar requests: method and path of everything that arrived.
    """

    path: Path
    target: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def fault(self, pattern: str, kind: Kind = Kind.REFUSE, **options: object) -> Fault:
        """Let the next requests that fit go wrong, ``times`` of them."""
        made = Fault(pattern, kind, **options)  # type: ignore[arg-type]
        self.faults.append(made)
        return made

    def count(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, request)) for request in self.requests)

    def __enter__(self) -> Self:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            _end(self._listener)
        self.path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            received = _head(client)
            if received:
                self._answer(client, received)
        except OSError:
            return  # either side has gone away
        finally:
            _end(client)

    def _answer(self, client: socket.socket, received: bytes) -> None:
        request = b" ".join(received.split(b"\r\n", 1)[0].split(b" ")[:2]).decode()
        fault = self._struck(request)
        if fault is None:
            self._forward(client, received, None)
        elif fault.kind is Kind.REFUSE:
            _drain(client, received)
            client.sendall(_refusal(fault))
        elif fault.kind is not Kind.DROP:
            self._forward(client, received, fault)

    def _struck(self, request: str) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            found = next((item for item in self.faults if item.seen < item.times and _fits(item, request)), None)
            if found is not None:
                found.seen += 1
            return found

    def _forward(self, client: socket.socket, received: bytes, fault: Fault | None) -> None:
        if fault is not None and fault.before is not None:
            fault.before()
        engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        engine.connect(urlsplit(self.target).path)
        try:
            head, end, rest = received.partition(END_OF_HEAD)
            kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            engine.sendall(b"\r\n".join([*kept, b"Connection: close"]) + end + rest)
            threading.Thread(target=_pump, args=(client, engine), daemon=True).start()
            if fault is None:
                _pump(engine, client)
                return
            if fault.meanwhile is not None:
                fault.meanwhile()
            answer = _whole(engine)
            if fault.after is not None:
                fault.after()
            if fault.kind is Kind.GO:
                client.sendall(answer)
        finally:
            _end(engine)


def _fits(fault: Fault, request: str) -> bool:
    return bool(re.search(fault.pattern, request))


def _head(client: socket.socket) -> bytes:
    """What has arrived when the head of a request is there; empty where the client went away before."""
    received = b""
    while END_OF_HEAD not in received:
        data = client.recv(CHUNK)
        if not data:
            return b""
        received += data
    return received


def _drain(client: socket.socket, received: bytes) -> None:
    """Read the rest of a request: a client that still sends does not hear a refusal."""
    head, _, body = received.partition(END_OF_HEAD)
    chunked = b"transfer-encoding: chunked" in head.lower()
    length = re.search(rb"content-length: *(\d+)", head.lower())
    wanted = int(length[1]) if length else 0
    while not body.endswith(b"0\r\n\r\n") if chunked else len(body) < wanted:
        data = client.recv(CHUNK)
        if not data:
            return
        body += data


def _refusal(fault: Fault) -> bytes:
    body = json.dumps({"message": fault.message}).encode()
    head = (
        f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)


def _whole(engine: socket.socket) -> bytes:
    """The answer up to its end, which may be a reset where the engine has not read all of the request."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while data := engine.recv(CHUNK):
            answer += data
    return answer


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
