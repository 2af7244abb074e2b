"""Many containers at once, through the whole server: all come up, stop, start and go, and nothing is left."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stead.testing.faults import Yard, open_yard
from stead.testing.waiting import find_free_port

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]
EVERYTHING = os.environ.get("STEAD_TEST_ALL") == "1"
MANY = 20 if EVERYTHING else 5
SECONDS = 600.0  # for all of them, on a slow machine that does much else


@pytest.fixture
def yard(docker_engine: str, busybox_image: str, tmp_path: Path) -> Iterator[Yard]:
    ports = (find_free_port(), find_free_port())
    with open_yard(tmp_path, ports, docker_engine, busybox_image) as made:
        made.import_starter()
        yield made


def all_at_once(yard: Yard, begin: Callable[[str], str], names: list[str]) -> float:
    """Start one build of each workspace, and wait until all have succeeded; returns the seconds."""
    began = time.monotonic()
    for build in [begin(name) for name in names]:
        yard.succeed(build, SECONDS - (time.monotonic() - began))
    yard.wait_agreed(SECONDS / 4)
    return round(time.monotonic() - began, 1)


def running(yard: Yard) -> int:
    """Containers of this deployment that run."""
    filters = f'{{"label": ["{yard.label}"], "status": ["running"]}}'
    return len(yard.engine.call("GET", "/containers/json", params={"filters": filters}).json())


def test_many_workspaces_at_once(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"w{secrets.token_hex(4)}" for _ in range(MANY)]
    seconds = {"create": all_at_once(yard, yard.create, names)}
    assert running(yard) == MANY
    assert len(yard.owned()) == 2 * MANY, "a container and a volume of each"
    volumes = {key for key, what in yard.owned().items() if what.startswith("volume")}

    seconds["stop"] = all_at_once(yard, lambda name: yard.build(name, "stop"), names)
    assert set(yard.owned()) == volumes

    seconds["start"] = all_at_once(yard, lambda name: yard.build(name, "start"), names)
    assert running(yard) == MANY
    assert volumes < set(yard.owned())

    seconds["delete"] = all_at_once(yard, lambda name: yard.build(name, "delete"), names)
    assert yard.owned() == {}
    assert not [key for identity in yard.workspaces.values() for key in yard.journalled(identity)]
    with capsys.disabled():
        print(f"\n  {MANY} workspaces at once, seconds: {seconds}")
