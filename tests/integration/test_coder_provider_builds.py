"""Templates of the coder provider through the real engine: builds of one workspace, one after another."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stead.api.errors import SteadError, Unavailable
from stead.api.provider import BuildContext, Owner
from stead.terraform.document import AgentNode
from stead.testing.templates import TemplateRunner

pytest_plugins = ["stead.testing.templates"]

ADA = Owner(
    id="a1",
    name="ada",
    full_name="Ada L.",
    email="ada@example.com",
    groups=("math",),
    roles=("member", "template-admin"),
    ssh_public_key="ssh-ed25519 AAAA",
    ssh_private_key="PRIVATE",
    session_token="SESSION",
)
CONTEXT = BuildContext(
    deployment="d",
    workspace_id="11111111-1111-1111-1111-111111111111",
    workspace_name="dev",
    owner=ADA,
    template_id="t",
    template_name="starter",
    template_version="v7",
    access_url="http://127.0.0.1:7080",
    init_scripts=lambda os, arch: f'#!/bin/sh\nexec curl "http://127.0.0.1:7080/bin/{os}-{arch}"\n',
)

# What the starter templates of the field have in common, with terraform_data for the infrastructure.
STARTER = r"""
terraform {
  required_providers {
    coder = {
      source  = "coder/coder"
      version = ">= 0.17.0"
    }
  }
}

variable "docker_socket" {
  default     = ""
  description = "(Optional) Docker socket URI"
  type        = string
}

locals {
  username = data.coder_workspace_owner.me.name
  init     = replace(coder_agent.main.init_script, "/localhost|127\\.0\\.0\\.1/", "host.docker.internal")
}

provider "coder" {
  url = "https://elsewhere.example.com"
}

data "coder_provisioner" "me" {}
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

data "coder_parameter" "cpu" {
  name         = "cpu"
  display_name = "CPU"
  description  = "The number of CPU cores"
  default      = "2"
  icon         = "/icon/memory.svg"
  mutable      = true
  option {
    name  = "2 Cores"
    value = "2"
  }
  option {
    name  = "4 Cores"
    value = "4"
  }
}

data "coder_parameter" "home_disk_size" {
  name         = "home_disk_size"
  display_name = "Home disk size"
  default      = "10"
  type         = "number"
  mutable      = false
  order        = 2
  validation {
    min       = 1
    max       = 99
    monotonic = "increasing"
    error     = "{value} GB is not {min} to {max} GB"
  }
}

data "coder_workspace_preset" "large" {
  name    = "Large"
  default = true
  parameters = {
    (data.coder_parameter.cpu.name) = "4"
  }
  prebuilds {
    instances = 2
    expiration_policy {
      ttl = 86400
    }
    scheduling {
      timezone = "Europe/Berlin"
      schedule {
        cron      = "* 8-18 * * 1-5"
        instances = 3
      }
    }
  }
}

resource "coder_agent" "main" {
  arch           = data.coder_provisioner.me.arch
  os             = "linux"
  startup_script = <<-EOT
    set -e
    touch ~/.init_done
  EOT

  env = {
    GIT_AUTHOR_NAME  = coalesce(data.coder_workspace_owner.me.full_name, data.coder_workspace_owner.me.name)
    GIT_AUTHOR_EMAIL = "${data.coder_workspace_owner.me.email}"
  }

  metadata {
    display_name = "CPU Usage"
    key          = "0_cpu_usage"
    script       = "coder stat cpu"
    interval     = 10
    timeout      = 1
  }

  metadata {
    display_name = "Swap Usage (Host)"
    key          = "7_swap_host"
    script       = <<EOT
      free -b | awk '/^Swap/ { printf("%.1f/%.1f", $3/1024.0/1024.0/1024.0, $2/1024.0/1024.0/1024.0) }'
    EOT
    interval     = 10
    timeout      = 1
  }
}

resource "coder_app" "code-server" {
  agent_id     = coder_agent.main.id
  slug         = "code-server"
  display_name = "code-server"
  url          = "http://localhost:13337/?folder=/home/coder"
  icon         = "/icon/code.svg"
  subdomain    = false
  share        = "owner"

  healthcheck {
    url       = "http://localhost:13337/healthz"
    interval  = 5
    threshold = 6
  }
}

resource "coder_script" "backup" {
  agent_id     = coder_agent.main.id
  display_name = "Backup"
  script       = "tar c ~"
  cron         = "0 0 3 * * *"
}

resource "coder_env" "editor" {
  agent_id = coder_agent.main.id
  name     = "EDITOR"
  value    = "vi"
}

resource "terraform_data" "home" {
  input = "coder-${data.coder_workspace.me.id}-home"
  lifecycle {
    ignore_changes = all
  }
}

resource "terraform_data" "workspace" {
  count = data.coder_workspace.me.start_count
  input = {
    name       = "coder-${local.username}-${lower(data.coder_workspace.me.name)}"
    entrypoint = ["sh", "-c", local.init]
    cpu        = data.coder_parameter.cpu.value
    home       = terraform_data.home.output
  }
  triggers_replace = [coder_agent.main.token]
}

resource "coder_metadata" "container_info" {
  count       = data.coder_workspace.me.start_count
  resource_id = terraform_data.workspace[0].id
  daily_cost  = 7
  item {
    key   = "image"
    value = "ubuntu"
  }
  item {
    key = "nothing"
  }
}
"""


@pytest.fixture
def runner(template_runner: TemplateRunner) -> TemplateRunner:
    template_runner.context = CONTEXT
    return template_runner


def agent(runner: TemplateRunner) -> dict[str, Any]:
    return runner.attributes("coder_agent.main")


def test_a_starter_template_starts_stops_and_is_deleted(runner: TemplateRunner) -> None:
    started = runner.apply(STARTER)
    node = started.document.agents[0]
    assert isinstance(node, AgentNode)
    assert (node.name, node.resource, node.token) == ("main", "terraform_data.workspace[0]", agent(runner)["token"])
    assert [app.slug for app in node.apps] == ["code-server"]
    assert {script.display_name for script in node.scripts} == {"Startup Script", "Backup"}
    workspace = runner.attributes("terraform_data.workspace")["output"]["value"]
    assert workspace["name"] == "coder-ada-dev"
    assert "host.docker.internal:7080/bin/linux-" in workspace["entrypoint"][2]
    assert workspace["home"] == "coder-11111111-1111-1111-1111-111111111111-home"
    items = runner.attributes("coder_metadata.container_info")["item"]
    assert [item["is_null"] for item in items] == [False, True]

    stopped = runner.apply(STARTER, transition="stop")
    assert [resource.address for resource in stopped.document.resources] == ["terraform_data.home"]
    runner.apply(STARTER)
    assert runner.attributes("terraform_data.workspace")["output"]["value"]["home"] == workspace["home"]
    assert not runner.destroy(STARTER).document.resources


def test_a_plan_tells_parameters_presets_and_the_price(runner: TemplateRunner) -> None:
    planned = runner.plan(STARTER, parameters={"cpu": "4"}, importing=True)
    cpu, disk = planned.parameters
    assert (cpu.name, cpu.value, cpu.form_type, cpu.required) == ("cpu", "4", "radio", False)
    assert [option.value for option in cpu.options] == ["2", "4"]
    assert (disk.type, disk.form_type, disk.mutable, disk.order) == ("number", "input", False, 2)
    assert disk.validation is not None
    assert disk.validation["max"] == 99
    (preset,) = planned.presets
    assert (preset.name, preset.default, preset.parameters) == ("Large", True, {"cpu": "4"})
    assert preset.prebuilds == {
        "instances": 2,
        "expiration_policy": {"ttl": 86400},
        "scheduling": {
            "timezone": "Europe/Berlin",
            "schedule": [{"cron": "* 8-18 * * 1-5", "instances": 3}],
        },
    }
    assert planned.daily_cost == 7


def test_only_a_start_needs_an_agent_for_the_system(runner: TemplateRunner) -> None:
    def none_for(os: str, arch: str) -> str:
        raise Unavailable(f"There is no agent for {os}/{arch}.")

    with pytest.raises(SteadError, match="There is no agent for linux/"):
        runner.apply(STARTER, init_scripts=none_for)
    runner.state = None
    runner.apply(STARTER)
    script = agent(runner)["init_script"]
    runner.apply(STARTER, transition="stop", init_scripts=none_for)
    assert agent(runner)["init_script"] == script
    assert not runner.destroy(STARTER, init_scripts=none_for).document.resources


BY_IDENTITY = """
terraform {
  required_providers {
    coder = { source = "coder/coder" }
  }
}
resource "coder_agent" "main" {
  os   = "linux"
  arch = "amd64"
  auth = "azure-instance-identity"
}
resource "terraform_data" "machine" {
  input = coder_agent.main.init_script
}
resource "coder_agent_instance" "main" {
  agent_id    = coder_agent.main.id
  instance_id = "02AAB8A4-74ef-476e-8182-f6d2ba4166a6"
}
"""


def test_an_agent_that_proves_its_machine_is_told_how_and_keeps_its_script(runner: TemplateRunner) -> None:
    (node,) = runner.apply(BY_IDENTITY).document.agents
    assert (node.auth, node.instance_id) == ("azure-instance-identity", "02AAB8A4-74ef-476e-8182-f6d2ba4166a6")
    lines = agent(runner)["init_script"].splitlines()
    assert lines[:2] == ["#!/bin/sh", 'export CODER_AGENT_AUTH="azure-instance-identity"']
    assert lines[2].startswith("exec curl")
    assert not runner.plan(BY_IDENTITY).changes, "no token changes what the machine is made of"


def test_an_import_needs_no_owner_and_no_workspace(runner: TemplateRunner) -> None:
    runner.context = BuildContext(importing=True)
    runner.plan(STARTER)  # coalesce fails where it finds nothing but empty strings


def test_every_build_gives_the_agent_a_new_token_and_replaces_only_what_carries_it(
    runner: TemplateRunner,
) -> None:
    runner.apply(STARTER)
    first = agent(runner)
    changes = {change.address: change.action for change in runner.plan(STARTER).changes}
    assert changes == {
        "terraform_data.workspace[0]": "replace",
        "coder_metadata.container_info[0]": "replace",
    }
    runner.apply(STARTER)
    second = agent(runner)
    assert first["id"] == second["id"]
    assert first["token"] != second["token"]
    assert str(uuid.UUID(first["id"])) == first["id"]


def test_a_claim_of_a_prebuild_replaces_nothing_that_runs(runner: TemplateRunner) -> None:
    # The agent's own environment names the owner, so the agent itself is made anew.
    prebuilds = Owner(id="p", name="prebuilds")
    runner.apply(STARTER, owner=prebuilds, is_prebuild=True, prebuild_count=1)
    before, workspace = agent(runner), runner.attributes("terraform_data.workspace")
    runner.apply(STARTER, is_prebuild_claim=True, prebuild_count=1)
    after = agent(runner)
    assert after["env"]["GIT_AUTHOR_NAME"] == "Ada L."
    assert after["id"] != before["id"]
    assert after["token"] == before["token"]
    assert runner.attributes("terraform_data.workspace")["id"] == workspace["id"]


def test_a_claim_tells_the_token_of_a_lone_agent_that_the_state_lacks(runner: TemplateRunner) -> None:
    runner.apply(STARTER, is_prebuild_claim=True, agent_tokens={"coder_agent.main": "kept"})
    assert agent(runner)["token"] == "kept"


def test_two_equal_agents_keep_their_own_tokens_through_a_claim(runner: TemplateRunner) -> None:
    template = """
        terraform {
          required_providers {
            coder = { source = "coder/coder" }
          }
        }
        data "coder_workspace_owner" "me" {}
        resource "coder_agent" "one" {
          os   = "linux"
          arch = "amd64"
          env  = { ME = data.coder_workspace_owner.me.name, N = "1" }
        }
        resource "coder_agent" "two" {
          os   = "linux"
          arch = "amd64"
          env  = { ME = data.coder_workspace_owner.me.name, N = "2" }
        }
    """
    names = ("coder_agent.one", "coder_agent.two")
    runner.apply(template, owner=Owner(name="prebuilds"), is_prebuild=True)
    before = [runner.attributes(name)["token"] for name in names]
    runner.apply(template, is_prebuild_claim=True)
    assert [runner.attributes(name)["token"] for name in names] == before


def test_data_sources_answer_from_the_build(runner: TemplateRunner) -> None:
    runner.context = replace(CONTEXT, access_url="https://stead.example.com", is_prebuild=True, prebuild_count=1)
    runner.apply(STARTER)
    workspace = runner.attributes("data.coder_workspace.me")
    assert workspace == {
        "id": CONTEXT.workspace_id,
        "name": "dev",
        "transition": "start",
        "start_count": 1,
        "prebuild_count": 1,
        "is_prebuild": True,
        "is_prebuild_claim": False,
        "access_url": "https://stead.example.com",
        "access_port": 443,
        "template_id": "t",
        "template_name": "starter",
        "template_version": "v7",
    }
    owner = runner.attributes("data.coder_workspace_owner.me")
    assert (owner["name"], owner["groups"], owner["session_token"]) == ("ada", ["math"], "SESSION")
    assert owner["rbac_roles"] == [
        {"name": "member", "org_id": ""},
        {"name": "template-admin", "org_id": ""},
    ]
    assert runner.attributes("data.coder_provisioner.me")["os"] == "linux"


EVERYTHING_ELSE = """
terraform {
  required_providers {
    coder = { source = "coder/coder" }
  }
}
resource "coder_agent" "a" {
  os   = "linux"
  arch = "arm64"
  auth = "aws-instance-identity"
  display_apps {
    vscode       = false
    web_terminal = true
  }
  resources_monitoring {
    memory {
      enabled   = true
      threshold = 80
    }
    volume {
      path      = "/a"
      enabled   = true
      threshold = 80
    }
    volume {
      path      = "/b"
      enabled   = false
      threshold = 90
    }
  }
}
resource "coder_agent_instance" "a" {
  agent_id    = coder_agent.a.id
  instance_id = "i-123"
}
resource "coder_external_agent" "a" {
  agent_id = coder_agent.a.id
}
resource "coder_devcontainer" "a" {
  agent_id         = coder_agent.a.id
  workspace_folder = "/src"
}
resource "coder_app" "docs" {
  agent_id = coder_agent.a.id
  slug     = "docs"
  url      = "https://docs.example.com"
  external = true
}
resource "coder_ai_task" "t" {
  app_id = coder_app.docs.id
}
data "coder_task" "t" {}
data "coder_workspace_tags" "t" {
  tags = { region = "eu" }
}
output "prompt" {
  value = [coder_ai_task.t.prompt, coder_ai_task.t.enabled, data.coder_task.t.prompt, data.coder_task.t.enabled]
}
"""


def test_a_second_plan_of_what_carries_no_token_is_empty(runner: TemplateRunner) -> None:
    applied = runner.apply(EVERYTHING_ELSE)
    assert applied.outputs["prompt"] == ["", False, "", False]
    assert not runner.plan(EVERYTHING_ELSE).has_changes
    assert uuid.UUID(runner.attributes("coder_devcontainer.a")["subagent_id"])
    assert runner.attributes("coder_ai_task.t")["app_id"] == runner.attributes("coder_app.docs")["id"]
    assert not runner.destroy(EVERYTHING_ELSE).document.resources


def test_a_prompt_reaches_the_template(runner: TemplateRunner) -> None:
    applied = runner.apply(EVERYTHING_ELSE, parameters={"AI Prompt": "fix it"})
    assert applied.outputs["prompt"] == ["fix it", True, "fix it", True]


def test_an_app_for_a_task_may_stand_in_a_block(runner: TemplateRunner) -> None:
    template = EVERYTHING_ELSE.replace("app_id = coder_app.docs.id", "sidebar_app {\n    id = coder_app.docs.id\n  }")
    runner.apply(template)
    assert runner.attributes("coder_ai_task.t")["app_id"] == runner.attributes("coder_app.docs")["id"]
    assert not runner.plan(template).has_changes


LANGUAGE = {
    "main.tf": """
        terraform {
          required_providers {
            coder = { source = "coder/coder" }
          }
        }
        locals {
          regions = { eu = "Europe", us = "America" }
          apps    = ["one", "two"]
        }
        data "coder_workspace_owner" "me" {}
        data "coder_parameter" "region" {
          name = "region"
          dynamic "option" {
            for_each = local.regions
            content {
              name  = option.value
              value = option.key
            }
          }
          default = "eu"
        }
        data "coder_parameter" "zone" {
          name    = "zone"
          default = data.coder_parameter.region.value
          dynamic "validation" {
            for_each = contains(data.coder_workspace_owner.me.groups, "math") ? [1] : []
            content {
              regex = "^${data.coder_parameter.region.value}"
              error = "{value} is not in the region"
            }
          }
        }
        data "coder_parameter" "extra" {
          for_each = toset(data.coder_parameter.region.value == "us" ? ["gpu"] : [])
          name     = each.key
          type     = "bool"
          default  = false
        }
        resource "terraform_data" "machine" {
          input = data.coder_parameter.zone.value
        }
        resource "coder_agent" "main" {
          count = 1
          os    = "linux"
          arch  = "amd64"
          env   = { MACHINE = terraform_data.machine.id }
          dynamic "metadata" {
            for_each = local.apps
            content {
              key      = metadata.value
              script   = "echo ${terraform_data.machine.id}"
              interval = 10 + metadata.key
            }
          }
          dynamic "display_apps" {
            for_each = terraform_data.machine.id != "" ? [1] : []
            content {
              vscode = false
            }
          }
        }
        module "app" {
          source   = "./app"
          for_each = toset(local.apps)
          agent_id = coder_agent.main[0].id
          slug     = each.key
        }
        resource "coder_metadata" "machine" {
          resource_id = terraform_data.machine.id
          item {
            key   = "id"
            value = terraform_data.machine.id
          }
          dynamic "item" {
            for_each = local.regions
            content {
              key       = item.key
              value     = item.value == "Europe" ? null : item.value
              sensitive = true
            }
          }
        }
    """,
    "app": """
        terraform {
          required_providers {
            coder = { source = "coder/coder" }
          }
        }
        variable "agent_id" {
          type = string
        }
        variable "slug" {
          type = string
        }
        resource "coder_app" "this" {
          agent_id = var.agent_id
          slug     = var.slug
          url      = "http://localhost:8080"
        }
        resource "coder_script" "this" {
          agent_id     = var.agent_id
          display_name = var.slug
          script       = "true"
          run_on_start = true
        }
    """,
}


def test_the_whole_language_may_be_used(runner: TemplateRunner, tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "main.tf").write_text(LANGUAGE["app"])
    template = LANGUAGE["main.tf"].replace('"./app"', f'"{module}"')
    applied = runner.apply(template, parameters={"region": "us", "zone": "us-1"})
    assert sorted(app.slug for app in applied.document.agents[0].apps) == ["one", "two"]
    main = runner.attributes("coder_agent.main")
    machine = runner.attributes("terraform_data.machine")["id"]
    assert main["metadata"][1]["script"] == f"echo {machine}"
    assert main["display_apps"][0]["vscode"] is False
    items = runner.attributes("coder_metadata.machine")["item"]
    assert [(item["key"], item["is_null"]) for item in items] == [("id", False), ("eu", True), ("us", False)]
    again = runner.plan(template, parameters={"region": "us", "zone": "us-1"})
    assert not again.has_changes
    assert {reading.name for reading in again.parameters} == {"region", "zone", "gpu"}
    assert {reading.name for reading in runner.plan(template).parameters} == {"region", "zone"}
    with pytest.raises(SteadError, match="us-1 is not in the region"):
        runner.plan(template, parameters={"zone": "us-1"})
