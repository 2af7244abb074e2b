"""How an agent without a token gets one: two requests of strangers, bounded in size, number and time."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stead.api.errors import InvalidInput, RateLimited, TooLarge
from stead.gateway.calls import ServiceCalls
from stead.gateway.failures import answering
from stead.gateway.state import Gateway
from stead.services import instance_identity
from stead.services.instance_identity import LONGEST_DOCUMENT, Verifiers

LONGEST_BODY = LONGEST_DOCUMENT * 4 // 3 + 4096  # bytes: the document stands there as base64
BODY_SECONDS = 10.0
THREADS = 4  # strangers must not keep the gateway's own threads busy
WAITING = 64
NEVER_STORED = {"Cache-Control": "no-store"}

Asked = TypeVar("Asked", bound=BaseModel)


class ChallengeRequest(BaseModel, extra="ignore"):
    auth: Annotated[str, Field(max_length=64)]


class SessionRequest(BaseModel, extra="ignore"):
    id: Annotated[str, Field(min_length=1, max_length=64)]
    document: Annotated[str, Field(min_length=1, max_length=LONGEST_BODY)]


class Meter:
    """How many requests each address has left; they come back evenly over a minute.

    :param most: requests in a minute.
    :param kept: addresses that are remembered; the one that was quiet for longest is forgotten first.
    """

    def __init__(self, most: int, clock: Callable[[], float], kept: int = 10_000) -> None:
        self._most, self._clock, self._kept = most, clock, kept
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> None:
        """
        :raises RateLimited: this address has to wait.
        """
        now = self._clock()
        left, at = self._left.pop(address, (float(self._most), now))
        left = min(float(self._most), left + (now - at) * self._most / 60)
        self._left[address] = (max(0.0, left - 1), now)
        if len(self._left) > self._kept:
            self._left.popitem(last=False)
        if left < 1:
            raise RateLimited("Too many requests from this address.", remedy="Try again in a minute.")


class IdentityRoutes:
    """``POST /api/v2/agent/identity/challenge`` and ``…/session``."""

    def __init__(self, gateway: Gateway) -> None:
        self._core = gateway.core
        self._verifiers = Verifiers(gateway.core)
        self._calls = ServiceCalls(THREADS, WAITING, deadline=45.0)
        gateway.closers.append(self._calls.close)
        # Both steps count; a proof needs one of each.
        self._meter = Meter(2 * gateway.core.settings.proof_attempts, gateway.core.clock.monotonic)

    @answering
    async def challenge(self, request: Request) -> Response:
        asked = await self._read(request, ChallengeRequest)
        made = await self._calls(
            instance_identity.challenge, self._core, self._verifiers, asked.auth, _address(request)
        )
        seconds = int((made.expires_at - made.created_at).total_seconds())
        return JSONResponse({"id": made.id, "challenge": made.challenge, "expires_in": seconds}, headers=NEVER_STORED)

    @answering
    async def session(self, request: Request) -> Response:
        asked = await self._read(request, SessionRequest)
        try:
            document = base64.b64decode(asked.document, validate=True)
        except ValueError:
            raise InvalidInput("The document is no base64.", field="document") from None
        given = await self._calls(
            instance_identity.prove, self._core, self._verifiers, asked.id, document, _address(request)
        )
        return JSONResponse({"agent_id": given.agent_id, "token": given.token}, headers=NEVER_STORED)

    async def _read(self, request: Request, model: type[Asked]) -> Asked:
        self._meter.take(instance_identity.source_of(_address(request)))
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            raise InvalidInput("The body took too long to come.") from None
        try:
            value: Any = json.loads(body)
            return model.model_validate(value)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors(include_input=False, include_url=False)[0]["loc"])
            raise InvalidInput(f"The field {where or 'body'} is missing or wrong.", field=where or None) from None
        except (ValueError, RecursionError):
            raise InvalidInput("The body is not JSON.") from None


async def _body(request: Request) -> bytes:
    announced = request.headers.get("content-length", "0")
    body = bytearray()
    if announced.isdecimal() and int(announced[:16]) <= LONGEST_BODY:
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_BODY:
                break
        else:
            return bytes(body)
    raise TooLarge(f"The body is larger than the {LONGEST_BODY} bytes that this address takes.")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
