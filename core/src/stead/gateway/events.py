"""Server-sent events: logs that grow, and workspaces that change.

A stream holds no queue. What happens sets a flag, and the stream then reads what is new from the database: so a
slow reader costs nothing, and one that does not read at all is cut off by the deadline of its write.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from stead.api.errors import InvalidInput, SteadError
from stead.domain.documents import error_document, to_json
from stead.domain.records import Actor
from stead.gateway.credentials import RECHECK_SECONDS, Credential, credential_of
from stead.gateway.state import Gateway
from stead.services.bus import Payload

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
WRITE_SECONDS = 30.0
COALESCE_SECONDS = 0.05
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True)
class Event:
    name: str
    data: object
    id: int | None = None

    def encode(self) -> bytes:
        head = f"id: {self.id}\n" if self.id is not None else ""
        body = json.dumps(to_json(self.data), ensure_ascii=False, separators=(",", ":"))
        return f"{head}event: {self.name}\ndata: {body}\n\n".encode()


@dataclass(frozen=True)
class Batch:
    """Events that are there already go out in one write: a long log costs a few, not one a line."""

    events: tuple[Event, ...]

    def encode(self) -> bytes:
        return b"".join(event.encode() for event in self.events)


HEARTBEAT = b": \n\n"


class EventResponse(StreamingResponse):
    """An event stream whose reader has to read."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        super().__init__(body, media_type="text/event-stream", headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(WRITE_SECONDS):
                await send(message)

        with contextlib.suppress(TimeoutError):
            await super().__call__(scope, receive, send_in_time)


class Changes:
    """A flag that announcements on the bus set, and that a stream waits for."""

    def __init__(self, gateway: Gateway, *topics: str, wanted: Callable[[str, Payload], bool] | None = None) -> None:
        self._gateway = gateway
        self._topics = topics
        self._wanted = wanted
        self._flag = asyncio.Event()
        self.ids: set[str] = set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[Changes]:
        loop = asyncio.get_running_loop()

        def announced(topic: str, payload: Payload) -> None:
            if self._wanted is None or self._wanted(topic, payload):
                # The loop may be closing while a service still announces.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._note, payload)

        with contextlib.ExitStack() as stack:
            for topic in self._topics:
                stack.enter_context(self._gateway.core.bus.subscribe(topic, announced))
            yield self

    def _note(self, payload: Payload) -> None:
        if "id" in payload and len(self.ids) < 10_000:
            self.ids.add(str(payload["id"]))
        self._flag.set()

    async def wait(self, seconds: float) -> bool:
        """Whether something changed within so many seconds; several changes at once count as one."""
        closing = asyncio.create_task(self._gateway.closing.wait())
        changed = asyncio.create_task(self._flag.wait())
        try:
            await asyncio.wait({closing, changed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not changed.done() or self._gateway.closing.is_set():
                return False
            await asyncio.sleep(COALESCE_SECONDS)
            self._flag.clear()
            return True
        finally:
            closing.cancel()
            changed.cancel()


class Listener:
    """One person's open event stream: who it is, and whether it may go on."""

    def __init__(self, gateway: Gateway, credential: Credential, actor: Actor, leave: Callable[[], None]) -> None:
        self.gateway = gateway
        self.actor = actor
        self._credential = credential
        self._leave = leave
        self._checked_at = asyncio.get_running_loop().time()

    @classmethod
    async def of(cls, gateway: Gateway, request: Request) -> Listener:
        """
        :raises NotAuthenticated: nobody we know.
        :raises RateLimited: the person has too many streams open.
        """
        credential = credential_of(request)
        actor = await gateway.calls(credential.actor, gateway.core)
        return cls(gateway, credential, actor, gateway.event_streams.enter(actor.user_id, "event streams"))

    async def recheck(self) -> None:
        """Look again, now and then, whether the credential still holds."""
        now = asyncio.get_running_loop().time()
        if now - self._checked_at >= RECHECK_SECONDS:
            self.actor = await self.gateway.calls(self._credential.actor, self.gateway.core)
            self._checked_at = now

    async def respond(self, events: AsyncIterator[Event | Batch | None]) -> EventResponse:
        """Send the events; None is a heartbeat.

        The answer begins when the first of them is there, and so the stream is listening: whoever has seen the
        answer's status misses nothing that happens from then on.
        """
        encoded = self._encode(events)
        return EventResponse(_beginning_with(await anext(encoded), encoded))

    def abandon(self) -> None:
        """Nothing will be sent after all."""
        self._leave()

    async def _encode(self, events: AsyncIterator[Event | Batch | None]) -> AsyncGenerator[bytes]:
        try:
            async for event in events:
                await self.recheck()
                yield event.encode() if event is not None else HEARTBEAT
                if self.gateway.closing.is_set():
                    return
        except SteadError as error:
            yield Event("error", error_document(error)["error"]).encode()
        except Exception:  # boundary: one event stream; the browser connects again
            logger.exception("an event stream failed")
        finally:
            self._leave()


async def _beginning_with(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk


def resume_point(request: Request) -> int:
    """The id after which to go on: ``Last-Event-ID`` of a browser that reconnects, or ``?after=``."""
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput("`after` is the id of a line: a whole number.", field="after")
    return int(text)
