"""A work directory whose disk is full, at every step of a run: what is said, and that no state is lost or torn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.terraform.engine import EngineOptions
from stead.terraform.errors import ApplyFailed, DiskFull
from stead.terraform.sources import Workdir
from stead.testing.small_disk import fill, small_disk
from stead.testing.terraform import LAB, Workbench, workbench

MEGABYTES = 4
COUNT = 8
# Each name takes a page and more, so that neither the plan nor the state finds room by chance.
THINGS = (
    f'resource "lab_thing" "a" {{\n  count = {COUNT}\n  name = "${{count.index}}${{strrev("secret-{"x" * 8000}")}}"\n}}'
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", MEGABYTES) as folder:
        yield folder


@pytest.fixture
def bench(disk: Path) -> Iterator[Workbench]:
    with workbench(disk, EngineOptions(network=False, grace=5.0)) as made:
        yield made


def is_told(error: DiskFull | ApplyFailed, disk: Path) -> None:
    assert error.reason == "disk_full"
    assert str(disk) in error.message
    assert "is full" in error.message
    assert "Make room" in (error.remedy or "")


def test_no_room_for_the_template(bench: Workbench, disk: Path) -> None:
    source = bench.source(LAB + THINGS)
    fill(disk / "filler")
    with pytest.raises(DiskFull) as caught, bench.run(source):
        pytest.fail("it was loaded")
    is_told(caught.value, disk)


def test_no_room_for_the_variables(bench: Workbench, disk: Path) -> None:
    source = bench.source(LAB + 'variable "v" {}\n' + THINGS)
    (disk / "room").write_bytes(bytes(sum(-(-path.stat().st_size // 4096) for path in source.iterdir()) * 4096))
    fill(disk / "filler")
    (disk / "room").unlink()
    with pytest.raises(DiskFull) as caught, bench.run(source, variables={"v": "x" * 5000}):
        pytest.fail("it was loaded")
    is_told(caught.value, disk)


def test_no_room_for_the_plan(bench: Workbench, disk: Path) -> None:
    with bench.run(THINGS) as run:
        run.init()
        fill(disk / "filler")
        with pytest.raises(DiskFull) as caught:
            run.plan()
        is_told(caught.value, disk)
        assert run.state is None
        (disk / "filler").unlink()
        run.plan()
        run.apply()
    assert len(bench.platform.things) == COUNT


@pytest.mark.parametrize("room", [0, 20_000], ids=["none", "for a part"])
def test_no_room_for_the_state(bench: Workbench, disk: Path, room: int) -> None:
    with bench.run(THINGS) as run:
        run.init()
        run.plan()
        fill(disk / "filler", leave=room)
        with pytest.raises(ApplyFailed) as caught:
            run.apply()
        is_told(caught.value, disk)
        state = run.state
    assert state is not None  # as Terraform printed it when it found nowhere to write it to
    assert caught.value.state == state
    made = [instance for resource in json.loads(state)["resources"] for instance in resource["instances"]]
    assert {instance["attributes"]["id"] for instance in made} == set(bench.platform.things)
    assert not any('"serial"' in f"{line.text}{line.fields}" for line in bench.log.lines)  # the log has no state

    (disk / "filler").unlink()
    bench.apply(THINGS, state=state, destroy=True)
    assert not bench.platform.things


def test_a_change_that_found_no_room_keeps_what_was_known(bench: Workbench, disk: Path) -> None:
    before = bench.apply(THINGS).state
    with bench.run(THINGS.replace("secret", "public"), state=before) as run:
        run.init()
        run.plan()
        fill(disk / "filler")
        with pytest.raises(ApplyFailed):
            run.apply()
        state = run.state
    (disk / "filler").unlink()
    bench.apply(THINGS, state=state, destroy=True)
    assert not bench.platform.things


@pytest.mark.parametrize("torn", [b"", b'{"version": 4, "serial": 3, "resou', b"[]", b"{}"])
def test_a_torn_state_is_none(tmp_path: Path, torn: bytes) -> None:
    folder = Workdir(tmp_path)
    folder.template.mkdir()
    (folder.template / "errored.tfstate").write_bytes(torn)
    assert folder.state is None
    (folder.template / "terraform.tfstate").write_bytes(b'{"version": 4, "serial": 3}')
    assert folder.state == b'{"version": 4, "serial": 3}'
