"""The provider under the real Terraform, on machines behind real SSH servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stead.api.errors import BuildFailure, SteadError
from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.templates import TemplateRunner
from stead.testing.terraform import MemoryJournal
from stead.testing.waiting import eventually
from stead_baremetal import plugin

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.timeout(300, func_only=True)]
SECONDS = 60.0
HEAD = """
terraform {
  required_providers {
    baremetal = { source = "stead/baremetal" }
  }
}
"""


@pytest.fixture
def runner(rig, tmp_path: Path) -> Iterator[TemplateRunner]:
    for box, kind in zip(rig.boxes, ("large", "small"), strict=True):
        rig.describe(
            box, labels={"class": kind, "memory": 128 if kind == "large" else 16}, price=2 if kind == "large" else 1
        )
    specs = [(spec, spec.settings()) for spec in builtin_providers()]
    own = [(spec, rig.settings) for spec in plugin.stead_terraform_providers()]
    engine = Engine(EngineOptions(network=False), [*specs, *own])
    yield TemplateRunner(engine, tmp_path, rig.build, journal=MemoryJournal())
    engine.close()


def actions(plan) -> dict[str, str]:
    return {change.address: change.action for change in plan.changes if change.action != "read"}


def has_agent(box) -> bool:
    return bool(box.sh("ps -o pid= -u coder", check=False))


@pytest.mark.parametrize("starter", plugin.STARTERS, ids=lambda item: item.name)
def test_starters_start_stop_change_and_go(rig, runner: TemplateRunner, starter) -> None:
    text = {"main.tf": (starter.path / "main.tf").read_text()}
    large, small = rig.boxes
    made = runner.apply(text)
    host = runner.attributes("baremetal_host.workspace")
    box = next(box for box in rig.boxes if box.name == host["name"])
    eventually(lambda: has_agent(box), SECONDS, what="the agent")
    box.sh("su coder -c 'echo kept >/home/coder/file'")
    # The token is the only thing that is new in every build; the claim of a prebuild keeps it.
    assert actions(runner.plan(text, is_prebuild_claim=True)) == {}, "a second plan is empty"
    assert actions(runner.plan(text)) == {"baremetal_host.workspace": "update"}
    (node,) = [node for node in made.document.resources if node.type == "baremetal_host"]
    assert node.agents == ("main",)
    assert {item.key for item in node.items} >= {"machine"}

    runner.apply(text, transition="stop")
    assert not has_agent(box)
    assert rig.owned() == [box.name], "the machine stays the workspace's"
    assert actions(runner.plan(text, transition="stop")) == {}

    runner.apply(text)
    eventually(lambda: has_agent(box), SECONDS, what="the agent")
    assert box.sh("cat /home/coder/file") == "kept"

    if starter.name == "baremetal-fleet":
        assert (box.name, node.daily_cost) == (large.name, 48), "the first class is large"
        other = {"class": "small", "memory": "8"}
        assert actions(runner.plan(text, parameters=other))["baremetal_host.workspace"] == "replace"
        runner.apply(text, parameters=other)
        assert rig.owned() == [small.name]
        assert rig.state(large) == "free"
    else:
        changed = {"main.tf": text["main.tf"].replace("token          =", 'env = { A = "b" }\n  token =')}
        runner.apply(changed)
        assert rig.owned() == [box.name]
        assert "export A=b" in box.sh("cat /var/lib/stead-machine/workspace/environment")
    runner.destroy(text)
    assert rig.owned() == []
    assert {rig.state(box) for box in rig.boxes} == {"free"}
    assert {entry["status"] for entry in runner.journal.entries.values()} == {"deleted"}


HOST = """
resource "baremetal_host" "it" {
  labels = { class = "small" }
  init_script = "sleep 600"
  token = "constant"
  timeouts { create = "5m" }
}
output "machine" { value = baremetal_host.it.name }
"""


def test_a_second_plan_is_empty_drift_is_mended_and_what_vanished_is_made_again(rig, runner: TemplateRunner) -> None:
    text = HEAD + HOST
    box = rig.boxes[1]
    assert runner.apply(text).outputs["machine"] == box.name
    assert actions(runner.plan(text)) == {}
    assert [item.key for item in rig.platform.owned_resources(rig.name)] == list(runner.journal.entries)

    box.sh("pkill -KILL -f '[s]tead-machine supervise'; pkill -KILL -u coder")
    assert actions(runner.plan(text)) == {"baremetal_host.it": "update"}
    runner.apply(text)
    eventually(lambda: has_agent(box), SECONDS, what="the agent")
    assert actions(runner.plan(text)) == {}

    for item in rig.platform.owned_resources(rig.name):
        rig.platform.destroy_owned(item)
    assert actions(runner.plan(text)) == {"baremetal_host.it": "create"}
    runner.apply(text)
    runner.destroy(text)
    assert rig.owned() == []


def test_a_release_that_fails_keeps_the_machine_until_it_is_wiped(rig, runner: TemplateRunner) -> None:
    text, box = HEAD + HOST, rig.boxes[1]
    runner.apply(text)
    box.sh("printf 'wipe_command=/bin/false\n' >/etc/stead-machine.conf")
    with pytest.raises(BuildFailure, match="could not be wiped"):
        runner.destroy(text)
    assert rig.state(box) == "dirty"
    # A start instead of the deletion cannot use what is half wiped.
    assert actions(runner.plan(text)) == {"baremetal_host.it": "replace"}
    box.sh("rm /etc/stead-machine.conf")
    runner.apply(text)
    assert rig.owned() == [box.name]
    runner.destroy(text)
    assert rig.state(box) == "free"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('labels = { class = "huge" }', ["they lack: class=huge (2)", "labels"]),
        ('labels = { memory = ">=much" }', ["needs a number"]),
        ('user = "Not an account"', ["must be the name of an account"]),
        ('desired_status = "asleep"', ["must be one of"]),
        ('machine = "nowhere"', ["no machine nowhere"]),
        ('env = { "1x" = "y" }', ["no name of an environment variable"]),
        ('timeouts {\n create = "soon"\n }', ["must be a duration"]),
    ],
)
def test_what_is_wrong_is_said_at_its_place(rig, runner: TemplateRunner, body: str, words: list[str]) -> None:
    with pytest.raises(SteadError) as caught:
        runner.apply(HEAD + f'resource "baremetal_host" "it" {{\n{body}\n}}\n')
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert rig.owned() == []


def test_an_import_is_in_the_plan_of_the_workspace_that_has_it(rig, runner: TemplateRunner) -> None:
    text = HEAD + HOST
    runner.apply(text)
    kept, runner.state = runner.state, None
    box = rig.boxes[1]
    imported = text + f'import {{\n  to = baremetal_host.it\n  id = "{box.name}"\n}}\n'
    with pytest.raises(SteadError, match="belongs to another workspace"):
        runner.plan(imported, workspace_id="another")
    # An inventory does not tell which labels were asked for.
    bare = imported.replace('  labels = { class = "small" }\n', "")
    assert actions(runner.plan(bare)) == {"baremetal_host.it": "update"}
    runner.apply(bare)
    assert rig.owned() == [box.name]
    runner.state = kept
    runner.destroy(text)


def test_no_secret_stands_in_a_build_log(rig, runner: TemplateRunner) -> None:
    runner.context = replace(runner.context, init_scripts=lambda os, arch: "echo started; sleep 600")
    text = HEAD + HOST.replace("constant", "very-secret-token").replace('"small"', '"huge"')
    with pytest.raises(BuildFailure) as caught:
        runner.apply(text)
    assert "very-secret-token" not in runner.log + str(caught.value) + repr(rig.provider)
