"""uvicorn's HTTP protocol, which also hands connections over to protocols that are not HTTP.

An ``Upgrade: DERP`` request on the relay's path gets its 101, and then the same TCP or TLS transport belongs
to the relay's own :class:`asyncio.Protocol`: nothing of ASGI stands between the socket and a packet.

An ``Upgrade: stead-stream-1`` request goes through the application like any other, which may refuse it with any
answer, or take the transport over with what it finds in the scope's extensions under :data:`HANDOVER`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stead.network.relay import Relay, RelayConnection
from stead.network.streams import TcpChannel

RELAY_PATH = b"/derp"
STREAM = b"stead-stream-1"
HANDOVER = "stead.handover"


MAX_HEAD = 64 * 1024  # bytes beyond the first read, whose size is bounded too


class UpgradingProtocol(HttpToolsProtocol):
    """Serves HTTP and WebSocket as uvicorn does, and DERP on :data:`RELAY_PATH`.

    The parser keeps a request's address, headers and trailers however long they get. So what a client sends
    without getting on with its request, which is to a body or to an end, is bounded here.
    """

    def __init__(self, relay: Relay, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.relay = relay
        self._got_on = False
        self._head_size = 0

    def data_received(self, data: bytes) -> None:
        self._got_on = False
        super().data_received(data)
        self._head_size = 0 if self._got_on else self._head_size + len(data)
        if self._head_size > MAX_HEAD and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._got_on = True
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._got_on = True
        super().on_message_complete()

    def _is_relay_upgrade(self) -> bool:
        return self.url.partition(b"?")[0] == RELAY_PATH and self._get_upgrade() == b"derp"

    def _should_upgrade(self) -> bool:
        return self._is_relay_upgrade() or super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        if self._is_relay_upgrade():
            self._hand_over_to_relay()
        else:
            super().handle_websocket_upgrade()

    def _is_stream_upgrade(self) -> bool:
        return self._get_upgrade() == STREAM

    def _unsupported_upgrade_warning(self) -> None:
        if not self._is_stream_upgrade():
            super()._unsupported_upgrade_warning()

    def on_headers_complete(self) -> None:
        self._got_on = True
        if not self._is_stream_upgrade():
            super().on_headers_complete()
            return
        self.scope["extensions"] = {HANDOVER: self._hand_over_to_stream}  # type: ignore[dict-item]  # one of our own
        super().on_headers_complete()
        # The parser takes what follows for another protocol, so a refusal is the last answer here.
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _hand_over_to_stream(self) -> TcpChannel:
        """Answer 101; from then on the connection belongs to the channel that is returned.

        :raises ConnectionResetError: the client has gone.
        """
        if self.transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        # For uvicorn the request is over, without an answer of its own.
        self.cycle.disconnected = True
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + STREAM + b"\r\nConnection: Upgrade\r\n\r\n"
        )
        channel = TcpChannel()
        self.transport.set_protocol(channel)
        channel.connection_made(self.transport)
        return channel

    def _hand_over_to_relay(self) -> None:
        if self.relay.is_full:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self.connections.discard(self)
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Upgrade: DERP\r\n"
            b"Connection: Upgrade\r\n"
            b"Derp-Version: 2\r\n"
            b"Derp-Public-Key: " + self.relay.public.hex().encode() + b"\r\n\r\n"
        )
        connection = RelayConnection(self.relay)
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)

    def _refuse(self, status: HTTPStatus) -> None:
        line = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self.transport.write(line.encode())
        self.transport.close()


def protocol_factory(relay: Relay) -> Callable[..., asyncio.Protocol]:
    """What ``uvicorn.Config(http=...)`` takes."""

    def create(*args: Any, **kwargs: Any) -> asyncio.Protocol:
        return UpgradingProtocol(relay, *args, **kwargs)

    return create
