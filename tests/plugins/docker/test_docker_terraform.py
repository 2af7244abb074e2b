"""The provider under the real Terraform, on a real Docker engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stead.api.errors import BuildFailure, SteadError
from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.terraform import BuildLog, MemoryJournal
from stead_docker import plugin

pytestmark = pytest.mark.docker

HEAD = """
terraform {
  required_providers {
    docker = { source = "kreuzwerker/docker" }
  }
}
variable "name" { type = string }
variable "image" { type = string }
"""
WORKSPACE = (
    HEAD
    + """
variable "memory" { default = 64 }
variable "greeting" { default = "hello" }
resource "docker_network" "net" {
  name     = var.name
  internal = true
}
resource "docker_volume" "home" {
  name = var.name
  lifecycle { ignore_changes = all }
}
resource "docker_image" "built" {
  name = "${var.name}:1"
  build {
    context    = "./build"
    build_args = { BASE = var.image }
  }
  triggers = { files = sha1(join("", [for f in fileset(path.module, "build/*") : filesha1("${path.module}/${f}")])) }
}
resource "docker_container" "dev" {
  name       = var.name
  image      = docker_image.built.image_id
  entrypoint = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]
  env        = ["GREETING=${var.greeting}"]
  memory     = var.memory
  cpus       = "0.5"
  host {
    host = "host.docker.internal"
    ip   = "host-gateway"
  }
  networks_advanced {
    name    = docker_network.net.name
    aliases = ["dev"]
  }
  volumes {
    container_path = "/home/coder"
    volume_name    = docker_volume.home.name
  }
  ports {
    internal = 80
    ip       = "127.0.0.1"
  }
  labels {
    label = "team"
    value = "red"
  }
  upload {
    file    = "/etc/greeting"
    content = var.greeting
  }
  healthcheck {
    test     = ["CMD", "true"]
    interval = "1h"
  }
  ulimit {
    name = "nofile"
    soft = 1024
    hard = 2048
  }
  capabilities {
    drop = ["NET_RAW"]
  }
}
data "docker_image" "base" {
  name = var.image
}
output "address" { value = docker_container.dev.network_data[0].ip_address }
output "base" { value = data.docker_image.base.id }
"""
)


class Bench:
    """An engine with the providers of Stead and of the plugin, and the state of one workspace."""

    def __init__(self, rig, folder: Path, image: str) -> None:
        self.rig, self.folder, self.image = rig, folder, image
        self.engine = Engine(EngineOptions(), self._providers())
        self.journal, self.log = MemoryJournal(), BuildLog()
        self.context = replace(rig.build, init_scripts=lambda os, arch: "while :; do sleep 1; done")
        self.state: bytes | None = None
        self.runs = 0

    def _providers(self):
        docker = [(spec, self.rig.settings) for spec in plugin.stead_terraform_providers()]
        return [*((spec, spec.settings()) for spec in builtin_providers()), *docker]

    def source(self, text: str, **files: str) -> Path:
        folder = self.folder / f"source-{self.runs}"
        (folder / "build").mkdir(parents=True)
        (folder / "main.tf").write_text(text)
        for name, content in files.items():
            (folder / "build" / name).write_text(content)
        return folder

    def open(self, context=None):
        self.runs += 1
        return self.engine.run(
            self.folder / f"run-{self.runs}",
            context=context or self.context,
            journal=self.journal,
            log=self.log,
            canceled=threading.Event(),
            timeout=100,
        )

    def go(self, source: Path, *, apply: bool = True, destroy: bool = False, context=None, **variables):
        """Plan, and apply unless told otherwise; returns the plan's changes and the outputs."""
        with self.open(context) as run:
            run.load(source, state=self.state, variables=variables)
            run.init()
            plan = run.plan(destroy=destroy)
            changes = {change.address: change.action for change in plan.changes if change.action != "read"}
            if not apply:
                return changes, {}
            try:
                outputs = run.apply().outputs
            finally:
                self.state = run.state
            return changes, outputs


@pytest.fixture
def bench(rig, tmp_path: Path, busybox_image: str) -> Iterator[Bench]:
    made = Bench(rig, tmp_path, busybox_image)
    yield made
    made.engine.close()


@pytest.fixture
def workspace(bench: Bench):
    """A function that runs the workspace's template with some of its variables changed."""
    source = bench.source(WORKSPACE, Dockerfile=f"ARG BASE\nFROM ${{BASE}}\nRUN echo {bench.rig.name} >/built\n")

    def go(**options):
        return bench.go(source, name=bench.rig.name, image=bench.image, **options)

    go.source = source
    return go


def test_a_workspace_through_its_life(bench: Bench, workspace) -> None:
    rig = bench.rig
    changes, outputs = workspace()
    assert set(changes.values()) == {"create"}
    assert len(changes) == 4
    assert outputs["address"].count(".") == 3
    assert {kind: len(found) for kind, found in rig.owned().items()} == {
        "docker_container": 1,
        "docker_volume": 1,
        "docker_network": 1,
        "docker_image": 1,
    }
    assert "Step 1/" in bench.log.text
    keys = {item.key for item in rig.platform.owned_resources(rig.name)}
    assert keys == set(bench.journal.entries)

    assert workspace(apply=False)[0] == {}, "a second plan is empty"

    first = rig.client.inspect_container(rig.name)["Id"]
    changes, _ = workspace(memory=128)
    assert changes == {"docker_container.dev": "update"}
    assert rig.client.inspect_container(first)["HostConfig"]["Memory"] == 128 << 20

    changes, _ = workspace(memory=128, greeting="bye")
    assert changes == {"docker_container.dev": "replace"}
    second = rig.client.inspect_container(rig.name)
    assert second["Id"] != first
    assert "GREETING=bye" in second["Config"]["Env"]

    assert workspace(destroy=True)[0].keys() == {
        "docker_container.dev",
        "docker_image.built",
        "docker_network.net",
        "docker_volume.home",
    }
    assert rig.owned() == {}
    assert {entry["status"] for entry in bench.journal.entries.values()} == {"deleted"}


def test_drift_is_seen_and_mended(bench: Bench, workspace) -> None:
    client, name = bench.rig.client, bench.rig.name
    workspace()
    identity = client.inspect_container(name)["Id"]

    client.stop(name, timeout=0)
    assert workspace()[0] == {"docker_container.dev": "update"}
    assert client.inspect_container(name)["Id"] == identity
    assert client.inspect_container(name)["State"]["Running"]

    client.update_container(name, mem_limit=32 << 20, memswap_limit=64 << 20)
    assert workspace()[0] == {"docker_container.dev": "update"}
    assert client.inspect_container(name)["HostConfig"]["Memory"] == 64 << 20

    client.remove_container(name, force=True)
    assert workspace()[0] == {"docker_container.dev": "create"}
    assert workspace(apply=False)[0] == {}

    for item in bench.rig.platform.owned_resources(name):
        bench.rig.platform.destroy_owned(item)
    workspace(destroy=True)
    assert bench.rig.owned() == {}


def test_a_change_in_the_build_folder_makes_image_and_container_anew(bench: Bench, workspace) -> None:
    workspace()
    (workspace.source / "build" / "more").write_text("more")
    assert workspace()[0] == {"docker_image.built": "replace", "docker_container.dev": "replace"}
    assert workspace(destroy=True)[0]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('image = "no.such.registry.invalid/x:1"', ["no.such.registry.invalid/x:1 could not be pulled", "docker load"]),
        ('image = var.image\n  restart = "sometimes"', ["must be one of", "restart"]),
        ('image = var.image\n  entrypoint = ["no-such-program"]', ["no-such-program", "Check entrypoint"]),
        ("image = var.image\n  no_such_argument = 1", ["no_such_argument"]),
        ('image = var.image\n  env = ["=x"]', ["environment variable has no name"]),
    ],
)
def test_what_is_wrong_is_said_at_its_place(bench: Bench, body: str, words: list[str]) -> None:
    text = HEAD + f'resource "docker_container" "dev" {{\n  name = var.name\n  {body}\n}}\n'
    with pytest.raises(BuildFailure) as caught:
        bench.go(bench.source(text), name=bench.rig.name, image=bench.image)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert bench.rig.owned() == {}


def test_an_engine_that_is_down_is_named(bench: Bench) -> None:
    text = HEAD + (
        'provider "docker" { host = "unix:///nowhere/docker.sock" }\n'
        'resource "docker_volume" "v" { name = var.name }\noutput "i" { value = var.image }\n'
    )
    with pytest.raises(BuildFailure, match=r"Docker at unix:///nowhere/docker\.sock does not answer"):
        bench.go(bench.source(text), name=bench.rig.name, image=bench.image)


def test_what_a_broken_apply_has_made_is_in_the_state(bench: Bench, workspace) -> None:
    stranger = bench.rig.client.create_container(bench.image, ["true"], name=bench.rig.name)
    with pytest.raises(SteadError, match="already in use"):
        workspace()
    bench.rig.client.remove_container(stranger["Id"])
    assert workspace()[0] == {"docker_container.dev": "create"}
    workspace(destroy=True)
    assert bench.rig.owned() == {}


@pytest.mark.parametrize(("starter", "parameter"), [("docker", "image"), ("docker-build", "base")])
def test_starters_start_stop_and_go(bench: Bench, debian_image: str, starter: str, parameter: str) -> None:
    (template,) = [item.path for item in plugin.STARTERS if item.name == starter]
    rig = bench.rig
    context = replace(
        bench.context, workspace_id=rig.name, workspace_name=rig.name, parameters={parameter: debian_image}
    )
    bench.go(template, context=context)
    (container,) = rig.owned()["docker_container"]
    found = rig.client.inspect_container(container)
    assert found["State"]["Running"]
    assert any(text.startswith("CODER_AGENT_TOKEN=") for text in found["Config"]["Env"])
    home = rig.owned()["docker_volume"]

    stop = replace(context, transition="stop")
    bench.go(template, context=stop)
    assert "docker_container" not in rig.owned()
    assert rig.owned()["docker_volume"] == home

    bench.go(template, context=context)
    assert rig.owned()["docker_volume"] == home
    bench.go(template, context=replace(context, transition="destroy"), destroy=True)
    assert rig.owned() == {}
