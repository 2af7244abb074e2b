"""uvicorn's HTTP protocol, which also hands connections over to protocols that are not HTTP.

An ``Upgrade: DERP`` request on the relay's path gets its 101, and then the same TCP or TLS transport belongs
to the relay's own :class:`asyncio.Protocol`: nothing of ASGI stands between the socket and a packet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stead.network.relay import Relay, RelayConnection

RELAY_PATH = b"/derp"


class UpgradingProtocol(HttpToolsProtocol):
    """Serves HTTP and WebSocket as uvicorn does, and DERP on :data:`RELAY_PATH`."""

    def __init__(self, relay: Relay, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.relay = relay

    def _is_relay_upgrade(self) -> bool:
        return self.url.partition(b"?")[0] == RELAY_PATH and self._get_upgrade() == b"derp"

    def _should_upgrade(self) -> bool:
        return self._is_relay_upgrade() or super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        if self._is_relay_upgrade():
            self._hand_over_to_relay()
        else:
            super().handle_websocket_upgrade()

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
