"""Keeps clients that send or read slowly from holding one of the few threads of the web application.

A thread that waited for the rest of a body would be held by whoever sends slowly, or not at all: as many
such clients as there are threads, and nobody else is served. So a body is read here first, which costs an
idle connection and no thread, and has to arrive within a deadline. What is sent has a deadline too.
"""

from __future__ import annotations

import asyncio
import logging
from tempfile import SpooledTemporaryFile

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stead.api.errors import Unavailable
from stead.domain.documents import error_document

logger = logging.getLogger(__name__)

IN_MEMORY = 64 * 1024  # bytes of one body; what is beyond goes to a file
CHUNK = 64 * 1024


class ReadBodiesFirst:
    """ASGI middleware in front of an application that reads its bodies in threads.

    :param ahead: bytes that are read first: more than anybody may send who is not signed in. The rest of a
        longer body goes on to the application as it comes.
    :param seconds: until a body, or its first ``ahead`` bytes, has to be here, and for each later piece.
    :param most: bodies that are read at a time; what comes beyond is refused.
    """

    def __init__(self, app: ASGIApp, *, ahead: int = 1024 * 1024 + 1, seconds: float = 30.0, most: int = 1024) -> None:
        self._app = app
        self._ahead = ahead
        self._seconds = seconds
        self._most = most
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send = self._while_read(send)
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        if self._reading >= self._most:
            await _refusal(503, "The server has too much to do right now.")(scope, receive, send)
            return
        with SpooledTemporaryFile(IN_MEMORY, prefix="stead-body-") as spool:
            try:
                more = await self._read(receive, spool)
            except TimeoutError:
                await _refusal(408, "The request's body did not arrive in time.")(scope, receive, send)
                return
            if more is not None:
                await self._app(scope, self._replay(spool, receive, more=more), send)

    async def _read(self, receive: Receive, spool: SpooledTemporaryFile[bytes]) -> bool | None:
        """Whether there is more than what was read; None where the client left."""
        self._reading += 1
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    spool.write(message.get("body", b""))
                    more = bool(message.get("more_body", False))
                    if not more or spool.tell() >= self._ahead:
                        spool.seek(0)
                        return more
        finally:
            self._reading -= 1

    def _replay(self, spool: SpooledTemporaryFile[bytes], receive: Receive, *, more: bool) -> Receive:
        done = False

        async def next_message() -> Message:
            nonlocal done
            if done:
                return await self._in_time(receive) if more else await receive()
            data = spool.read(CHUNK)
            done = len(data) < CHUNK
            return {"type": "http.request", "body": data, "more_body": more or not done}

        return next_message

    def _while_read(self, send: Send) -> Send:
        """As ``send``, but nothing more is sent to a client that has left or does not read.

        An error here would end what takes the answer from the application's thread, which then waits for ever.
        """
        gone = False

        async def send_unless_gone(message: Message) -> None:
            nonlocal gone
            if gone:
                return
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except (OSError, RuntimeError):  # TimeoutError among them; a closed transport is a RuntimeError
                gone = True
                logger.debug("a client left before it had its answer", exc_info=True)

        return send_unless_gone

    async def _in_time(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._seconds):
                return await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _refusal(status: int, message: str) -> JSONResponse:
    # The rest of the body is still to come: this connection cannot carry another request.
    headers = {"Connection": "close", "Retry-After": "5"}
    return JSONResponse(error_document(Unavailable(message, remedy="Try again.")), status, headers)
