"""Where a stream goes on that outgrew the tunnel: who may come there, and with what."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest


async def ask(site: Any, token: str, move: str = "", upgrade: str = "stead-stream-1") -> tuple[int, dict[str, Any]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.deployment.port)
    lines = [f"GET /api/v2/agent/stream?move={move} HTTP/1.1", "Host: stead"]
    lines += [f"Upgrade: {upgrade}", "Connection: Upgrade"] if upgrade else []
    lines += [f"Authorization: Bearer {token}"] if token else []
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        async with asyncio.timeout(30):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            length = next(int(x.partition(":")[2]) for x in head if x.lower().startswith("content-length:"))
            return int(head[0].split(" ")[1]), json.loads(await reader.readexactly(length))["error"]
    finally:
        writer.close()


async def test_nothing_moves_that_nobody_asked_for(site: Any) -> None:
    made = site.workspace()
    async with site.rpc(made.tokens["main"]) as agent:
        await agent.hello(capabilities=["tunnel", "websocket", "move"])
        for name in ("", "unknown"):
            status, error = await ask(site, made.tokens["main"], name)
            assert (status, error["reason"]) == (404, "not_found")


@pytest.mark.parametrize("token", ["", "rubbish"])
async def test_only_agents_may_come(site: Any, token: str) -> None:
    status, _ = await ask(site, token, "name")
    assert status == 401


async def test_a_persons_token_is_no_agents(site: Any) -> None:
    status, _ = await ask(site, site.deployment.token, "name")
    assert status == 401


async def test_without_an_upgrade_the_answer_says_what_is_missing(site: Any) -> None:
    made = site.workspace()
    status, error = await ask(site, made.tokens["main"], "name", upgrade="")
    assert (status, error["field"]) == (426, "Upgrade")
