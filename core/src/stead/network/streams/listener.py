"""The loopback listener at which the tunnel server's connections end."""

from __future__ import annotations

import asyncio

from stead.network.streams.channel import TcpChannel, Transport
from stead.network.streams.pool import StreamPool


class TunnelListener:
    """Accepts parked streams on ``127.0.0.1``; the ticket is what lets them in."""

    def __init__(self, pool: StreamPool) -> None:
        self.port = 0
        self._pool = pool
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen; a port of 0 means any free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: TcpChannel(self._accept), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, channel: TcpChannel) -> None:
        task = asyncio.create_task(self._pool.serve(channel, Transport.TUNNEL))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
