"""A provisioner whose work directory is on a full disk: builds fail and say so, and go on when there is room."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.domain.records import Actor, Build
from stead.domain.states import BuildStatus, Transition
from stead.provisioner.service import Provisioner
from stead.services import builds, templates, workspaces
from stead.services.core import Core
from stead.testing.provisioning import provisioner_in_thread
from stead.testing.small_disk import fill, small_disk
from stead.testing.waiting import eventually

ENDED = {BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELED}
COUNT = 12
WIDE = f"""
data "coder_workspace" "me" {{}}
resource "null_resource" "home" {{
  triggers = {{ text = join("", [for n in range(1000) : "home"]) }}
}}
resource "random_bytes" "box" {{
  count  = data.coder_workspace.me.start_count * {COUNT}
  length = 6000
}}
terraform {{
  required_providers {{
    coder = {{ source = "coder/coder" }}
  }}
}}
"""


@pytest.fixture
def disk(live_core: Core) -> Iterator[Path]:
    with small_disk(live_core.settings.data_dir / "work", megabytes=2) as folder:
        yield folder


@pytest.fixture
def provisioner(disk: Path, live_core: Core) -> Iterator[Provisioner]:
    with provisioner_in_thread(live_core) as running:
        yield running


def ended(core: Core, owner: Actor, build: Build) -> Build:
    def found() -> Build | None:
        now = builds.get(core, owner, build.id)
        return now if now.job.status in ENDED else None

    return eventually(found, 60, what=f"the end of a {build.transition}")


def imported(core: Core, owner: Actor, folder: Path) -> tuple[BuildStatus, str | None, str]:
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(WIDE)
    version = templates.create_version(core, owner, folder)

    def status() -> BuildStatus | None:
        now = templates.version(core, owner, version.id).job.status
        return now if now in ENDED else None

    now = eventually(status, 60, what="the end of an import")
    job = templates.version(core, owner, version.id).job
    return now, job.error, version.id


def wait_empty(disk: Path) -> None:
    """A job has ended before its folder is gone, which would make room again."""
    eventually(lambda: not list(disk.iterdir()), 60, what="the end of the work directories")


def is_told(error: str | None, disk: Path) -> None:
    assert error
    assert f"disk of Stead's work directory {disk}" in error
    assert "is full. Make room on it" in error


@pytest.mark.usefixtures("provisioner")
def test_builds_say_that_the_disk_is_full_and_lose_no_state(
    live_core: Core, live_owner: Actor, disk: Path, tmp_path: Path
) -> None:
    core, owner = live_core, live_owner
    filler = disk / "filler"
    fill(filler)
    status, error, _ = imported(core, owner, tmp_path / "t")
    assert status is BuildStatus.FAILED
    is_told(error, disk)
    filler.unlink()
    wait_empty(disk)
    status, error, version = imported(core, owner, tmp_path / "t")
    assert status is BuildStatus.SUCCEEDED, error
    templates.create(core, owner, "box", version)

    build = workspaces.create(core, owner, "box", "dev", {}).latest_build
    assert ended(core, owner, build).job.status is BuildStatus.SUCCEEDED
    for room in (0, 12_288, 40_960):  # from the template to the state, each in its turn
        stopped = ended(core, owner, builds.create(core, owner, "dev", Transition.STOP))
        assert stopped.job.status is BuildStatus.SUCCEEDED, stopped.job.error
        wait_empty(disk)
        fill(filler, leave=room)
        build = ended(core, owner, builds.create(core, owner, "dev", Transition.START))
        filler.unlink()
        assert build.job.status is BuildStatus.FAILED, room
        wait_empty(disk)
        assert build.job.reason == "disk_full"
        is_told(build.job.error, disk)
        mended = ended(core, owner, builds.create(core, owner, "dev", Transition.START))
        assert mended.job.status is BuildStatus.SUCCEEDED, (room, mended.job.error)
        state = json.loads(builds.state(core, owner, mended.id))
        instances = [len(found["instances"]) for found in state["resources"] if found["mode"] == "managed"]
        assert sorted(instances) == [1, COUNT]
    gone = ended(core, owner, builds.create(core, owner, "dev", Transition.DELETE))
    assert gone.job.status is BuildStatus.SUCCEEDED, gone.job.error
    wait_empty(disk)


def test_no_room_for_the_folder_itself(live_core: Core, live_owner: Actor, tmp_path: Path) -> None:
    work = live_core.settings.data_dir / "work"
    with small_disk(work, megabytes=1, files=2), provisioner_in_thread(live_core):
        status, error, _ = imported(live_core, live_owner, tmp_path / "t")
        assert status is BuildStatus.FAILED
        is_told(error, work)
