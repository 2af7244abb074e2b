"""Kill -9 at random moments of builds: nothing left that the database does not know, nothing lost, nothing stuck."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from stead.api.errors import NotFound
from stead.broker.supervisor import Supervisor
from stead.config import Settings
from stead.domain.records import Actor
from stead.domain.states import BuildStatus, Transition, WorkspaceStatus
from stead.domain.transitions import ACTIVE
from stead.services import authentication, builds, deployment, states, templates, ticks, workspaces
from stead.services.core import Core, close_core, open_core
from stead.testing.engine_guardian import guarded
from stead.testing.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 20 if os.environ.get("STEAD_TEST_ALL") == "1" else 4
TEMPLATE = """
terraform {{
  required_providers {{
    coder  = {{ source = "coder/coder" }}
    docker = {{ source = "kreuzwerker/docker" }}
  }}
}}
data "coder_workspace" "me" {{}}
resource "docker_volume" "data" {{
  count = 4
  name  = "stead-test-${{data.coder_workspace.me.id}}-${{count.index}}"
}}
resource "docker_container" "box" {{
  count   = data.coder_workspace.me.start_count
  image   = "{image}"
  name    = "stead-test-${{data.coder_workspace.me.id}}"
  command = ["sleep", "3600"]
  init    = true
  volumes {{
    volume_name    = docker_volume.data[0].name
    container_path = "/data"
  }}
}}
"""


@pytest.fixture
def core(make_settings: Callable[..., Settings]) -> Iterator[Core]:
    settings = make_settings(
        job_lease=3, sweep_interval=5, provisioner_grace=10, terraform_network=False, job_attempts=20
    )
    opened = open_core(settings)
    clockwork = ticks.start(opened)
    yield opened
    clockwork.stop()
    close_core(opened)


@pytest.fixture
def owner(core: Core) -> Actor:
    user = deployment.create_first_owner(core, "ada", "ada@example.org", "correct horse battery", "Ada")
    return authentication.actor_for_user(core, user.id)


@pytest.fixture
def supervisor(core: Core) -> Iterator[Supervisor]:
    running = Supervisor(core)
    running.start()
    yield running
    running.stop()


class Platform:
    """What the Docker engine has of one deployment."""

    def __init__(self, url: str, deployment_id: str) -> None:
        self.client = docker.DockerClient(base_url=url)
        self._filter = {"label": f"stead.deployment={deployment_id}"}

    def keys(self) -> set[str]:
        volumes = [volume.attrs["Labels"] for volume in self.client.volumes.list(filters=self._filter)]
        containers = [one.labels for one in self.client.containers.list(all=True, filters=self._filter)]
        return {labels["stead.key"] for labels in (*volumes, *containers)}

    def remove_all(self) -> None:
        for container in self.client.containers.list(all=True, filters=self._filter):
            container.remove(force=True)
        for volume in self.client.volumes.list(filters=self._filter):
            volume.remove(force=True)
        self.client.close()


@pytest.fixture
def platform(docker_engine: str, core: Core) -> Iterator[Platform]:
    made = Platform(docker_engine, core.deployment_id)
    with guarded(docker_engine, f"stead.deployment={core.deployment_id}"):
        yield made
        made.remove_all()


def kill(supervisor: Supervisor, victim: str) -> None:
    for pid in supervisor.pids:
        targets = [pid] if victim == "provisioner" else _all_children(pid)
        for target in targets:
            try:
                os.kill(target, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _all_children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def test_kill_at_random_moments(
    core: Core, owner: Actor, supervisor: Supervisor, platform: Platform, busybox_image: str, tmp_path: Path
) -> None:
    folder = tmp_path / "template"
    folder.mkdir()
    (folder / "main.tf").write_text(TEMPLATE.format(image=busybox_image))
    version = templates.create_version(core, owner, folder)
    ended = eventually(
        lambda: (v := templates.version(core, owner, version.id)).job.status not in ACTIVE and v, 90, what="the import"
    )
    assert ended.job.status is BuildStatus.SUCCEEDED, ended.job.error
    templates.create(core, owner, "box", version.id)
    usual = _usual_time(core, owner)

    dice = random.Random(int(time.time()))
    outcomes: dict[str, int] = {}
    for number in range(KILLS):
        build = workspaces.create(core, owner, "box", f"w{number}").latest_build
        # A fixed pause is the point here: it is the random moment.
        time.sleep(dice.uniform(0, usual))
        kill(supervisor, "provisioner" if number % 2 else "terraform")
        found = eventually(
            lambda build=build: (b := builds.get(core, owner, build.id)).job.status not in ACTIVE and b,
            60,
            what=f"the end of build {number}",
        )
        outcomes[found.job.status] = outcomes.get(found.job.status, 0) + 1
        assert found.job.status in {BuildStatus.SUCCEEDED, BuildStatus.FAILED}, found.job
        if number % 2:  # its provisioner died, so another one took it up
            assert found.job.status is BuildStatus.SUCCEEDED, (found.job, builds.logs(core, owner, found.job.id))
    assert outcomes.get(BuildStatus.SUCCEEDED, 0) >= KILLS // 2, outcomes

    eventually(lambda: platform.keys() == _known(core, owner), 150, what="that all that exists is known")
    # Whatever state a killed build left: the next one works from it, and the last leaves nothing.
    for workspace in workspaces.list(core, owner, limit=100).items:
        transition = Transition.DELETE if workspace.status is WorkspaceStatus.RUNNING else Transition.START
        builds.create(core, owner, workspace.id, transition)
    _all_end(core, owner, {WorkspaceStatus.RUNNING})
    for workspace in workspaces.list(core, owner, limit=100).items:
        builds.create(core, owner, workspace.id, Transition.DELETE)
    _all_end(core, owner, set())
    eventually(lambda: platform.keys() == set(), 30, what="that nothing is left")


def _usual_time(core: Core, owner: Actor) -> float:
    began = time.monotonic()
    build = workspaces.create(core, owner, "box", "first").latest_build
    ended = eventually(
        lambda: (b := builds.get(core, owner, build.id)).job.status not in ACTIVE and b, 60, what="a build"
    )
    assert ended.job.status is BuildStatus.SUCCEEDED, ended.job.error
    return time.monotonic() - began


def _known(core: Core, owner: Actor) -> set[str]:
    """Journal keys in the newest states of all workspaces."""
    known: set[str] = set()
    for workspace in workspaces.list(core, owner, limit=100).items:
        for build in builds.list(core, owner, workspace.id).items:
            try:
                known |= states.journal_keys(builds.state(core, owner, build.id))
            except NotFound:  # a build without a state
                continue
            break
    return known


def _all_end(core: Core, owner: Actor, allowed: set[WorkspaceStatus]) -> None:
    def settled() -> bool:
        found = workspaces.list(core, owner, limit=100).items
        assert not [w for w in found if w.status is WorkspaceStatus.FAILED], [w.latest_build.job.error for w in found]
        return all(w.status in allowed for w in found)

    eventually(settled, 120, what="the end of all builds")
