"""A Docker engine with a deployment of its own for each test: whatever carries its label goes at the end."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import docker
import pytest

from stead.api.errors import SteadError
from stead.api.provider import BuildContext, Context, Owner, Resource, Unknown
from stead_docker.platform import DockerPlatform
from stead_docker.provider import Docker
from stead_docker.settings import DockerSettings


@dataclass
class Rig:
    """One deployment on the engine, with a workspace in it."""

    url: str
    name: str = field(default_factory=lambda: f"stead-test-{secrets.token_hex(5)}")
    log: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = DockerSettings(host=self.url)
        self.platform = DockerPlatform(self.settings)
        self.provider = Docker(settings=self.settings)
        self.client = docker.APIClient(base_url=self.url)

    @property
    def build(self) -> BuildContext:
        return BuildContext(
            deployment=self.name,
            workspace_id=f"{self.name}-workspace",
            workspace_name="tester",
            build_id="build-1",
            owner=Owner(name="alice"),
        )

    def context(self, key: str = "", **options: Any) -> Context:
        def sink(level: str, text: str) -> None:
            self.log.append((level, text))

        options = {"provider": self.provider, "build": self.build, **options}
        return Context(key=key or secrets.token_hex(8), sink=sink, **options)

    def create(self, resource: Resource, key: str = "") -> Any:
        """Create it as the engine would: what is computed and not given is unknown before."""
        for attribute in type(resource).schema().attributes.values():
            value = getattr(resource, attribute.key)
            if value is None and attribute.has_default:
                setattr(resource, attribute.key, attribute.default)
            elif value is None and attribute.computed:
                setattr(resource, attribute.key, Unknown)
        resource.create(self.context(key))
        return resource

    @property
    def lines(self) -> str:
        return "\n".join(text for _, text in self.log)

    def owned(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in self.platform.owned_resources(self.name):
            found.setdefault(item.type_name, []).append(item.identity)
        return found

    def clean(self) -> None:
        for resource in self.platform.owned_resources(self.name):
            try:
                self.platform.destroy_owned(resource)
            except SteadError as error:
                pytest.fail(f"left over: {error}")
        for image in self.client.images(all=True, filters={"label": f"stead-test={self.name}"}):
            with contextlib.suppress(docker.errors.APIError):  # went with one of the others
                self.client.remove_image(image["Id"], force=True)
        self.client.close()


@pytest.fixture
def rig(docker_engine: str) -> Iterator[Rig]:
    made = Rig(docker_engine)
    yield made
    made.clean()
