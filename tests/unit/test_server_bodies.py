"""Bodies are read before a thread is taken for them, whole and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message

from stead.server.bodies import ReadBodiesFirst

BODY = bytes(range(256)) * 1024


class App:
    """Reads a body as the web application does, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.read = b""
        self.whole = False

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        self.asked += 1
        more = True
        while more:
            message = await receive()
            self.read += message.get("body", b"")
            more = message.get("more_body", False)
            self.whole = message["type"] == "http.request"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def ask(middleware: ReadBodiesFirst, pieces: list[bytes], *, ends: bool = True) -> int:
    """The status of a request whose body comes in pieces, and then ends or stays away."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if ends:
        messages[-1]["more_body"] = False
    statuses = []

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    asyncio.run(asyncio.wait_for(middleware(scope, receive, send), 10))
    return int(statuses[0])


@pytest.mark.parametrize("ahead", [1, 65536, len(BODY), 1 << 20])
@pytest.mark.parametrize("size", [1, 1000, 65536, len(BODY)])
def test_the_application_reads_what_was_sent(ahead: int, size: int) -> None:
    app = App()
    pieces = [BODY[at : at + size] for at in range(0, min(len(BODY), size * 300), size)]
    assert ask(ReadBodiesFirst(app, ahead=ahead), pieces) == 204
    assert app.read == b"".join(pieces)
    assert app.whole


def test_a_body_that_does_not_come_never_reaches_the_application() -> None:
    app = App()
    assert ask(ReadBodiesFirst(app, seconds=0.05), [b"login=a"], ends=False) == 408
    assert app.asked == 0


def test_the_rest_of_a_long_body_has_a_deadline_too() -> None:
    app = App()
    assert ask(ReadBodiesFirst(app, ahead=4, seconds=0.05), [b"login=a"], ends=False) == 204
    assert (app.read, app.whole) == (b"login=a", False)


def test_more_bodies_than_are_bearable_are_refused() -> None:
    app = App()
    assert ask(ReadBodiesFirst(app, most=0), [b"login=a"]) == 503
    assert app.asked == 0


@pytest.mark.parametrize("failure", [None, RuntimeError("the handler is closed"), ConnectionResetError()])
def test_an_answer_that_nobody_reads_does_not_hold_the_application(failure: Exception | None) -> None:
    sent: list[Message] = []

    async def app(_scope: Any, _receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > 3 and failure is not None:
            raise failure
        if len(sent) > 3:
            await asyncio.Event().wait()

    async def receive() -> Message:
        raise AssertionError

    scope = {"type": "http", "headers": []}
    asyncio.run(asyncio.wait_for(ReadBodiesFirst(app, seconds=0.05)(scope, receive, send), 10))
    assert len(sent) == 4
