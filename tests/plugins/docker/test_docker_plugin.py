"""What the plugin registers, and what importing it costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from stead.api.errors import ProviderFailure
from stead_docker import plugin
from stead_docker.provider import Docker
from stead_docker.settings import DockerSettings

MEASURE = """
import json, sys, time
import stead.api, stead.api.provider
before = time.perf_counter()
import stead_docker.plugin as plugin
specs = plugin.stead_terraform_providers() + plugin.stead_platforms()
seconds = time.perf_counter() - before
print(json.dumps({"seconds": seconds, "sdk": sorted({"docker", "requests"} & sys.modules.keys())}))
"""


def test_importing_the_plugin_imports_no_sdk_and_takes_no_time() -> None:
    ran = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=60, check=True)
    measured = json.loads(ran.stdout)
    assert measured["sdk"] == []
    assert measured["seconds"] < 0.05


def test_the_provider_is_made_behind_its_factory() -> None:
    (spec,) = plugin.stead_terraform_providers()
    assert spec.full_address == "registry.terraform.io/kreuzwerker/docker"
    assert isinstance(spec.factory(DockerSettings()), Docker)


def test_every_type_and_argument_is_described() -> None:
    for model in (*Docker.resources, *Docker.data_sources):
        schema = model.schema()
        assert schema.description, model.type_name
        for field in schema.attributes.values():
            assert field.description or field.computed, f"{model.type_name}.{field.name}"


@pytest.mark.parametrize("starter", plugin.STARTERS, ids=lambda starter: starter.name)
def test_starters_are_complete(starter: plugin.StarterTemplate) -> None:
    readme = (starter.path / "README.md").read_text()
    assert readme.startswith("# ")
    template = (starter.path / "main.tf").read_text()
    for name in re.findall(r'display_name = "([^"]+)"\n  description', template):
        assert name in readme


def test_the_engine_is_named_by_block_then_settings_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "tcp://environment.test:1")
    settings = DockerSettings(host="tcp://settings.test:2")
    hosts = [
        Docker(settings=settings, host="tcp://block.test:3").engine.address.host,
        Docker(settings=settings).engine.address.host,
        Docker(settings=DockerSettings()).engine.address.host,
    ]
    assert hosts == ["tcp://block.test:3", "tcp://settings.test:2", "tcp://environment.test:1"]
    monkeypatch.delenv("DOCKER_HOST")
    assert Docker(settings=DockerSettings()).engine.address.host == "unix:///var/run/docker.sock"


def test_an_unknown_docker_context_is_named() -> None:
    with pytest.raises(ProviderFailure, match="There is no Docker context moon") as caught:
        _ = Docker(context="moon").engine
    assert caught.value.field == "context"
