"""A WebSocket as a byte stream: binary messages whose borders mean nothing, an empty one as end of stream."""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from stead.gateway.failures import close

SUBPROTOCOL = "stead-stream-1"
CHUNK = 256 * 1024


class WebSocketChannel:
    """An accepted WebSocket as a :class:`stead.network.streams.Channel`."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._ended = False
        self._closing: asyncio.Task[None] | None = None

    async def read(self) -> bytes:
        if self._ended:
            return b""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            self._ended = True
            raise ConnectionResetError("the WebSocket was closed")
        data: bytes = message.get("bytes") or b""
        self._ended = not data
        return data

    async def write(self, data: bytes | memoryview) -> None:
        try:
            for start in range(0, len(data), CHUNK):
                await self._socket.send_bytes(bytes(data[start : start + CHUNK]))
        except (RuntimeError, WebSocketDisconnect) as error:
            raise ConnectionResetError("the WebSocket is closed") from error

    async def write_eof(self) -> None:
        try:
            await self._socket.send_bytes(b"")
        except (RuntimeError, WebSocketDisconnect) as error:
            raise ConnectionResetError("the WebSocket is closed") from error

    def abort(self) -> None:
        """Close it in the background; whoever reads sees the end."""
        if self._closing is None and self._socket.application_state is WebSocketState.CONNECTED:
            self._closing = asyncio.create_task(close(self._socket, 1000, ""))
