"""One client of the relay, from the 101 answer to the end of its TCP connection.

The hot path is :meth:`RelayConnection.data_received`: one read holds many frames, and they leave in one
``writelines`` for each destination. A packet is never copied unless its destination is slow.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from stead.network.relay.frames import (
    HEADER,
    KEY_LENGTH,
    FrameReader,
    FrameType,
    MalformedFrame,
    PeerGone,
    frame,
    open_client_info,
    peer_gone_frame,
    server_info_frame,
    server_key_frame,
)

if TYPE_CHECKING:
    from stead.network.relay.relay import Relay

logger = logging.getLogger(__name__)

_WIREGUARD_DATA = 4  # first byte of a WireGuard transport message
_KEEP_ALIVE = frame(FrameType.KEEP_ALIVE)

Buffer = bytes | memoryview
Batches = dict[bytes, tuple["RelayConnection | None", list[Buffer]]]


class RelayConnection(asyncio.Protocol):
    """The protocol of a connection that was upgraded to DERP."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.key = b""
        self.joined = False
        self.carried_at: float | None = None
        self.dropped = 0
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._paused = False
        self._prefix = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    # The life of the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=256 * 1024)
        self.relay.opened(self)
        self._write([server_key_frame(self.relay.public)])
        self._timer = self._loop.call_later(self.relay.limits.handshake, self._handshake_overdue)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        self._transport = None
        self.relay.closed(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def finish(self, last_words: bytes) -> None:
        """Send one last frame, and close once it is out."""
        if self._transport is not None:
            self._write([last_words])
            self._transport.close()

    # Frames in

    def data_received(self, data: bytes) -> None:
        batches: Batches = {}
        replies: list[Buffer] = []
        try:
            for kind, body in self._reader.feed(data):
                if not self.joined:
                    self._greet(kind, body)
                elif kind == FrameType.SEND_PACKET:
                    self._sort(body, batches)
                elif kind == FrameType.PING:
                    replies.append(_pong(body))
        except MalformedFrame as error:
            logger.info("relay: closed a connection that sent %s", error)
            self.abort()
            return
        self._forward(batches, replies)
        if replies:
            self.deliver(replies)

    def _sort(self, body: memoryview, batches: Batches) -> None:
        if len(body) < KEY_LENGTH:
            raise MalformedFrame("a packet without a destination")
        destination = bytes(body[:KEY_LENGTH])
        batch = batches.get(destination)
        if batch is None:
            batch = batches[destination] = (self.relay.route(self, destination), [])
        batch[1].append(HEADER.pack(FrameType.RECEIVED_PACKET, len(body)) + self._prefix)
        batch[1].append(body[KEY_LENGTH:])

    def _forward(self, batches: Batches, replies: list[Buffer]) -> None:
        for destination, (target, buffers) in batches.items():
            if target is None:
                replies.append(peer_gone_frame(destination, PeerGone.NOT_HERE))
                continue
            if any(len(b) and b[0] == _WIREGUARD_DATA for b in buffers[1::2]):
                self.carried_at = target.carried_at = self._loop.time()
            target.deliver(buffers, step=2)

    def _greet(self, kind: int, body: memoryview) -> None:
        if kind != FrameType.CLIENT_INFO:
            raise MalformedFrame("something before its client info")
        info = open_client_info(self.relay.private, body)
        self.key, self._prefix = info.key, info.key
        if not self.relay.join(self):
            raise MalformedFrame("a key that is not admitted")
        self.joined = True
        self._write([server_info_frame(self.relay.private, info.key)])
        self._schedule_keep_alive()

    # Frames out

    def deliver(self, buffers: Sequence[Buffer], step: int = 1) -> None:
        """Send whole frames, each of ``step`` consecutive buffers; queue them while the client is slow."""
        if self._transport is None:
            return
        if not self._paused:
            self._write(buffers)
            return
        for start in range(0, len(buffers), step):
            self._enqueue(b"".join(buffers[start : start + step]))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._queue:
            waiting = list(self._queue)
            self._queue.clear()
            self._queued = 0
            self._write(waiting)

    def _enqueue(self, whole: bytes) -> None:
        # WireGuard retransmits what matters, and new packets are worth more than old ones.
        self._queue.append(whole)
        self._queued += len(whole)
        while self._queued > self.relay.limits.queue_bytes:
            self._queued -= len(self._queue.popleft())
            self.dropped += 1

    def _write(self, buffers: Sequence[Buffer]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(buffers)

    # Timers

    def _handshake_overdue(self) -> None:
        logger.info("relay: closed a connection that did not introduce itself")
        self.abort()

    def _schedule_keep_alive(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Spread, so that thousands of connections don't wake in the same moment.
        delay = self.relay.limits.keep_alive * random.uniform(0.9, 1.0)  # noqa: S311
        self._timer = self._loop.call_later(delay, self._keep_alive)

    def _keep_alive(self) -> None:
        if not self._paused:
            self._write([_KEEP_ALIVE])
        self._schedule_keep_alive()


def _pong(body: memoryview) -> bytes:
    if len(body) != 8:
        raise MalformedFrame(f"a ping of {len(body)} bytes")
    return frame(FrameType.PONG, bytes(body))
