"""Google Cloud as a strict fake of its own for each test, and a deployment in it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stead.api.provider import BuildContext, Context, Owner, Resource, Unknown
from stead_gcp.platform import GcpPlatform
from stead_gcp.provider import Google
from stead_gcp.settings import GcpSettings

sys.path.insert(0, str(Path(__file__).parent / "peer"))
from stead_gcp_peer.schema import document
from stead_gcp_peer.server import TOKEN, Peer, Running
from stead_gcp_peer.world import PROJECT

NAMES = ("GOOGLE", "GCLOUD", "CLOUDSDK")


@dataclass
class Rig:
    """One deployment in a project, with a workspace in it."""

    peer: Peer
    name: str = field(default_factory=lambda: f"stead-test-{secrets.token_hex(5)}")
    log: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = self.configured()
        self.platform = GcpPlatform(self.settings)
        self.provider = Google(settings=self.settings)

    def configured(self, **changes: Any) -> GcpSettings:
        values = {
            "project": PROJECT,
            "zone": "us-central1-a",
            "access_token": TOKEN,
            "compute_endpoint": self.peer.url,
            "iam_endpoint": self.peer.url,
            "resource_manager_endpoint": self.peer.url,
            "timeout": 10,
            "attempts": 5,
            "pause": 0.01,
            "poll": 0.02,
            **changes,
        }
        return GcpSettings.model_validate(values)

    @property
    def build(self) -> BuildContext:
        return BuildContext(
            deployment=self.name,
            workspace_id="w-1",
            workspace_name="Tester",
            build_id="build-1",
            owner=Owner(name="alice"),
        )

    def context(self, key: str = "", **options: Any) -> Context:
        def sink(level: str, text: str) -> None:
            self.log.append((level, text))

        options = {"provider": self.provider, "build": self.build, **options}
        return Context(key=key or secrets.token_hex(8), sink=sink, **options)

    def create(self, resource: Resource, key: str = "", **options: Any) -> Any:
        """Create it as the engine would: what is computed and not given is unknown before."""
        unknown(resource)
        resource.create(self.context(key, **options))
        return resource

    def owned(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in self.platform.owned_resources(self.name):
            found.setdefault(item.type_name, []).append(item.identity.rpartition("/")[2])
        return found


def unknown(model: Any) -> None:
    for attribute in type(model).schema().attributes.values():
        value = getattr(model, attribute.key)
        if value is None and attribute.has_default:
            setattr(model, attribute.key, attribute.default)
        elif value is None and attribute.computed:
            setattr(model, attribute.key, Unknown)
    for block in type(model).schema().blocks.values():
        value = getattr(model, block.key)
        for item in value if isinstance(value, list) else [value] if value is not None else []:
            unknown(item)


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    for name in [name for name in os.environ if name.startswith(NAMES)]:
        monkeypatch.delenv(name)
    document("compute.v1")  # leaves the test out where it is not there
    with Running() as running:
        yield running
        assert running.problems == [], "every request fits the published description"


@pytest.fixture
def rig(peer: Peer) -> Rig:
    return Rig(peer)
