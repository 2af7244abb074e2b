"""Streams of people into workspaces, over agents that park them by hand."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stead.api.errors import Forbidden, SteadError
from stead.gateway.calls import ServiceCalls
from stead.gateway.credentials import rechecked
from stead.services import users
from stead.testing.handmade import end_workspace

SUBPROTOCOL = "stead-stream-1"


class ParkedStream:
    """One stream of an agent over WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.buffer = b""

    async def line(self) -> str:
        async with asyncio.timeout(20):
            while b"\n" not in self.buffer:
                self.buffer += await self.socket.recv()  # type: ignore[operator]
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    async def header(self) -> str:
        """Answers pings until the stream is taken."""
        while (line := await self.line()) == "ping":
            await self.socket.send(b"pong\n")
        return line


@asynccontextmanager
async def parked(site: Any, made: Any, ticket: str) -> AsyncIterator[ParkedStream]:
    async with connect(
        f"{site.websocket_url}/api/v2/agent/stream",
        additional_headers={"Authorization": f"Bearer {made.tokens['main']}"},
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        compression=None,
    ) as socket:
        await socket.send(f"STEAD/1 {ticket}\n".encode())
        yield ParkedStream(socket)


def person(site: Any, made: Any, to: str = "ssh", token: str | None = None, **headers: str) -> connect:
    used = token if token is not None else site.deployment.token
    authorization = {"Authorization": f"Bearer {used}"} if used else {}
    return connect(
        f"{site.websocket_url}/api/v2/workspaces/{made.workspace.id}/stream?to={to}",
        additional_headers={**authorization, **headers},
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        compression=None,
        max_size=None,
    )


@asynccontextmanager
async def connected(site: Any, made: Any) -> AsyncIterator[ParkedStream]:
    async with site.rpc(made.tokens["main"]) as agent:
        ticket = (await agent.hello())["streams"]["ticket"]
        async with parked(site, made, ticket) as stream:
            assert await stream.line() == "ok"
            yield stream


async def refusal(opening: connect) -> tuple[int, bytes]:
    with pytest.raises(InvalidStatus) as refused:
        async with opening:
            pass
    return refused.value.response.status_code, bytes(refused.value.response.body or b"")


async def close_of(opening: connect) -> tuple[int, str]:
    async with opening as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 25)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.mark.parametrize(("to", "header"), [("ssh", "ssh"), ("tcp:127.0.0.1:8080", "tcp 127.0.0.1 8080")])
async def test_bytes_pass_both_ways_with_half_close(site: Any, to: str, header: str) -> None:
    made = site.workspace()
    payload = secrets.token_bytes(3_000_000)
    async with connected(site, made) as stream, person(site, made, to) as socket:
        assert await stream.header() == header
        await stream.socket.send(b"ok\nfrom the ")
        await stream.socket.send(b"workspace")
        for start in range(0, len(payload), 200_000):
            await socket.send(payload[start : start + 200_000])
        await socket.send(b"")
        received = stream.buffer
        async with asyncio.timeout(20):
            while data := await stream.socket.recv():
                received += data  # type: ignore[operator]
            assert received == payload
            await stream.socket.send(b"!")
            await stream.socket.send(b"")
            answer = b""
            while data := await socket.recv():
                answer += data  # type: ignore[operator]
        assert answer == b"from the workspace!"


async def test_the_path_is_known(site: Any) -> None:
    made = site.workspace()
    async with connected(site, made):
        async with asyncio.timeout(10):
            while site.agent_record(made)["path"] != "websocket":
                await asyncio.sleep(0.1)


async def test_streams_need_the_ticket_of_their_own_agent(site: Any) -> None:
    one, other = site.workspace(), site.workspace()
    async with site.rpc(one.tokens["main"]) as a, site.rpc(other.tokens["main"]) as b:
        await a.hello()
        foreign = (await b.hello())["streams"]["ticket"]
        for ticket in (foreign, "made-up"):
            async with parked(site, one, ticket) as stream:
                assert await stream.line() == "no ticket"


async def test_a_workspace_without_a_connected_agent_says_so(site: Any) -> None:
    made = site.workspace()
    code, reason = await close_of(person(site, made))
    assert (code, "not connected" in reason) == (4503, True)


async def test_a_stopped_workspace_and_an_unknown_one_have_no_agent(site: Any) -> None:
    made = site.workspace()
    await asyncio.to_thread(end_workspace, site.core, site.owner, made.workspace.id, "stop")
    code, reason = await close_of(person(site, made))
    assert code == 4404
    assert "stopped" in reason


async def test_a_refused_target_is_told_with_the_agents_reason(site: Any) -> None:
    made = site.workspace()
    async with connected(site, made) as stream, person(site, made, "tcp:127.0.0.1:1") as socket:
        assert await stream.header() == "tcp 127.0.0.1 1"
        await stream.socket.send(b"no connection refused\n")
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4503
        assert "connection refused" in closed.value.rcvd.reason


@pytest.mark.parametrize("to", ["", "udp:1", "tcp:127.0.0.1:99999", "ssh%0Atcp"])
async def test_a_target_that_is_none_is_bad_input(site: Any, to: str) -> None:
    status, body = await refusal(person(site, site.workspace(), to or "nonsense"))
    assert status == 400
    assert b'"field":"to"' in body


async def test_strangers_stay_out(site: Any) -> None:
    made = site.workspace()
    _, token = site.member()
    assert (await refusal(person(site, made, token="")))[0] == 401
    assert (await refusal(person(site, made, token="rubbish")))[0] == 401
    # Somebody else's workspace looks like one that does not exist.
    code, reason = await close_of(person(site, made, token=token))
    assert code == 4404
    assert made.workspace.name not in reason


async def test_a_page_of_another_site_cannot_use_the_persons_cookie(site: Any) -> None:
    made = site.workspace()
    cookie = "stead_session=whatever"
    for origin in ("https://evil.example", "null", ""):
        headers = {"Cookie": cookie, **({"Origin": origin} if origin else {})}
        status, body = await refusal(person(site, made, token="", **headers))
        assert (status, b"another site" in body) == (403, True)
    own = f"http://127.0.0.1:{site.deployment.port}"
    assert (await refusal(person(site, made, token="", Cookie=cookie, Origin=own)))[0] == 401


async def test_the_subprotocol_is_required(site: Any) -> None:
    made = site.workspace()
    url = f"{site.websocket_url}/api/v2/workspaces/{made.workspace.id}/stream?to=ssh"
    headers = {"Authorization": f"Bearer {site.deployment.token}"}
    assert (await refusal(connect(url, additional_headers=headers)))[0] == 400


async def test_when_the_workspace_stops_its_streams_end(site: Any) -> None:
    made = site.workspace()
    async with connected(site, made) as stream, person(site, made) as socket:
        assert await stream.header() == "ssh"
        await stream.socket.send(b"ok\n")
        await socket.send(b"x")
        assert await stream.socket.recv() == b"x"
        await asyncio.to_thread(end_workspace, site.core, site.owner, made.workspace.id, "stop")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 10)


async def test_a_right_that_ends_reaches_an_open_connection() -> None:
    calls = ServiceCalls(threads=1)
    rights = [True, True]
    told: asyncio.Future[SteadError] = asyncio.get_running_loop().create_future()

    def allowed() -> None:
        if not rights:
            raise Forbidden("no more")
        rights.pop()

    async def denied(error: SteadError) -> None:
        told.set_result(error)

    async with rechecked(calls, allowed, denied, interval=0.01):
        assert isinstance(await asyncio.wait_for(told, 5), Forbidden)
    calls.close()


async def test_a_change_of_rights_is_looked_at_without_waiting() -> None:
    calls = ServiceCalls(threads=1)
    hurry = asyncio.Event()
    told: asyncio.Future[SteadError] = asyncio.get_running_loop().create_future()

    def allowed() -> None:
        raise Forbidden("no more")

    async def denied(error: SteadError) -> None:
        told.set_result(error)

    async with rechecked(calls, allowed, denied, interval=3600, hurry=hurry):
        hurry.set()
        assert isinstance(await asyncio.wait_for(told, 60), Forbidden)
    calls.close()


async def test_what_somebody_has_open_ends_when_another_process_ends_their_rights(site: Any) -> None:
    actor, token = site.member()
    made = site.workspace(actor)
    async with connected(site, made) as stream, person(site, made, token=token) as socket:
        assert await stream.header() == "ssh"
        await stream.socket.send(b"ok\nhello")
        assert await asyncio.wait_for(socket.recv(), 60) == b"hello"
        await asyncio.to_thread(users.set_status, site.core, site.owner, actor.user_id, "suspended")
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


async def test_a_database_that_is_away_for_a_moment_ends_no_connection() -> None:
    calls = ServiceCalls(threads=1)
    asked = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def broken() -> None:
        loop.call_soon_threadsafe(asked.release)
        raise OSError("the database is away")

    async def denied(error: SteadError) -> None:
        raise AssertionError("must not happen") from error

    watch: Callable[[], Awaitable[object]] = asked.acquire
    async with rechecked(calls, broken, denied, interval=0.01):
        for _ in range(5):
            await asyncio.wait_for(watch(), 5)
    calls.close()
