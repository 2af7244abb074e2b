"""A running server with people and a template, and agents that speak the protocol by hand."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from stead.domain.records import Actor
from stead.domain.states import Role
from stead.services import authentication, tokens, users
from stead.services.core import Core, close_core, open_core
from stead.testing.deployment import Deployment
from stead.testing.handmade import HandmadeAgent, HandmadeWorkspace, import_template, start_workspace
from stead.testing.waiting import find_free_port

BUNDLE = b"not really a bundle, but bytes enough to ask for ranges of it" * 10


class RpcAgent:
    """An agent's control connection; collects the notifications."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.notifications: list[dict[str, Any]] = []
        self._ids = itertools.count(1)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer: with ``result`` or ``error``."""
        number = next(self._ids)
        await self.socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        return await self.answer(number)

    async def answer(self, number: int | None) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                if "method" in message:
                    self.notifications.append(message)
                elif message.get("id") == number:
                    return message

    async def hello(self, **more: Any) -> dict[str, Any]:
        answer = await self.call("hello", version="1.0", os="linux", arch="amd64", **more)
        result: dict[str, Any] = answer["result"]
        return result

    async def notified(self, method: str) -> dict[str, Any]:
        async with asyncio.timeout(15):
            while True:
                for message in self.notifications:
                    if message["method"] == method:
                        return dict(message["params"])
                self.notifications.append(json.loads(await self.socket.recv()))


@dataclass
class Site:
    """A server process and the core of its database, open beside it."""

    deployment: Deployment
    core: Core
    owner: Actor
    template: str

    @property
    def websocket_url(self) -> str:
        return self.deployment.url.replace("http", "ws", 1)

    def workspace(self, owner: Actor | None = None, **agent: Any) -> HandmadeWorkspace:
        """A new running workspace with one agent."""
        name = f"w{secrets.token_hex(4)}"
        return start_workspace(self.core, owner or self.owner, self.template, name, [HandmadeAgent(**agent)])

    def member(self) -> tuple[Actor, str]:
        """A new user and a token of theirs."""
        name = f"u{secrets.token_hex(4)}"
        password = secrets.token_hex(12)
        user = users.create(self.core, self.owner, name, f"{name}@example.org", password, name, (Role.MEMBER,))
        actor = authentication.actor_for_user(self.core, user.id)
        return actor, tokens.create(self.core, actor, "test", 3600)[1]

    def agent_record(self, made: HandmadeWorkspace) -> dict[str, Any]:
        workspace = self.deployment.get(f"/workspaces/{made.workspace.id}")
        found: dict[str, Any] = workspace["latest_build"]["resources"][0]["agents"][0]
        return found

    @asynccontextmanager
    async def rpc(self, token: str) -> AsyncIterator[RpcAgent]:
        url = f"{self.websocket_url}/api/v2/agent/rpc?protocol=1"
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(url, additional_headers=headers, compression=None) as socket:
            yield RpcAgent(socket)


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the bundle's builder leaves it, with little in it."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "bootstrap").mkdir()
    name = "stead-agent-1.0-linux-amd64.tar.gz"
    (folder / name).write_bytes(BUNDLE)
    (folder / "manifest.json").write_text(
        json.dumps({"version": "1.0", "bundles": {"linux-amd64": {"path": f"/bin/{name}"}}})
    )
    (folder / "bootstrap" / "linux-amd64.sh").write_text('#!/bin/sh\nBASE="${ACCESS_URL}"\necho "${OTHER}"\n')
    (folder.parent / "outside.tar.gz").write_text("secret")
    return folder


@pytest.fixture(scope="session")
def make_deployment(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Deployment]:
    """Makes deployments that are not started yet."""

    def make(database_url: str | None = None, **environment: str) -> Deployment:
        return Deployment(
            tmp_path_factory.mktemp("deployment") / "data",
            find_free_port(),
            find_free_port(),
            database_url=database_url,
            environment={
                "STEAD_PROVISIONERS": "0",
                "STEAD_AGENT_BUNDLE_DIR": str(small_bundle),
                **environment,
            },
        )

    return make


def open_site(deployment: Deployment) -> Iterator[Site]:
    with deployment:
        deployment.create_owner()
        core = open_core(deployment.settings())
        try:
            owner = authentication.actor_for_token(core, deployment.token)
            yield Site(deployment, core, owner, import_template(core, owner, "plain"))
        finally:
            close_core(core)


@pytest.fixture(scope="module")
def site(make_deployment: Callable[..., Deployment]) -> Iterator[Site]:
    yield from open_site(make_deployment())
