"""A Stead server of our own in a throw-away folder, for the time of a benchmark."""

from __future__ import annotations

import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stead.quickstart import steps
from stead.quickstart.server import ServerProcess
from stead.quickstart.trial import Choice, choose


@dataclass
class Bench:
    """A running server, a client that is signed in, and the platform in use."""

    server: ServerProcess
    client: steps.Client
    choice: Choice
    token: str
    folder: Path
    healthy_seconds: float

    @property
    def pid(self) -> int:
        return self.server.pid

    def template(self) -> dict[str, Any]:
        """The platform's starter template, imported."""
        return steps.template(self.client, self.choice.platform, self.choice.trial.template, _quiet)

    def create(self, name: str, template: str, parameters: dict[str, str] | None = None) -> Timing:
        """Create a workspace and wait until it is applied, then ready; seconds since the request."""
        chosen = dict(self.choice.trial.parameters) if parameters is None else parameters
        started = time.perf_counter()
        build = steps.workspace(self.client, name, template, chosen)
        steps.built(self.client, build["id"], _quiet)
        applied = time.perf_counter() - started
        steps.ready(self.client, name)
        return Timing(applied, time.perf_counter() - started)

    def remove(self, name: str) -> None:
        steps.remove(self.client, name, _quiet)


@dataclass(frozen=True)
class Timing:
    applied: float
    ready: float


@contextmanager
def running(platform: str | None, say: Callable[[str], None]) -> Iterator[Bench]:
    """Start a server on a free port; end it and remove its folder afterwards."""
    with tempfile.TemporaryDirectory(prefix="stead-bench-") as name:
        folder = Path(name)
        choice = choose(platform)
        server = ServerProcess(folder, _free_port(), listen=choice.trial.listen)
        try:
            began = time.perf_counter()
            server.start()
            healthy = time.perf_counter() - began
            say(f"server healthy after {healthy:.2f} s, platform {choice.platform}")
            client = steps.Client(server.url)
            password = secrets.token_urlsafe(12)
            steps.first_owner(client, password)
            token = steps.token(client, password)
            client.sign_in(token)
            steps.agent_bundle(client)
            yield Bench(server, client, choice, token, folder, healthy)
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _quiet(text: str) -> None:
    del text
