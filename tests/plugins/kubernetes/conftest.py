"""The plugin in front of an edge that fails as it is told, and in front of a real API server."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stead.api.provider import BuildContext, Context, Owner
from stead_kubernetes.provider import Kubernetes
from stead_kubernetes.settings import KubernetesSettings

sys.path.insert(0, str(Path(__file__).parent / "peer"))

from kubernetes_edge import Edge, handler
from kubernetes_peer import Server, shared


@pytest.fixture
def edge() -> Iterator[Edge]:
    made = Edge()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    made.released.set()
    server.shutdown()
    server.server_close()
    thread.join(30)


@dataclass
class Bench:
    """A provider in front of the edge."""

    provider: Kubernetes
    log: list[tuple[str, str]] = field(default_factory=list)

    def context(self, key: str = "k1", seconds: float | None = 30.0, **build: Any) -> Context:
        values = {
            "deployment": "d1",
            "workspace_id": "w1",
            "workspace_name": "dev",
            "owner": Owner(name="alice"),
            **build,
        }
        return Context(
            provider=self.provider,
            build=BuildContext(**values),
            key=key,
            deadline=None if seconds is None else time.monotonic() + seconds,
            sink=lambda level, text: self.log.append((level, text)),
        )

    @property
    def lines(self) -> str:
        return "\n".join(text for _, text in self.log)


@pytest.fixture
def bench(edge: Edge) -> Iterator[Callable[..., Bench]]:
    """Makes a bench; takes settings of the plugin."""
    made: list[Kubernetes] = []

    def make(**settings: Any) -> Bench:
        quick = {"host": edge.url, "pause": 0.001, "poll": 0.01, "attempts": 4, "timeout": 30.0, **settings}
        provider = Kubernetes(settings=KubernetesSettings(**quick))
        made.append(provider)
        return Bench(provider)

    yield make
    for provider in made:
        provider.cluster.close()


@pytest.fixture(scope="session")
def api_server(stead_session) -> Server:
    """A real API server with its controllers; left out where its programs were not built."""
    return shared(stead_session)
