"""Plans and states of templates that use the coder provider, as documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.api import NoSettings
from stead.api.errors import InvalidInput, TemplateInvalid
from stead.api.provider import BuildContext
from stead.terraform.builtin import builtin_providers
from stead.terraform.document import AgentNode, Document
from stead.terraform.engine import EngineOptions
from stead.testing.terraform import Workbench, workbench

HEAD = """
terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    lab = {
      source = "example/lab"
    }
  }
}
data "coder_workspace" "me" {
}
resource "coder_agent" "main" {
  os             = "linux"
  arch           = "amd64"
  startup_script = "echo hi"
  env            = { A = "1" }
  metadata {
    key      = "cpu"
    script   = "coder stat cpu"
    interval = 10
  }
  display_apps {
    vscode = false
  }
}
"""

TEMPLATE = (
    HEAD
    + """
locals {
  token = coder_agent.main.token
}
resource "lab_thing" "workspace" {
  count = data.coder_workspace.me.start_count
  name  = "workspace"
  labels = { token = local.token, volume = lab_thing.volume.id }
}
resource "lab_thing" "volume" {
  name = "volume"
}
resource "lab_thing" "far" {
  count = data.coder_workspace.me.start_count
  name  = "far-${lab_thing.workspace[0].id}"
}
resource "coder_metadata" "volume" {
  resource_id = lab_thing.volume.id
  daily_cost  = 3
  hide        = true
  icon        = "/icon/x.svg"
  item {
    key   = "home"
    value = lab_thing.volume.id
  }
  item {
    key       = "secret"
    value     = "s"
    sensitive = true
  }
}
resource "coder_metadata" "workspace" {
  count       = data.coder_workspace.me.start_count
  resource_id = lab_thing.workspace[0].id
  daily_cost  = 10
}
module "tools" {
  source   = "./tools"
  agent_id = coder_agent.main.id
}
"""
)

TOOLS = """
terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
  }
}
variable "agent_id" {
}
resource "coder_app" "code" {
  agent_id     = var.agent_id
  slug         = "code"
  display_name = "Code"
  url          = "http://localhost:1"
  order        = 2
  healthcheck {
    url       = "http://localhost:1/ok"
    interval  = 5
    threshold = 3
  }
}
resource "coder_app" "other" {
  agent_id = var.agent_id
  slug     = "other"
  command  = "htop"
  order    = 1
}
resource "coder_script" "cron" {
  agent_id     = var.agent_id
  display_name = "Clean"
  script       = "true"
  cron         = "0 0 * * * *"
}
resource "coder_env" "editor" {
  agent_id = var.agent_id
  name     = "EDITOR"
  value    = "vi"
}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    more = [(spec, NoSettings()) for spec in builtin_providers() if spec.address == "coder/coder"]
    with workbench(tmp_path, EngineOptions(network=False), more=more) as made:
        yield made


def template(bench: Workbench, text: str = TEMPLATE) -> Path:
    source = bench.source(text)
    (source / "tools").mkdir()
    (source / "tools" / "main.tf").write_text(TOOLS)
    return source


def check(document: Document) -> AgentNode:
    """What holds for the plan as well as for the state."""
    assert {node.address: node.agents for node in document.resources} == {
        "lab_thing.far[0]": (),
        "lab_thing.volume": (),
        "lab_thing.workspace[0]": ("main",),
    }
    volume = next(node for node in document.resources if node.name == "volume")
    assert (volume.hide, volume.icon, volume.daily_cost) == (True, "/icon/x.svg", 3)
    assert [item.key for item in volume.items] == ["home", "secret"]
    assert [item.sensitive for item in volume.items] == [False, True]
    assert document.daily_cost == 13
    (agent,) = document.agents
    assert (agent.name, agent.address, agent.resource) == (
        "main",
        "coder_agent.main",
        "lab_thing.workspace[0]",
    )
    assert (agent.os, agent.arch, agent.auth, dict(agent.env)) == ("linux", "amd64", "token", {"A": "1"})
    assert [app.slug for app in agent.apps] == ["other", "code"]
    code = agent.apps[1]
    assert (code.display_name, code.url, code.address) == (
        "Code",
        "http://localhost:1",
        "module.tools.coder_app.code",
    )
    assert code.healthcheck is not None
    assert (code.healthcheck.interval, code.healthcheck.threshold) == (5, 3)
    assert [(script.display_name, script.run_on_start) for script in agent.scripts] == [
        ("Startup Script", True),
        ("Clean", False),
    ]
    assert [(env.name, env.value) for env in agent.envs] == [("EDITOR", "vi")]
    assert [(item.key, item.interval) for item in agent.metadata] == [("cpu", 10)]
    assert agent.display_apps == ("web_terminal", "port_forwarding_helper", "ssh_helper")
    return agent


def test_plan_and_state_say_the_same(bench: Workbench) -> None:
    with bench.run(template(bench)) as run:
        run.init()
        plan = run.plan()
        assert check(plan.document).id == ""
        assert plan.daily_cost == 13
        result = run.apply()
    agent = check(result.document)
    assert agent.id
    assert agent.token
    assert agent.token not in repr(agent)
    assert next(app for app in agent.apps if app.slug == "code").id
    volume = next(node for node in result.document.resources if node.name == "volume")
    assert volume.items[0].value == "thing-1"


def test_the_nearest_resource_has_the_agent(bench: Workbench) -> None:
    """Through a data source is two steps, directly is one."""
    text = (
        HEAD
        + """
    resource "lab_thing" "a_far" {
      name = data.lab_reading.r.answer
    }
    data "lab_reading" "r" {
      question = coder_agent.main.token
    }
    resource "lab_thing" "z_near" {
      name = coder_agent.main.token
    }
    """
    )
    (agent,) = bench.plan(template(bench, text)).document.agents
    assert agent.resource == "lab_thing.z_near"


def test_ties_go_by_address(bench: Workbench) -> None:
    text = (
        HEAD
        + """
    resource "lab_thing" "b" {
      name = coder_agent.main.token
    }
    resource "lab_thing" "a" {
      count = 2
      name  = coder_agent.main.token
    }
    """
    )
    (agent,) = bench.plan(template(bench, text)).document.agents
    assert agent.resource == "lab_thing.a[0]"


def test_metadata_of_an_instance_goes_to_the_same_instance(bench: Workbench) -> None:
    text = (
        HEAD
        + """
    resource "lab_thing" "t" {
      count = 2
      name  = "t"
    }
    resource "coder_metadata" "t" {
      count       = 2
      resource_id = lab_thing.t[count.index].id
      daily_cost  = 1 + count.index
    }
    """
    )
    with bench.run(template(bench, text)) as run:
        run.init()
        for document in (run.plan().document, run.apply().document):
            assert {node.address: node.daily_cost for node in document.resources} == {
                "lab_thing.t[0]": 1,
                "lab_thing.t[1]": 2,
            }


def test_an_agent_that_nobody_needs_belongs_to_nothing(bench: Workbench) -> None:
    (agent,) = bench.plan(template(bench, HEAD)).document.agents
    assert agent.resource == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            'resource "coder_app" "%s" {\n agent_id = coder_agent.main.id\n slug = "same"\n command = "x"\n}\n',
            "two coder_apps with the slug 'same'",
        ),
        (
            'resource "coder_metadata" "%s" {\n resource_id = lab_thing.t.id\n item {\n key = "k"\n}\n}\n',
            "more than one coder_metadata",
        ),
    ],
)
def test_what_must_be_unique_is_checked(bench: Workbench, more: str, words: str) -> None:
    text = HEAD + 'resource "lab_thing" "t" {\n name = "t"\n}\n' + more % "one" + more % "two"
    with pytest.raises(TemplateInvalid, match=words):
        bench.plan(template(bench, text))


PARAMETER = """
data "coder_parameter" "cpu" {
  name = "cpu"
  type = "number"
  validation {
    min   = 1
    max   = 8
    error = "{value} is not between {min} and {max}."
  }
}
"""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cpu": "99"}, "99 is not between 1 and 8"),
        ({"cpu": "many"}, "'many' is not a number"),
        ({}, "'cpu' has no value"),
    ],
)
def test_a_parameter_out_of_range_is_bad_input(bench: Workbench, values: dict[str, str], message: str) -> None:
    bench.context = BuildContext(parameters=values)
    with pytest.raises(InvalidInput, match=message) as caught:
        bench.plan(template(bench, HEAD + PARAMETER))
    assert caught.value.field == "cpu"


def test_parameters_and_presets_are_what_data_sources_read(bench: Workbench) -> None:
    text = (
        HEAD
        + """
    data "coder_parameter" "b" {
      name    = "b"
      default = "1"
      type    = "number"
      order   = 1
      mutable = true
    }
    data "coder_parameter" "a" {
      name    = "a"
      default = "x"
      order   = 2
    }
    data "coder_workspace_preset" "p" {
      name       = "small"
      parameters = { b = "2" }
    }
    """
    )
    plan = bench.plan(template(bench, text))
    assert [(item.name, item.value, item.type) for item in plan.parameters] == [
        ("b", "1", "number"),
        ("a", "x", "string"),
    ]
    assert [(item.name, dict(item.parameters)) for item in plan.presets] == [("small", {"b": "2"})]
