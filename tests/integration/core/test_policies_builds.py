"""Policies and the real engine: a plan that is denied is not applied, and says so where people look."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stead.config import Settings
from stead.domain.records import Actor, Build
from stead.domain.states import BuildStatus, Transition
from stead.provisioner.service import Provisioner
from stead.services import audit, builds, templates, workspaces
from stead.services.core import Core, close_core, open_core
from stead.testing.waiting import eventually

TEMPLATE = """
terraform {
  required_providers {
    coder  = { source = "coder/coder" }
    random = { source = "hashicorp/random" }
  }
}
data "coder_parameter" "pet" {
  name    = "pet"
  type    = "bool"
  default = false
  mutable = true
}
resource "null_resource" "box" {}
resource "random_pet" "name" {
  count = data.coder_parameter.pet.value ? 1 : 0
}
"""
POLICIES = {
    "no-pets": {"policy": "allowed-resources", "types": ["null_resource"], "deadline": 60},
    "trial": {"policy": "allowed-resources", "types": ["random_*"], "mode": "warn", "deadline": 60},
}
ENDED = {BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELED}


@pytest.fixture
def live_core(make_settings: Callable[..., Settings]) -> Iterator[Core]:
    opened = open_core(make_settings(job_lease=5, terraform_network=False, policies={"sections": POLICIES}))
    yield opened
    close_core(opened)


@pytest.fixture
def finish(live_core: Core, live_owner: Actor) -> Callable[[Build], Build]:
    def ended(build: Build) -> Build | None:
        found = builds.get(live_core, live_owner, build.id)
        return found if found.job.status in ENDED else None

    return lambda build: eventually(lambda: ended(build), 90, what=f"the end of a {build.transition}")


def test_a_plan_that_is_denied_is_not_applied(
    live_core: Core, live_owner: Actor, provisioner: Provisioner, tmp_path: Path, finish: Callable[[Build], Build]
) -> None:
    core, owner = live_core, live_owner
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "main.tf").write_text(TEMPLATE)
    version = templates.create_version(core, owner, tmp_path / "t")
    eventually(lambda: templates.version(core, owner, version.id).job.status is BuildStatus.SUCCEEDED, 90)
    templates.create(core, owner, "box", version.id)

    first = finish(workspaces.create(core, owner, "box", "dev").latest_build)
    assert first.job.status is BuildStatus.SUCCEEDED, first.job.error
    [warning] = [line for line in builds.logs(core, owner, first.job.id) if "The policy trial" in line.text]
    assert (warning.level, warning.source) == ("warn", "planning")
    assert "(null_resource.box)" in warning.text
    before = json.loads(builds.state(core, owner, first.id))

    denied = finish(builds.create(core, owner, "dev", Transition.START, {"pet": "true"}))
    assert (denied.job.status, denied.job.reason) == (BuildStatus.FAILED, "policy_denied")
    assert denied.job.error is not None
    assert denied.job.error.startswith("The policy no-pets: Resources of the type random_pet are not allowed.")
    assert "(random_pet.name[0])" in denied.job.error
    lines = builds.logs(core, owner, denied.job.id)
    assert [line.source for line in lines if line.level == "error" and "no-pets" in line.text] == ["planning"]
    assert not any("Creation complete" in line.text for line in lines)
    [row] = [row for row in audit.list(core, owner).items if row.action == "was denied a start"]
    assert (row.actor, row.target, row.after["policies"]) == ("ada", "ada/dev", ["no-pets"])

    again = finish(builds.create(core, owner, "dev", Transition.START, {"pet": "false"}))
    assert again.job.status is BuildStatus.SUCCEEDED, again.job.error
    after = json.loads(builds.state(core, owner, again.id))
    assert after["resources"] == before["resources"]
    for transition in (Transition.STOP, Transition.DELETE):
        assert finish(builds.create(core, owner, "dev", transition)).job.status is BuildStatus.SUCCEEDED
