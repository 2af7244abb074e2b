"""The provisioner with the real engine: imports and builds to their good and bad ends."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from stead.api.errors import InvalidInput
from stead.domain.records import Actor, Build, TemplateVersion, Workspace
from stead.domain.states import BuildStatus, Transition, WorkspaceStatus
from stead.provisioner.service import Provisioner
from stead.services import authentication, builds, templates, workspaces
from stead.services.core import Core
from stead.testing.waiting import eventually

ENDED = {BuildStatus.SUCCEEDED, BuildStatus.FAILED, BuildStatus.CANCELED}

BOX = """
terraform {
  required_providers {
    coder = { source = "coder/coder" }
  }
}
variable "team" { type = string }
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}
data "coder_parameter" "size" {
  name    = "size"
  type    = "number"
  default = 2
  mutable = true
  validation {
    min = 1
    max = 5
  }
}
data "coder_workspace_preset" "big" {
  name       = "Big"
  parameters = { size = "5" }
}
resource "coder_agent" "main" {
  os             = "linux"
  arch           = "amd64"
  dir            = "/home/dev"
  env            = { A = "agent", PATH = "/bin" }
  startup_script = "echo hello"
  metadata {
    key          = "cpu"
    display_name = "CPU"
    script       = "coder stat cpu"
    interval     = 5
  }
}
resource "coder_env" "path" {
  agent_id       = coder_agent.main.id
  name           = "PATH"
  value          = "/opt/bin"
  merge_strategy = "append"
}
resource "coder_app" "code" {
  agent_id = coder_agent.main.id
  slug     = "code"
  url      = "http://localhost:8080"
  healthcheck {
    url       = "http://localhost:8080/healthz"
    interval  = 5
    threshold = 3
  }
}
resource "null_resource" "home" {}
resource "null_resource" "box" {
  count    = data.coder_workspace.me.start_count
  triggers = {
    token  = coder_agent.main.token
    script = coder_agent.main.init_script
    who    = data.coder_workspace_owner.me.name
    team   = var.team
  }
}
resource "coder_metadata" "box" {
  count       = data.coder_workspace.me.start_count
  resource_id = null_resource.box[0].id
  daily_cost  = 7
  item {
    key   = "team"
    value = var.team
  }
}
"""
SLOW = """
resource "time_sleep" "wait" {
  create_duration = "120s"
}
resource "null_resource" "first" {}
"""


def upload(
    core: Core, owner: Actor, folder: Path, text: str, variables: Mapping[str, str] | None = None
) -> TemplateVersion:
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(text)
    (folder / "README.md").write_text("# A box\n")
    made = templates.create_version(core, owner, folder, variables=variables)

    def ended() -> TemplateVersion | None:
        version = templates.version(core, owner, made.id)
        return version if version.job.status in ENDED else None

    return eventually(ended, 60, what="the end of an import")


def import_template(
    core: Core, owner: Actor, folder: Path, text: str, variables: Mapping[str, str] | None = None
) -> TemplateVersion:
    version = upload(core, owner, folder, text, variables)
    assert version.job.status is BuildStatus.SUCCEEDED, version.job.error
    templates.create(core, owner, "box", version.id)
    return version


def finish(core: Core, owner: Actor, build: Build) -> Build:
    def ended() -> Build | None:
        found = builds.get(core, owner, build.id)
        return found if found.job.status in ENDED else None

    return eventually(ended, 60, what=f"the end of a {build.transition}")


def created(core: Core, owner: Actor, **parameters: str) -> Workspace:
    made = workspaces.create(core, owner, "box", "dev", parameters)
    build = finish(core, owner, made.latest_build)
    assert build.job.status is BuildStatus.SUCCEEDED, (build.job.error, builds.logs(core, owner, build.job.id))
    return workspaces.get(core, owner, "dev")


def test_a_template_becomes_a_workspace_and_goes(
    live_core: Core, live_owner: Actor, provisioner: Provisioner, tmp_path: Path
) -> None:
    core, owner = live_core, live_owner
    version = import_template(core, owner, tmp_path / "t", BOX, {"team": "blue"})
    assert version.readme == "# A box\n"
    assert [(p.name, p.default, p.mutable) for p in version.parameters] == [("size", "2", True)]
    assert version.parameters[0].validation is not None
    assert (version.parameters[0].validation.min, version.parameters[0].validation.max) == (1, 5)
    assert [(p.name, dict(p.parameters)) for p in version.presets] == [("Big", {"size": "5"})]
    assert [(v.name, v.required) for v in version.variables] == [("team", True)]
    assert {c.served_by for c in version.providers} == {"builtin"}

    running = created(core, owner)
    latest = running.latest_build
    assert (running.status, latest.daily_cost, dict(latest.parameters)) == (WorkspaceStatus.RUNNING, 7, {"size": "2"})
    resources = {resource.address: resource for resource in latest.resources}
    assert set(resources) == {"null_resource.box[0]", "null_resource.home"}
    assert [(i.key, i.value) for i in resources["null_resource.box[0]"].metadata] == [("team", "blue")]
    (agent,) = resources["null_resource.box[0]"].agents
    assert (agent.name, agent.directory, [a.slug for a in agent.apps]) == ("main", "/home/dev", ["code"])
    assert [(m.key, m.interval) for m in agent.metadata] == [("cpu", 5)]
    assert [(s.display_name, s.run_on_start) for s in agent.scripts] == [("Startup Script", True)]

    state = json.loads(builds.state(core, owner, latest.id))
    triggers = next(r for r in state["resources"] if r["name"] == "box" and r["type"] == "null_resource")
    values = triggers["instances"][0]["attributes"]["triggers"]
    assert (values["who"], values["script"].split()[-1]) == ("ada", core.settings.access_url)
    identity = authentication.agent_for_token(core, values["token"])
    assert identity.agent_id == agent.id
    assert values["token"] not in repr(running)

    stopped = finish(core, owner, builds.create(core, owner, "dev", Transition.STOP))
    assert [r.address for r in stopped.resources] == ["null_resource.home"]
    again = finish(core, owner, builds.create(core, owner, "dev", Transition.START, {"size": "4"}))
    assert dict(again.parameters) == {"size": "4"}
    lines = builds.logs(core, owner, again.job.id)
    assert [line.id for line in lines] == list(range(1, len(lines) + 1))
    assert any("null_resource.box[0]: Creation complete" in line.text for line in lines)
    finish(core, owner, builds.create(core, owner, "dev", Transition.DELETE))
    assert workspaces.list(core, owner).total == 0
    # A job has ended when the database says so; its folder goes a moment later.
    eventually(lambda: not list((core.settings.data_dir / "work").iterdir()), 30, what="empty work folders")


@pytest.mark.parametrize(
    ("text", "variables", "reason", "message"),
    [
        ('resource "null_resource" "a" {', {}, "template_invalid", "main.tf:1"),
        ('resource "null_resourse" "a" {}', {}, "template_invalid", "null_resourse (main.tf:1; is null_resource"),
        ('variable "team" { type = string }', {}, None, "team"),
        ('resource "null_resource" "a" { triggers = { a = local.nothing } }', {}, None, "nothing"),
        (
            'data "coder_parameter" "a" {\n  name = "a"\n  type = "number"\n  default = "x"\n}',
            {},
            None,
            "a",
        ),
        (
            'terraform {\n  required_providers {\n    coder = { source = "coder/coder" }\n'
            '    x = { source = "acme/x" }\n  }\n}\nresource "x_y" "z" {}',
            {},
            "provider_unavailable",
            "acme/x",
        ),
    ],
)
def test_a_wrong_template_says_what_is_wrong(
    live_core: Core,
    live_owner: Actor,
    provisioner: Provisioner,
    tmp_path: Path,
    text: str,
    variables: dict[str, str],
    reason: str | None,
    message: str,
) -> None:
    version = upload(live_core, live_owner, tmp_path / "t", text, variables)
    assert version.job.status is BuildStatus.FAILED
    assert message in str(version.job.error)
    assert reason in {None, version.job.reason}
    assert any(line.level == "error" for line in builds.logs(live_core, live_owner, version.job.id))
    assert "Traceback" not in str(version.job.error)


def test_an_archive_that_is_none_fails_its_import(live_core: Core, live_owner: Actor, provisioner: Provisioner) -> None:
    made = templates.create_version(live_core, live_owner, b"this is no archive")
    failed = eventually(
        lambda: (v := templates.version(live_core, live_owner, made.id)).job.status in ENDED and v, 60, what="the end"
    )
    assert failed.job.status is BuildStatus.FAILED
    assert "archive" in str(failed.job.error).lower()


def test_a_parameter_out_of_range_is_refused_before_anything_runs(
    live_core: Core, live_owner: Actor, provisioner: Provisioner, tmp_path: Path
) -> None:
    import_template(live_core, live_owner, tmp_path / "t", BOX, {"team": "blue"})
    with pytest.raises(InvalidInput, match="size"):
        workspaces.create(live_core, live_owner, "box", "dev", {"size": "9"})
    assert workspaces.list(live_core, live_owner).total == 0


def test_a_build_is_canceled_while_it_applies(
    live_core: Core, live_owner: Actor, provisioner: Provisioner, tmp_path: Path
) -> None:
    core, owner = live_core, live_owner
    import_template(core, owner, tmp_path / "t", SLOW)
    build = workspaces.create(core, owner, "box", "dev").latest_build
    eventually(
        lambda: any("time_sleep.wait: Creating" in line.text for line in builds.logs(core, owner, build.job.id)),
        60,
        what="the slow resource",
    )
    began = time.monotonic()
    assert builds.cancel(core, owner, build.id).job.status is BuildStatus.CANCELING
    ended = finish(core, owner, build)
    assert ended.job.status is BuildStatus.CANCELED, ended.job.error
    assert time.monotonic() - began < 30
    addresses = [r["name"] for r in json.loads(builds.state(core, owner, build.id))["resources"]]
    assert "first" in addresses
    gone = finish(core, owner, builds.create(core, owner, "dev", Transition.DELETE))
    assert gone.job.status is BuildStatus.SUCCEEDED, gone.job.error


def test_a_provisioner_that_stops_gives_its_jobs_back(
    live_core: Core, live_owner: Actor, provisioner: Provisioner, tmp_path: Path
) -> None:
    core, owner = live_core, live_owner
    import_template(core, owner, tmp_path / "t", SLOW)
    build = workspaces.create(core, owner, "box", "dev").latest_build
    eventually(lambda: builds.get(core, owner, build.id).job.stage == "applying", 60, what="the apply")
    object.__setattr__(provisioner.shop.settings, "grace", 0.2)
    provisioner.stop()
    object.__setattr__(provisioner.shop.settings, "grace", 20.0)
    released = eventually(
        lambda: (b := builds.get(core, owner, build.id)).job.status is BuildStatus.PENDING and b,
        60,
        what="the job to be given back",
    )
    assert released.job.attempt == 0
    assert builds.state(core, owner, build.id)


def test_the_clock_runs_out(live_core: Core, live_owner: Actor, provisioner: Provisioner, tmp_path: Path) -> None:
    core, owner = live_core, live_owner
    import_template(core, owner, tmp_path / "t", SLOW)
    object.__setattr__(provisioner.shop.settings, "build_timeout", 3.0)
    ended = finish(core, owner, workspaces.create(core, owner, "box", "dev").latest_build)
    assert (ended.job.status, ended.job.reason) == (BuildStatus.FAILED, "timed_out")


def test_deleting_what_never_came_to_be_needs_no_terraform(
    live_core: Core, live_owner: Actor, provisioner: Provisioner, tmp_path: Path
) -> None:
    core, owner = live_core, live_owner
    import_template(core, owner, tmp_path / "t", SLOW)
    build = workspaces.create(core, owner, "box", "dev").latest_build
    builds.cancel(core, owner, build.id)
    finish(core, owner, build)
    gone = finish(core, owner, builds.create(core, owner, "dev", Transition.DELETE, orphan=True))
    assert gone.job.status is BuildStatus.SUCCEEDED


def test_a_job_is_taken_quickly(live_core: Core, live_owner: Actor, provisioner: Provisioner, tmp_path: Path) -> None:
    core, owner = live_core, live_owner
    import_template(core, owner, tmp_path / "t", 'resource "null_resource" "a" {}')
    waits = []
    for number in range(5):
        build = workspaces.create(core, owner, "box", f"w{number}").latest_build
        job = finish(core, owner, build).job
        assert job.started_at is not None
        waits.append((job.started_at - job.created_at).total_seconds())
    # Far below the poll interval, which is a second: the announcement woke it.
    assert sorted(waits)[2] < 0.5
