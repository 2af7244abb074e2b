"""The end of rights, by each of its ways, reaches each kind of connection within a minute."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from stead.domain.records import Actor
from stead.services import authentication, sessions, tokens, users

UPGRADE = "stead-stream-1"
MINUTE = 60.0


def suspend(site: Any, actor: Actor) -> None:
    users.set_status(site.core, site.owner, actor.user_id, "suspended")


def delete_tokens(site: Any, actor: Actor) -> None:
    for token in tokens.list(site.core, actor):
        tokens.delete(site.core, site.owner, token.id)


def sign_out_elsewhere(site: Any, actor: Actor) -> None:
    for session in sessions.list(site.core, actor):
        sessions.end(site.core, site.owner, session.id, actor.user_id)


def change_password(site: Any, actor: Actor) -> None:
    users.set_password(site.core, site.owner, actor.user_id, None, "another horse battery")


ENDS_OF_TOKENS = [suspend, delete_tokens, change_password]
ENDS_OF_SESSIONS = [suspend, sign_out_elsewhere, change_password]
Ends = Callable[[Any, Actor], None]


@asynccontextmanager
async def parked(site: Any, made: Any) -> AsyncIterator[Callable[[bytes], Any]]:
    """An agent with one stream; the function waits until it is taken, and answers with what is given."""
    async with site.rpc(made.tokens["main"]) as agent:
        ticket = (await agent.hello())["streams"]["ticket"]
        url = f"{site.websocket_url}/api/v2/agent/stream"
        headers = {"Authorization": f"Bearer {made.tokens['main']}"}
        async with connect(url, additional_headers=headers, subprotocols=[UPGRADE], compression=None) as socket:  # type: ignore[list-item]
            await socket.send(f"STEAD/1 {ticket}\n".encode())

            async def take(answer: bytes) -> None:
                async with asyncio.timeout(MINUTE):
                    seen = b""
                    while b"ssh\n" not in seen:
                        seen += await socket.recv()  # type: ignore[operator]
                        if seen.endswith(b"ping\n"):
                            await socket.send(b"pong\n")
                await socket.send(b"ok\n" + answer)

            yield take


async def timed(end: Ends, site: Any, actor: Actor, ended: Any) -> None:
    """Rights end, and so does the connection, within a minute."""
    began = time.monotonic()
    await asyncio.to_thread(end, site, actor)
    async with asyncio.timeout(MINUTE):
        await ended
    assert time.monotonic() - began < MINUTE


@pytest.mark.parametrize("end", ENDS_OF_TOKENS)
async def test_a_raw_stream(site: Any, end: Ends) -> None:
    actor, token = site.member()
    made = site.workspace(actor)
    async with parked(site, made) as take:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.deployment.port)
        lines = [f"GET /api/v2/workspaces/{made.workspace.id}/stream?to=ssh HTTP/1.1", "Host: stead"]
        lines += [f"Upgrade: {UPGRADE}", "Connection: Upgrade", f"Authorization: Bearer {token}", "", ""]
        writer.write("\r\n".join(lines).encode())
        await take(b"hello")
        async with asyncio.timeout(MINUTE):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
            assert await reader.readexactly(5) == b"hello"

        async def ended() -> None:
            with contextlib.suppress(ConnectionResetError):  # as an abort may reach the client
                assert await reader.read() == b""

        await timed(end, site, actor, ended())
        writer.close()


@pytest.mark.parametrize("end", ENDS_OF_SESSIONS)
async def test_a_websocket_of_a_browser(site: Any, end: Ends) -> None:
    actor, _ = site.member()
    made = site.workspace(actor)
    secret = authentication.open_session(site.core, actor.user_id, "", "")
    headers = {"Cookie": f"stead_session={secret}", "Origin": site.deployment.url}
    async with parked(site, made) as take:
        url = f"{site.websocket_url}/api/v2/workspaces/{made.workspace.id}/stream?to=ssh"
        opening = connect(url, additional_headers=headers, subprotocols=[UPGRADE], compression=None)  # type: ignore[list-item]
        async with opening as socket:
            await take(b"hello")
            async with asyncio.timeout(MINUTE):
                assert await socket.recv() == b"hello"

            async def ended() -> None:
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4403

            await timed(end, site, actor, ended())


@pytest.mark.parametrize(("end", "by"), [(suspend, "token"), (sign_out_elsewhere, "session")])
async def test_an_event_stream(site: Any, end: Ends, by: str) -> None:
    actor, token = site.member()
    headers = {"Authorization": f"Bearer {token}"}
    if by == "session":
        headers = {"Cookie": f"stead_session={authentication.open_session(site.core, actor.user_id, '', '')}"}
    url = f"{site.deployment.url}/api/v2/watch"
    async with httpx.AsyncClient(timeout=MINUTE) as client, client.stream("GET", url, headers=headers) as response:
        assert response.status_code == 200

        async def ended() -> None:
            text = "".join([chunk async for chunk in response.aiter_text()])
            last = text.strip().splitlines()
            assert "event: error" in last
            assert json.loads(last[-1].removeprefix("data: "))["reason"] == "not_authenticated"

        await timed(end, site, actor, ended())


@pytest.mark.parametrize("end", ENDS_OF_TOKENS)
def test_an_api_token_is_refused_at_once(site: Any, end: Ends) -> None:
    actor, token = site.member()
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{site.deployment.url}/api/v2/users/me"
    assert httpx.get(address, headers=headers, timeout=MINUTE).status_code == 200
    end(site, actor)
    assert httpx.get(address, headers=headers, timeout=MINUTE).status_code == 401
