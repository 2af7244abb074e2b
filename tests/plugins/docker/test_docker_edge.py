"""What goes wrong between Stead and an engine, for every resource type: no orphan, nothing made twice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stead.api.errors import (
    PlatformUnreachable,
    ProviderFailure,
    ResourceConflict,
    SteadError,
    Throttled,
)
from stead.api.provider import Resource
from stead.terraform.engine import Engine, EngineOptions
from stead.terraform.serving.planning import planned
from stead.testing.engine_edge import EngineEdge, Kind
from stead.testing.templates import TemplateRunner
from stead.testing.terraform import MemoryJournal
from stead_docker import plugin
from stead_docker.container import Container
from stead_docker.image import Image
from stead_docker.image_build import Build
from stead_docker.network import Network
from stead_docker.platform import DockerPlatform
from stead_docker.provider import Docker
from stead_docker.settings import DockerSettings
from stead_docker.volume import Volume

pytestmark = pytest.mark.docker
BUSYBOX = "stead-test/busybox:1"
STAY = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]


@dataclass(frozen=True)
class Row:
    """:param make: a resource with a name, in a folder.

    :param creation: the request that makes it; ``removal``: that takes it away; ``reading``: that tells of it.
    :param take: somebody else takes the name; returns the identity of what has it, or nothing where no name is unique.
    :param vanish: somebody removes it.
    """

    make: Callable[[str, Path], Resource]
    creation: str
    removal: str
    reading: str
    take: Callable[[Any, str], str]
    vanish: Callable[[Any, str], object]
    taken: type[SteadError] | None = ResourceConflict


def _image(name: str, folder: Path) -> Image:
    (folder / "Dockerfile").write_text(f"FROM {BUSYBOX}\nLABEL test={name}\n")
    return Image(name=f"{name}:1", build=[Build(context=str(folder))])


def _tagged(client: Any, name: str) -> str:
    client.tag(BUSYBOX, name, "1")
    return str(client.inspect_image(f"{name}:1")["Id"])


ROWS = {
    "docker_container": Row(
        lambda name, folder: Container(image=BUSYBOX, name=name, entrypoint=STAY),
        r"POST .*/containers/create",
        r"DELETE .*/containers/",
        r"GET .*/containers/[0-9a-f]{64}/json",
        lambda client, name: str(client.create_container(BUSYBOX, ["true"], name=name)["Id"]),
        lambda client, name: client.remove_container(name, force=True),
    ),
    "docker_image": Row(
        _image,
        r"POST .*/build\?",
        r"DELETE .*/images/",
        r"GET .*/images/.*/json",
        _tagged,
        lambda client, name: client.remove_image(f"{name}:1", force=True),
        taken=None,  # a build takes a name over: what had it stays, without it
    ),
    "docker_network": Row(
        lambda name, folder: Network(name=name, internal=True),
        r"POST .*/networks/create",
        r"DELETE .*/networks/",
        r"GET .*/networks/[0-9a-f]{64}",
        lambda client, name: str(client.create_network(name)["Id"]),
        lambda client, name: client.remove_network(name),
    ),
    "docker_volume": Row(
        lambda name, folder: Volume(name=name),
        r"POST .*/volumes/create",
        r"DELETE .*/volumes/",
        r"GET .*/volumes/",
        lambda client, name: str(client.create_volume(name)["Name"]),
        lambda client, name: client.remove_volume(name, force=True),
    ),
}
EVERY = pytest.mark.parametrize("type_name", ROWS)


def test_every_resource_type_has_a_row() -> None:
    assert {kind.type_name for kind in Docker.resources} == set(ROWS)


@pytest.fixture
def edge(docker_engine: str) -> Iterator[EngineEdge]:
    path = Path("/tmp") / f"stead-{secrets.token_hex(6)}.sock"  # short, as paths of sockets are
    with EngineEdge(path, docker_engine) as made:
        yield made


@pytest.fixture
def world(rig, edge: EngineEdge, busybox_image: str) -> Any:
    """The rig, whose provider asks through the edge; its client and platform go straight to the engine."""
    rig.provider = Docker(settings=DockerSettings(host=edge.url))
    return rig


def make(world: Any, type_name: str, tmp_path: Path, key: str = "") -> Resource:
    made = planned(None, ROWS[type_name].make(world.name, tmp_path))
    made.create(world.context(key))
    return made


def kinds(world: Any) -> list[str]:
    """Types of all that the engine has of this deployment."""
    return [item.type_name for item in DockerPlatform(world.settings).owned_resources(world.name)]


@EVERY
@pytest.mark.parametrize(
    ("kind", "options", "tries"),
    [
        (Kind.REFUSE, {"status": 429, "message": "too many requests"}, 3),
        (Kind.REFUSE, {"status": 503, "message": "try again later"}, 3),
        (Kind.DROP, {}, 3),
        (Kind.LOSE, {}, None),
    ],
    ids=["throttled", "away", "dropped", "lost"],
)
def test_a_creation_that_goes_wrong_passingly_makes_one_thing(
    world, edge: EngineEdge, tmp_path: Path, type_name: str, kind: Kind, options: dict[str, Any], tries: int | None
) -> None:
    row = ROWS[type_name]
    fault = edge.fault(row.creation, kind, times=1 if kind is Kind.LOSE else 2, **options)
    made = make(world, type_name, tmp_path)
    assert fault.seen == fault.times
    assert tries is None or edge.count(row.creation) == tries
    assert kinds(world) == [type_name]
    assert made.read(world.context())
    made.delete(world.context())
    assert kinds(world) == []


@EVERY
@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (Kind.REFUSE, 429, Throttled),
        (Kind.REFUSE, 500, ProviderFailure),
        (Kind.REFUSE, 503, PlatformUnreachable),
        (Kind.DROP, 0, PlatformUnreachable),
    ],
    ids=["throttled", "broken", "away", "dropped"],
)
def test_a_creation_that_goes_wrong_for_good_leaves_nothing(
    world, edge: EngineEdge, tmp_path: Path, type_name: str, kind: Kind, status: int, expected: type[SteadError]
) -> None:
    row = ROWS[type_name]
    fault = edge.fault(row.creation, kind, status=status, times=3)
    with pytest.raises(expected, match=r"could not be (created|built)") as caught:
        make(world, type_name, tmp_path, "k1")
    assert fault.seen == (1 if status == 500 else 3), "what the engine refuses for good is tried once"
    assert type(caught.value) is expected
    assert kinds(world) == []
    fault.times = 0
    make(world, type_name, tmp_path, "k2")
    assert kinds(world) == [type_name]


@EVERY
def test_an_answer_that_is_lost_while_nobody_can_tell_is_found_by_the_next_creation(
    world, edge: EngineEdge, tmp_path: Path, type_name: str
) -> None:
    """The engine makes it and is gone: the same creation, done again, ends with one."""
    row = ROWS[type_name]
    edge.fault(row.creation, Kind.LOSE)
    gone = edge.fault("^(GET|POST|DELETE)", Kind.DROP, times=1000)
    gone.seen = gone.times  # not yet
    edge.faults[0].after = lambda: setattr(gone, "seen", 0)
    with pytest.raises(SteadError):
        make(world, type_name, tmp_path, "same")
    assert kinds(world) == [type_name], "the engine has carried it out"
    gone.times = 0
    make(world, type_name, tmp_path, "same")
    assert kinds(world) == [type_name]


@EVERY
def test_what_vanishes_before_it_is_read_is_told_and_made_by_the_next_creation(
    world, edge: EngineEdge, tmp_path: Path, type_name: str
) -> None:
    row = ROWS[type_name]
    edge.fault(row.creation, Kind.GO, after=lambda: row.vanish(world.client, world.name))
    if type_name == "docker_volume":  # its creation tells all of it: only the next plan can notice
        made = make(world, type_name, tmp_path, "k1")
        assert not made.read(world.context())
    else:
        with pytest.raises(ProviderFailure, match=r"removed while it was|vanished while it was|could not be started"):
            make(world, type_name, tmp_path, "k1")
    assert kinds(world) == []
    make(world, type_name, tmp_path, "k2")
    assert kinds(world) == [type_name]


@EVERY
def test_what_vanishes_before_its_removal_is_gone(world, edge: EngineEdge, tmp_path: Path, type_name: str) -> None:
    row, made = ROWS[type_name], make(world, type_name, tmp_path)
    fault = edge.fault(row.removal, Kind.GO, before=lambda: row.vanish(world.client, world.name))
    made.delete(world.context())
    assert fault.seen == 1
    assert kinds(world) == []


@EVERY
@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.DROP, Kind.LOSE], ids=["throttled", "dropped", "lost"])
def test_a_removal_that_goes_wrong_passingly_removes(
    world, edge: EngineEdge, tmp_path: Path, type_name: str, kind: Kind
) -> None:
    row, made = ROWS[type_name], make(world, type_name, tmp_path)
    fault = edge.fault(row.removal, kind, status=429)
    made.delete(world.context())
    assert fault.seen == 1
    assert kinds(world) == []


@EVERY
def test_a_removal_that_fails_says_so_and_can_be_done_again(
    world, edge: EngineEdge, tmp_path: Path, type_name: str
) -> None:
    row, made = ROWS[type_name], make(world, type_name, tmp_path)
    edge.fault(row.removal, status=500)
    with pytest.raises(ProviderFailure, match=r"could not be removed: .*not well"):
        made.delete(world.context())
    assert kinds(world) == [type_name]
    made.delete(world.context())
    assert kinds(world) == []


@EVERY
@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.DROP], ids=["away", "dropped"])
def test_a_question_is_asked_again(world, edge: EngineEdge, tmp_path: Path, type_name: str, kind: Kind) -> None:
    row, made = ROWS[type_name], make(world, type_name, tmp_path)
    fault = edge.fault(row.reading, kind, status=503, times=2)
    assert made.read(world.context())
    assert fault.seen == 2
    edge.fault(row.reading, kind, status=503, times=3)
    with pytest.raises(PlatformUnreachable):
        made.read(world.context())
    assert made.read(world.context()), "that an engine is away does not mean that a thing is gone"


@EVERY
def test_a_name_that_is_taken_is_told_and_what_has_it_stays(world, tmp_path: Path, type_name: str) -> None:
    row = ROWS[type_name]
    stranger = row.take(world.client, world.name)
    try:
        if row.taken is None:
            made = make(world, type_name, tmp_path)
            made.delete(world.context())
            assert world.client.inspect_image(stranger)
        else:
            with pytest.raises(row.taken) as caught:
                make(world, type_name, tmp_path)
            assert caught.value.field == "name"
        assert kinds(world) == []
    finally:
        if row.taken is not None:
            row.vanish(world.client, world.name)


TEMPLATE = """
terraform {
  required_providers {
    docker = { source = "kreuzwerker/docker" }
  }
}
resource "docker_network" "it" {
  name     = "NAME"
  internal = true
}
resource "docker_volume" "it" { name = "NAME" }
resource "docker_image" "it" {
  name = "NAME:1"
  build { context = "." }
}
resource "docker_container" "it" {
  name       = "NAME"
  image      = docker_image.it.image_id
  entrypoint = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]
  networks_advanced { name = docker_network.it.name }
  volumes {
    container_path = "/v"
    volume_name    = docker_volume.it.name
  }
}
"""


def written(name: str) -> dict[str, str]:
    return {"main.tf": TEMPLATE.replace("NAME", name), "Dockerfile": f"FROM {BUSYBOX}\nLABEL test={name}\n"}


@pytest.fixture
def runner(world, edge: EngineEdge, tmp_path: Path) -> Iterator[TemplateRunner]:
    (spec,) = plugin.stead_terraform_providers()
    engine = Engine(EngineOptions(network=False), [(spec, DockerSettings(host=edge.url))])
    folder = tmp_path / "runs"
    folder.mkdir()
    yield TemplateRunner(engine, folder, world.build, MemoryJournal())
    engine.close()


def test_under_terraform_the_second_apply_converges(world, edge: EngineEdge, runner: TemplateRunner) -> None:
    files = written(world.name)
    journal = runner.journal
    assert isinstance(journal, MemoryJournal)
    made = [edge.fault(row.creation, status=500) for row in ROWS.values()]
    for _ in range(2):  # what the container needs, then the container
        with pytest.raises(SteadError, match=r"could not be (created|built)"):
            runner.apply(files)
    runner.apply(files)
    assert [fault.seen for fault in made] == [1] * len(ROWS)
    assert sorted(kinds(world)) == sorted(ROWS)
    assert not runner.plan(files).has_changes

    removed = [edge.fault(row.removal, status=500) for row in ROWS.values()]
    for _ in range(2):
        with pytest.raises(SteadError, match="could not be removed"):
            runner.destroy(files)
    runner.destroy(files)
    assert [fault.seen for fault in removed] == [1] * len(ROWS)
    assert kinds(world) == []
    assert {entry["status"] for entry in journal.entries.values()} == {"failed", "deleted"}


def test_under_terraform_lost_answers_cost_nothing(world, edge: EngineEdge, runner: TemplateRunner) -> None:
    files = {
        "main.tf": TEMPLATE.replace("NAME", world.name),
        "Dockerfile": f"FROM {BUSYBOX}\nLABEL test={world.name}\n",
    }
    faults = [edge.fault(pattern, Kind.LOSE) for row in ROWS.values() for pattern in (row.creation, row.removal)]
    journal = runner.journal
    assert isinstance(journal, MemoryJournal)
    runner.apply(files)
    assert sorted(kinds(world)) == sorted(ROWS)
    keys = {key for key, entry in journal.entries.items() if entry["status"] == "created"}
    assert {item.key for item in world.platform.owned_resources(world.name)} == keys
    runner.destroy(files)
    assert [fault.seen for fault in faults] == [1] * len(faults)
    assert kinds(world) == []
    assert {entry["status"] for entry in journal.entries.values()} == {"deleted"}
