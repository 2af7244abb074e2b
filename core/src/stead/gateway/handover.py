"""Answers for requests that want to become streams: see :mod:`stead.gateway.upgrade`."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from stead.api.errors import InvalidInput
from stead.domain.documents import error_document
from stead.gateway.channels import SUBPROTOCOL
from stead.gateway.upgrade import HANDOVER
from stead.network.streams import TcpChannel

HandOver = Callable[[], TcpChannel]
"""Answers 101 and gives the connection.

:raises ConnectionResetError: the client has gone.
"""


class Gone(Response):
    """No answer: the connection is not HTTP any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send


def hand_over_of(request: Request) -> HandOver | None:
    """What takes the connection over, None where the request did not ask to upgrade."""
    hand_over: HandOver | None = (request.scope.get("extensions") or {}).get(HANDOVER)
    return hand_over


def upgrade_required() -> JSONResponse:
    error = InvalidInput("This address is for streams.", field="Upgrade", remedy=f"Ask to upgrade to {SUBPROTOCOL}.")
    return JSONResponse(error_document(error), 426, {"Upgrade": f"{SUBPROTOCOL}, websocket", "Connection": "Upgrade"})
