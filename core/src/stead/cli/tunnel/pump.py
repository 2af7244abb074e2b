"""Moves bytes between two file descriptors and a WebSocket, in one thread and with bounded buffers.

An empty binary message means end of stream in its direction, and only in that one.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections import deque

from stead.cli.failures import CliError, Unreachable
from stead.cli.tunnel.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    Decoder,
    Frame,
    ProtocolError,
    encode,
)

READ_SIZE = 128 * 1024
HIGH_WATER = 1024 * 1024
SILENCE_SECONDS = 60.0
_PING_SECONDS = 20.0
_NORMAL = 1000
_REASONS = {4404: "not_found", 4503: "unavailable", 4401: "not_authenticated", 4403: "forbidden"}


class Pump:
    """One connection. :meth:`run` returns when both directions have ended.

    :param source: where the client's bytes come from.
    :param sink: where the server's bytes go.
    :param received: bytes of the WebSocket that were read already.
    """

    def __init__(self, sock: socket.socket, source: int, sink: int, received: bytes = b"") -> None:
        self.sock = sock
        self.source = source
        self.sink = sink
        self.to_server: deque[memoryview] = deque()
        self.to_client: deque[memoryview] = deque()
        self.waiting_server = 0
        self.waiting_client = 0
        self.source_open = True
        self.sink_open = True
        self.ended = False
        self.decoder = Decoder()
        self.heard = time.monotonic()
        self.pinged = self.heard
        self._pending = received

    def run(self) -> None:
        """Move bytes until both directions have ended.

        :raises CliError: the server ended the stream with a reason.
        :raises Unreachable: the connection broke.
        """
        self.sock.setblocking(False)
        os.set_blocking(self.sink, False)
        try:
            self._take(self._pending)
            while self._active():
                self._step()
            self._say_goodbye()
        except ProtocolError as error:
            raise Unreachable(f"The server does not speak WebSocket: {error}.") from error
        except OSError as error:
            raise Unreachable(f"The connection to the server broke: {error.strerror or error}.") from error
        finally:
            with contextlib.suppress(OSError):
                os.set_blocking(self.sink, True)
            self.sock.close()

    def _active(self) -> bool:
        if self.to_server or self.to_client:
            return True
        return not self.ended and (self.source_open or self.sink_open)

    def _step(self) -> None:
        poller = select.poll()
        poller.register(self.sock, self._socket_interest())
        if self.source_open and not self.ended and self.waiting_server < HIGH_WATER:
            poller.register(self.source, select.POLLIN)
        poller.register(self.sink, select.POLLOUT if self.to_client else 0)
        ready = dict(poller.poll(_PING_SECONDS * 1000 / 4))
        if ready.get(self.sink, 0) & select.POLLERR:
            self._client_gone()
        if self.sink in ready and self.to_client:
            self._write_sink()
        if self.source in ready and self.source_open:
            self._read_source()
        if self.sock.fileno() in ready:
            self._receive()
        self._send()
        self._keep_alive()

    def _socket_interest(self) -> int:
        reads = 0 if self.waiting_client >= HIGH_WATER or self.ended else select.POLLIN
        return reads | (select.POLLOUT if self.to_server else 0)

    def _read_source(self) -> None:
        data = os.read(self.source, READ_SIZE)
        self.source_open = bool(data)
        self._queue_server(encode(BINARY, data))

    def _receive(self) -> None:
        if self.waiting_client >= HIGH_WATER:
            return
        while True:
            try:
                data = self.sock.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if _wants_more(error):
                    return
                raise
            if not data:
                self._server_gone()
                return
            self.heard = time.monotonic()
            self._take(data)
            # TLS may hold bytes that no poll tells of; plain sockets come back by themselves.
            pending = getattr(self.sock, "pending", None)
            if pending is None or not pending():
                return

    def _take(self, data: bytes) -> None:
        for frame in self.decoder.feed(data):
            self._handle(frame)

    def _handle(self, frame: Frame) -> None:
        if frame.opcode in (BINARY, CONTINUATION):
            if frame.payload:
                self._queue_client(frame.payload)
            elif frame.opcode == BINARY and frame.final:
                self.sink_open = False
                self._close_sink_when_drained()
        elif frame.opcode == PING:
            self._queue_server(encode(PONG, frame.payload))
        elif frame.opcode == CLOSE:
            self._closed(frame.payload)

    def _closed(self, payload: bytes) -> None:
        self.ended = True
        self.source_open = self.sink_open = False
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else _NORMAL
        if code not in (_NORMAL, 1001):
            text = payload[2:].decode("utf-8", "replace") or f"It closed the connection with {code}"
            raise CliError(f"{text.rstrip('.')}.", reason=_REASONS.get(code, "unavailable"))
        self._queue_server(encode(CLOSE, payload[:2]))

    def _server_gone(self) -> None:
        if self.sink_open:
            raise Unreachable("The connection to the server broke.")
        self.ended = True
        self.to_server.clear()

    def _client_gone(self) -> None:
        # Whoever reads has gone, as OpenSSH does when it is done: nothing is left to be moved.
        self.ended = True
        self.source_open = self.sink_open = False
        self.to_client.clear()
        self.to_server.clear()

    def _say_goodbye(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.send(encode(CLOSE, _NORMAL.to_bytes(2, "big")))

    def _queue_server(self, data: bytes) -> None:
        self.to_server.append(memoryview(data))
        self.waiting_server += len(data)

    def _queue_client(self, data: bytes) -> None:
        self.to_client.append(memoryview(data))
        self.waiting_client += len(data)
        self._write_sink()

    def _send(self) -> None:
        while self.to_server:
            first = self.to_server[0]
            try:
                sent = self.sock.send(first)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if _wants_more(error):
                    return
                raise
            self.waiting_server -= sent
            self._advance(self.to_server, sent)

    def _write_sink(self) -> None:
        while self.to_client:
            try:
                written = os.write(self.sink, self.to_client[0])
            except (BlockingIOError, InterruptedError):
                return
            except BrokenPipeError:
                self._client_gone()
                return
            self.waiting_client -= written
            self._advance(self.to_client, written)
        self._close_sink_when_drained()

    def _close_sink_when_drained(self) -> None:
        if not self.sink_open and not self.to_client and self.sink >= 0:
            # The reader sees the end now, although the other direction may still be open.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.sink)
            os.close(null)

    @staticmethod
    def _advance(queue: deque[memoryview], count: int) -> None:
        if count == len(queue[0]):
            queue.popleft()
        else:
            queue[0] = queue[0][count:]

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if now - self.heard > SILENCE_SECONDS and self.waiting_client < HIGH_WATER:
            raise Unreachable("The server has been silent for a minute.")
        if now - max(self.heard, self.pinged) > _PING_SECONDS:
            self.pinged = now
            self._queue_server(encode(PING, b""))


class BarePump(Pump):
    """A stream without frames over TLS, which has no end of one direction alone."""

    def _read_source(self) -> None:
        data = os.read(self.source, READ_SIZE)
        if data:
            self._queue_server(data)
            return
        self.source_open = False
        # Whoever says no more is not listening either: SSH does not work with half a connection.
        self.ended = True

    def _take(self, data: bytes) -> None:
        if data:
            self._queue_client(data)

    def _server_gone(self) -> None:
        self.ended = True
        self.to_server.clear()

    def _say_goodbye(self) -> None:
        """The end of the connection says it."""

    def _keep_alive(self) -> None:
        """SSH asks by itself whether the other side is there."""


def _wants_more(error: OSError) -> bool:
    """TLS asks to be called again when the socket is ready."""
    return type(error).__name__ in {"SSLWantReadError", "SSLWantWriteError"}
