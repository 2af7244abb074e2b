"""Errors as HTTP answers of the gateway, for requests and for WebSockets that were not accepted yet."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from stead.api.errors import SteadError
from stead.domain.documents import error_document, status_of

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=HTTPConnection)


class Internal(SteadError):
    reason = "internal"


def failure_response(error: SteadError) -> JSONResponse:
    status = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status in {429, 503}:
        headers["Retry-After"] = "5"
    return JSONResponse(error_document(error), status, headers)


def _unexpected() -> Internal:
    return Internal("Something went wrong inside Stead.", remedy="The server's log has the details.")


def answering(endpoint: Callable[[Any, Request], Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """A request handler whose errors become JSON answers."""

    @wraps(endpoint)
    async def handle(self: Any, request: Request) -> Response:
        try:
            return await endpoint(self, request)
        except SteadError as error:
            return failure_response(error)
        except Exception:  # boundary: one request
            logger.exception("a request to the gateway failed")
            return failure_response(_unexpected())

    return handle


def accepting(endpoint: Callable[[Any, WebSocket], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A WebSocket handler: what fails before ``accept`` is an HTTP answer, what fails later a close code."""

    @wraps(endpoint)
    async def handle(self: Any, socket: WebSocket) -> None:
        try:
            await endpoint(self, socket)
        except SteadError as error:
            await refuse(socket, error)
        except Exception:  # boundary: one connection
            logger.exception("a connection to the gateway failed")
            await refuse(socket, _unexpected())

    return handle


async def refuse(socket: WebSocket, error: SteadError) -> None:
    """End a WebSocket because of ``error``, in the way that its state allows."""
    if socket.application_state is WebSocketState.CONNECTING:
        await socket.send_denial_response(failure_response(error))
    elif socket.application_state is WebSocketState.CONNECTED:
        await close(socket, 4000 + status_of(error), str(error))


async def close(socket: WebSocket, code: int, reason: str) -> None:
    """Close with a reason, cut to what a close frame holds; harmless where the peer has left already."""
    if socket.application_state is not WebSocketState.CONNECTED:
        return
    try:
        await socket.close(code, reason.encode()[:120].decode(errors="ignore"))
    except (RuntimeError, WebSocketDisconnect):
        logger.debug("a WebSocket was gone before it could be closed")
