"""Streams over WebSocket to the ordinary HTTPS port, for where no tunnel comes up."""

from __future__ import annotations

import asyncio
import socket

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from stead_agent.errors import ControlPlaneError
from stead_agent.settings import AgentSettings
from stead_agent.tls import client_context

SUBPROTOCOL = Subprotocol("stead-stream-1")
CHUNK = 64 * 1024


class WebSocketDialer:
    """Dials streams; what it returns is a plain socket whose other end a task carries over the WebSocket."""

    def __init__(self, settings: AgentSettings, path: str) -> None:
        self._settings = settings
        self._path = path
        self._carriers: set[asyncio.Task[None]] = set()

    async def __call__(self) -> socket.socket:
        """
        :raises ControlPlaneError: the control plane refused the WebSocket.
        """
        url = self._settings.websocket_url(self._path)
        try:
            websocket = await connect(
                url,
                additional_headers=self._settings.authorization,
                subprotocols=[SUBPROTOCOL],
                ssl=client_context() if url.startswith("wss:") else None,
                compression=None,
                open_timeout=10,
                ping_interval=None,
                close_timeout=2,
                max_size=4 * 1024 * 1024,
                write_limit=256 * 1024,
            )
        except InvalidHandshake as error:
            raise ControlPlaneError(f"The control plane refused a stream over WebSocket: {error}") from error
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        task = asyncio.create_task(_carry(websocket, theirs))
        self._carriers.add(task)
        task.add_done_callback(self._carriers.discard)
        return ours


async def _carry(websocket: ClientConnection, sock: socket.socket) -> None:
    directions = [
        asyncio.create_task(_inward(websocket, sock)),
        asyncio.create_task(_outward(websocket, sock)),
    ]
    closed = asyncio.create_task(websocket.wait_closed())
    try:
        both = asyncio.create_task(asyncio.wait(directions, return_when=asyncio.FIRST_EXCEPTION))
        await asyncio.wait([both, closed], return_when=asyncio.FIRST_COMPLETED)
    finally:
        tasks = [*directions, both, closed]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sock.close()
        await websocket.close()


async def _inward(websocket: ClientConnection, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async for message in websocket:
        if not message:
            sock.shutdown(socket.SHUT_WR)
            return
        await loop.sock_sendall(sock, message if isinstance(message, bytes) else message.encode())
    raise ConnectionResetError("the WebSocket was closed")


async def _outward(websocket: ClientConnection, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(sock, CHUNK):
            await websocket.send(data)
        await websocket.send(b"")
    except ConnectionClosed as error:
        raise ConnectionResetError("the WebSocket was closed") from error
