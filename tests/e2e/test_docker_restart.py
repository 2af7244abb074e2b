"""The engine is killed, or restarted, in the middle of builds: what fails says so, and the next build mends it."""

from __future__ import annotations

import io
import os
import secrets
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stead.store import journal
from stead.store.journal import EntryStatus
from stead.testing.engine_edge import EngineEdge, Kind
from stead.testing.faults import Yard, open_yard
from stead.testing.images import make_busybox_image
from stead.testing.own_engine import OwnEngine, own_engine
from stead.testing.waiting import eventually, find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
EVERYTHING = os.environ.get("STEAD_TEST_ALL") == "1"

TEMPLATE = """
terraform {
  required_providers {
    coder  = { source = "coder/coder" }
    docker = { source = "kreuzwerker/docker" }
  }
}
data "coder_workspace" "me" {}
data "coder_parameter" "image" { name = "image" }
locals { name = "stead-${data.coder_workspace.me.id}" }

resource "docker_volume" "home" { name = local.name }
resource "docker_network" "net" {
  name     = local.name
  internal = true
}
resource "docker_image" "built" {
  name = "${local.name}:1"
  build {
    context    = "."
    build_args = { BASE = data.coder_parameter.image.value, NAME = local.name }
  }
}
resource "docker_container" "dev" {
  count      = data.coder_workspace.me.start_count
  name       = local.name
  image      = docker_image.built.image_id
  entrypoint = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]
  networks_advanced { name = docker_network.net.name }
  volumes {
    container_path = "/home/coder"
    volume_name    = docker_volume.home.name
  }
}
"""
DOCKERFILE = "ARG BASE\nFROM ${BASE}\nARG NAME\nRUN echo ${NAME} >/name && sleep 0.3\n"
SWEPT_SECONDS = 150.0  # what has failed is given a minute to show itself
SECONDS = 200.0  # for what takes a few, on a slow machine that does much else
RESOURCES = 4  # of a workspace that runs

# Transition, and the request in the middle of which the engine goes.
MOMENTS = {
    "image": ("create", r"POST .*/build\?"),
    "volume": ("create", r"POST .*/volumes/create"),
    "network": ("create", r"POST .*/networks/create"),
    "create": ("create", r"POST .*/containers/create"),
    "start": ("create", r"POST .*/containers/[0-9a-f]+/start"),
    "look": ("stop", r"GET .*/containers/[0-9a-f]+/json"),
    "stop": ("stop", r"DELETE .*/containers/"),
    "removal of the image": ("delete", r"DELETE .*/images/"),
    "removal of the network": ("delete", r"DELETE .*/networks/"),
    "removal of the volume": ("delete", r"DELETE .*/volumes/"),
}
SOME = [("image", OwnEngine.crash), ("start", OwnEngine.crash), ("stop", OwnEngine.stop)]
ALL = [(moment, end) for moment in MOMENTS for end in (OwnEngine.crash, OwnEngine.stop)]


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with (
        tempfile.TemporaryDirectory(prefix="sd-") as folder,
        own_engine(Path(folder, "e" + secrets.token_hex(3))) as made,
    ):
        make_busybox_image(made.url)
        yield made


@pytest.fixture(scope="module")
def edge(engine: OwnEngine) -> Iterator[EngineEdge]:
    with EngineEdge(engine.folder / "edge.sock", engine.url) as made:
        yield made


@pytest.fixture(scope="module")
def yard(engine: OwnEngine, edge: EngineEdge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    ports = (find_free_port(), find_free_port())
    environment = {"DOCKER_HOST": edge.url, "STEAD_TERRAFORM_NETWORK": "false"}
    folder = tmp_path_factory.mktemp("restart")
    with open_yard(folder, ports, engine.url, "stead-test/busybox:1", environment=environment) as made:
        upload(made)
        yield made


def upload(yard: Yard) -> None:
    """Make the template ``docker`` of this file's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in {"main.tf": TEMPLATE, "Dockerfile": DOCKERFILE}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    with yard.deployment.client() as client:
        answer = client.post("/template-versions", files={"archive": ("t.tar.gz", buffer.getvalue())})
    version = answer.raise_for_status().json()["id"]
    job = yard.wait(lambda: yard.deployment.get(f"/template-versions/{version}")["job"], SECONDS)
    assert job["status"] == "succeeded", job
    yard.deployment.post("/templates", {"name": "docker", "version_id": version})


def begin(yard: Yard, names: list[str], transition: str) -> list[str]:
    """Start a transition of all workspaces; those that a creation is not about are there before."""
    if transition == "create":
        return [yard.create(name) for name in names]
    for build in [yard.create(name) for name in names]:
        yard.succeed(build, SECONDS)
    return [yard.build(name, transition) for name in names]


@pytest.mark.parametrize(
    ("moment", "end"), ALL if EVERYTHING else SOME, ids=lambda value: getattr(value, "__name__", value)
)
def test_an_engine_that_goes_away_in_the_middle_of_builds(
    yard: Yard,
    engine: OwnEngine,
    edge: EngineEdge,
    moment: str,
    end: Callable[[OwnEngine], None],
    record_property: Callable[[str, object], None],
) -> None:
    transition, request = MOMENTS[moment]
    names = [f"w{secrets.token_hex(4)}" for _ in range(2)]
    builds = begin(yard, names, transition) if transition != "create" else []
    fault = edge.fault(request, Kind.GO, meanwhile=lambda: end(engine))
    builds = builds or begin(yard, names, transition)
    try:
        eventually(
            lambda: fault.seen and engine.process is None, SECONDS, what=f"the end of the engine at its {moment}"
        )
        jobs = [yard.finish(build, SECONDS) for build in builds]
    finally:
        fault.times = 0
        if engine.process is None:
            engine.start()
    record_property("ends", [(job["status"], job["error"]) for job in jobs])
    for job in jobs:
        assert job["status"] in {"succeeded", "failed"}
        if job["status"] == "failed":
            assert "does not answer" in job["error"] or "could not be" in job["error"], job["error"]
            assert "rror in the provider" not in job["error"]
    noticed = "failed" in {job["status"] for job in jobs}
    assert noticed or "removal" in moment, "the engine went away, and no build has noticed"  # a removal may be the last
    yard.wait_agreed(SECONDS)
    mended(yard, names, [job["status"] == "succeeded" and transition == "delete" for job in jobs])


def mended(yard: Yard, names: list[str], gone: list[bool]) -> None:
    """What is still there can be started, stopped and deleted, and each thing is there once."""
    names = [name for name, is_gone in zip(names, gone, strict=True) if not is_gone]
    for build in [yard.build(name, "start") for name in names]:
        yard.succeed(build, SECONDS)
    yard.wait_agreed(SECONDS)
    assert len(yard.owned()) == RESOURCES * len(names), yard.owned()
    for name in names:
        assert len(yard.known(yard.workspaces[name])) == RESOURCES
    for build in [yard.build(name, "delete") for name in names]:
        yard.succeed(build, SECONDS)
    yard.wait_agreed(SECONDS)
    assert yard.owned() == {}
    assert EntryStatus.CREATED not in statuses(yard), "the journal knows of something that nothing else knows of"


def statuses(yard: Yard) -> set[EntryStatus]:
    """Of what the journal still has of the workspaces."""
    with yard.core.database.read():
        return {entry.status for identity in yard.workspaces.values() for entry in journal.entries(identity)}


@pytest.mark.skipif(not EVERYTHING, reason="waits for a minute: ./test --all runs it")
def test_the_journal_forgets_what_failed(yard: Yard) -> None:
    eventually(lambda: not statuses(yard), SWEPT_SECONDS, what="an empty journal")
