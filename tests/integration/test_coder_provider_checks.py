"""What the coder provider says of templates and values that are wrong, as Terraform hands it on."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from stead.api.errors import SteadError
from stead.testing.templates import TemplateRunner

pytest_plugins = ["stead.testing.templates"]

HEAD = """
terraform {
  required_providers {
    coder = { source = "coder/coder" }
  }
}
resource "coder_agent" "a" {
  os   = "linux"
  arch = "amd64"
}
"""
START = {"transition": "start", "workspace_id": "w"}


def refused(runner: TemplateRunner, body: str, **changes: Any) -> str:
    """The message of a plan that is refused."""
    with pytest.raises(SteadError) as failure:
        runner.plan(HEAD + textwrap.dedent(body), **changes)
    return f"{failure.value} ({failure.value.field})"


BAD_TEMPLATES = {
    "agent-os": ('resource "coder_agent" "b" {\n os = "plan9"\n arch = "amd64"\n}', "must be one of 'linux'"),
    "agent-arch": ('resource "coder_agent" "b" {\n os = "linux"\n arch = "mips"\n}', "must be one of 'amd64'"),
    "agent-metadata-twice": (
        """
        resource "coder_agent" "b" {
          os   = "linux"
          arch = "amd64"
          metadata {
            key      = "same"
            script   = "a"
            interval = 1
          }
          metadata {
            key      = "same"
            script   = "b"
            interval = 1
          }
        }
        """,
        "'same' is used twice",
    ),
    "agent-volume-relative": (
        """
        resource "coder_agent" "b" {
          os   = "linux"
          arch = "amd64"
          resources_monitoring {
            volume {
              path      = "home"
              enabled   = true
              threshold = 1
            }
          }
        }
        """,
        "absolute path",
    ),
    "agent-volume-twice": (
        """
        resource "coder_agent" "b" {
          os   = "linux"
          arch = "amd64"
          resources_monitoring {
            volume {
              path      = "/x"
              enabled   = true
              threshold = 1
            }
            volume {
              path      = "/x"
              enabled   = false
              threshold = 1
            }
          }
        }
        """,
        "'/x' is used twice",
    ),
    "agent-threshold": (
        """
        resource "coder_agent" "b" {
          os   = "linux"
          arch = "amd64"
          resources_monitoring {
            memory {
              enabled   = true
              threshold = 101
            }
          }
        }
        """,
        "between 0 and 100",
    ),
    "app-slug": (
        'resource "coder_app" "b" {\n agent_id = coder_agent.a.id\n slug = "Code_Server"\n}',
        "joined by single hyphens",
    ),
    "app-command-and-url": (
        'resource "coder_app" "b" {\n agent_id = coder_agent.a.id\n slug = "b"\n url = "/"\n command = "sh"\n}',
        "cannot be set together",
    ),
    "app-external-share": (
        'resource "coder_app" "b" {\n agent_id = coder_agent.a.id\n slug = "b"\n external = true\n share = "public"\n}',
        "external and share cannot be set together",
    ),
    "app-group-too-long": (
        f'resource "coder_app" "b" {{\n agent_id = coder_agent.a.id\n slug = "b"\n group = "{"g" * 65}"\n}}',
        "between 0 and 64 characters",
    ),
    "app-tooltip-too-long": (
        f'resource "coder_app" "b" {{\n agent_id = coder_agent.a.id\n slug = "b"\n tooltip = "{"t" * 2049}"\n}}',
        "between 0 and 2048 characters",
    ),
    "app-share": (
        'resource "coder_app" "b" {\n agent_id = coder_agent.a.id\n slug = "b"\n share = "everyone"\n}',
        "'authenticated'",
    ),
    "script-never": (
        'resource "coder_script" "b" {\n agent_id = coder_agent.a.id\n display_name = "b"\n script = "x"\n}',
        "never runs",
    ),
    "script-cron-five-fields": (
        'resource "coder_script" "b" {\n agent_id = coder_agent.a.id\n display_name = "b"\n script = "x"\n'
        ' cron = "0 3 * * *"\n}',
        "must have six fields",
    ),
    "script-blocks-but-does-not-start": (
        'resource "coder_script" "b" {\n agent_id = coder_agent.a.id\n display_name = "b"\n script = "x"\n'
        " run_on_stop = true\n start_blocks_login = true\n}",
        "hold logins back",
    ),
    "script-timeout": (
        'resource "coder_script" "b" {\n agent_id = coder_agent.a.id\n display_name = "b"\n script = "x"\n'
        " run_on_start = true\n timeout = 0\n}",
        "at least 1",
    ),
    "env-name": (
        'resource "coder_env" "b" {\n agent_id = coder_agent.a.id\n name = "1-A"\n}',
        "start with no digit",
    ),
    "env-strategy": (
        'resource "coder_env" "b" {\n agent_id = coder_agent.a.id\n name = "A"\n merge_strategy = "join"\n}',
        "'append'",
    ),
    "metadata-twice": (
        """
        resource "coder_metadata" "b" {
          resource_id = coder_agent.a.id
          item {
            key = "k"
          }
          item {
            key = "k"
          }
        }
        """,
        "'k' is used twice",
    ),
    "ai-task-app": ('resource "coder_ai_task" "b" {\n app_id = "main"\n}', "no UUID"),
    "devcontainer-folder": (
        'resource "coder_devcontainer" "b" {\n agent_id = coder_agent.a.id\n workspace_folder = ""\n}',
        "must not be empty",
    ),
    "parameter-form": (
        'data "coder_parameter" "b" {\n name = "b"\n default = ""\n form_type = "slider"\n}',
        "does not suit the type string",
    ),
    "parameter-default": (
        'data "coder_parameter" "b" {\n name = "b"\n type = "number"\n default = "x"\n}',
        "not a number",
    ),
    "parameter-regex-without-error": (
        'data "coder_parameter" "b" {\n name = "b"\n default = "x"\n validation {\n  regex = "x"\n }\n}',
        "needs an error",
    ),
    "parameter-regex-and-min": (
        'data "coder_parameter" "b" {\n name = "b"\n default = "x"\n validation {\n  regex = "x"\n  min = 1\n }\n}',
        "cannot be set together",
    ),
    "parameter-ephemeral": (
        'data "coder_parameter" "b" {\n name = "b"\n default = "x"\n ephemeral = true\n}',
        "immutable and ephemeral",
    ),
    "preset-icon": (
        f'data "coder_workspace_preset" "b" {{\n name = "b"\n icon = "{"i" * 257}"\n}}',
        "between 0 and 256 characters",
    ),
    "preset-lifetime": (
        """
        data "coder_workspace_preset" "b" {
          name = "b"
          prebuilds {
            instances = 1
            expiration_policy {
              ttl = 60
            }
          }
        }
        """,
        "3600 (an hour)",
    ),
    "preset-zone": (
        """
        data "coder_workspace_preset" "b" {
          name = "b"
          prebuilds {
            instances = 1
            scheduling {
              timezone = "Nowhere"
              schedule {
                cron      = "* 8 * * *"
                instances = 1
              }
            }
          }
        }
        """,
        "IANA",
    ),
    "preset-minute": (
        """
        data "coder_workspace_preset" "b" {
          name = "b"
          prebuilds {
            instances = 1
            scheduling {
              timezone = "UTC"
              schedule {
                cron      = "30 8 * * *"
                instances = 1
              }
            }
          }
        }
        """,
        "the first is *",
    ),
    "presets-both-default": (
        """
        data "coder_workspace_preset" "b" {
          name    = "b"
          default = true
        }
        data "coder_workspace_preset" "c" {
          name    = "c"
          default = true
        }
        """,
        "both the default",
    ),
    "presets-of-one-name": (
        """
        data "coder_workspace_preset" "b" {
          name       = "b"
          parameters = { x = "1" }
        }
        data "coder_workspace_preset" "c" {
          name       = "b"
          parameters = { x = "2" }
        }
        """,
        "Two presets are named 'b'",
    ),
    "secret-both": (
        'data "coder_secret" "b" {\n env = "A"\n file = "~/a"\n help_message = "h"\n}',
        "Exactly one of",
    ),
    "secret-none": ('data "coder_secret" "b" {\n help_message = "h"\n}', "Exactly one of"),
    "secret-file": ('data "coder_secret" "b" {\n file = "a/b"\n help_message = "h"\n}', "~/"),
}


@pytest.mark.parametrize("case", BAD_TEMPLATES)
def test_a_wrong_template_is_refused_at_its_import(template_runner: TemplateRunner, case: str) -> None:
    body, expected = BAD_TEMPLATES[case]
    message = refused(template_runner, body, importing=True)
    assert expected in message
    assert "main.tf:" in message, message


PARAMETERS = """
data "coder_parameter" "size" {
  name    = "size"
  type    = "number"
  mutable = true
  validation {
    min       = 5
    max       = 50
    monotonic = "increasing"
    error     = "{value} is not from {min} to {max}, or it shrinks."
  }
}
data "coder_parameter" "tools" {
  name      = "tools"
  type      = "list(string)"
  form_type = "multi-select"
  default   = jsonencode(["git"])
  option {
    name  = "Git"
    value = "git"
  }
  option {
    name  = "Go"
    value = "go"
  }
}
output "values" {
  value = [tonumber(data.coder_parameter.size.value) + 1, jsondecode(data.coder_parameter.tools.value)]
}
"""


def test_a_value_reaches_the_template(template_runner: TemplateRunner) -> None:
    given = {"size": "7", "tools": '["git","go"]'}
    applied = template_runner.apply(HEAD + PARAMETERS, parameters=given, **START)
    assert applied.outputs["values"] == [8, ["git", "go"]]


def test_an_import_needs_no_values(template_runner: TemplateRunner) -> None:
    planned = template_runner.plan(HEAD + PARAMETERS, importing=True)
    size, tools = planned.parameters
    assert (size.value, size.required, size.default) == (None, True, None)
    assert (tools.value, tools.required, tools.form_type) == ('["git"]', False, "multi-select")


@pytest.mark.parametrize(
    ("given", "previous", "expected"),
    [
        ({}, {}, "'size' has no value"),
        ({"size": "4"}, {}, "4 is not from 5 to 50"),
        ({"size": "51"}, {}, "51 is not from 5 to 50"),
        ({"size": "big"}, {}, "'big' is not a number"),
        ({"size": "9"}, {"size": "10"}, "9 is not from 5 to 50, or it shrinks."),
        ({"size": "9", "tools": '["rust"]'}, {}, "'rust' is not an option"),
        ({"size": "9", "tools": "git"}, {}, "is not a list of strings"),
    ],
)
def test_a_start_with_a_wrong_value_is_refused_by_the_parameters_name(
    template_runner: TemplateRunner, given: dict[str, str], previous: dict[str, str], expected: str
) -> None:
    changes = {**START, "parameters": given, "previous_parameters": previous}
    message = refused(template_runner, PARAMETERS, **changes)
    assert expected in message
    assert ("'size'" in message) or ("'tools'" in message)


def test_a_masked_value_is_not_shown(template_runner: TemplateRunner) -> None:
    template = """
        data "coder_parameter" "pin" {
          name    = "pin"
          mutable = true
          styling = jsonencode({ mask_input = true })
          validation {
            regex = "^[0-9]+$"
            error = "{value} is no number"
          }
        }
    """
    message = refused(template_runner, template, parameters={"pin": "hush-hush"}, **START)
    assert "'pin': The value breaks its rules" in message
    assert "hush" not in message + template_runner.log


@pytest.mark.parametrize("transition", ["stop", "destroy"])
def test_what_runs_can_be_ended_whatever_its_values_are(template_runner: TemplateRunner, transition: str) -> None:
    template_runner.apply(HEAD + PARAMETERS, parameters={"size": "7"}, **START)
    destroy = transition == "destroy"
    changes = {"parameters": {"size": "1000"}, "transition": transition}
    assert not template_runner.apply(HEAD + PARAMETERS, destroy=destroy, **changes).document.resources


SECRETS = """
data "coder_secret" "key" {
  env          = "API_KEY"
  help_message = "Ask the platform team for a key."
}
data "coder_secret" "file" {
  file         = "~/.netrc"
  help_message = "Make one."
}
data "coder_external_auth" "git" {
  id = "github"
}
data "coder_external_auth" "other" {
  id       = "gitlab"
  optional = true
}
output "values" {
  sensitive = true
  value = [data.coder_secret.key.value, data.coder_secret.file.value, data.coder_external_auth.git.access_token,
  data.coder_external_auth.other.access_token]
}
"""
GIVEN: dict[str, Any] = {
    "secrets": {"env:API_KEY": "k", "file:~/.netrc": "n"},
    "external_auth": {"github": "gh"},
}


def test_secrets_and_tokens_of_the_owner_reach_the_template(template_runner: TemplateRunner) -> None:
    applied = template_runner.apply(HEAD + SECRETS, **START, **GIVEN)
    assert applied.outputs["values"] == ["k", "n", "gh", ""]
    assert "value: k" not in template_runner.log


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("secrets", "Ask the platform team for a key."), ("external_auth", "account at 'github'")],
)
def test_a_start_without_a_needed_credential_says_what_to_do(
    template_runner: TemplateRunner, missing: str, expected: str
) -> None:
    given = {**GIVEN, missing: {} if missing == "external_auth" else {"file:~/.netrc": "n"}}
    assert expected in refused(template_runner, SECRETS, **START, **given)


@pytest.mark.parametrize("changes", [{"importing": True}, {"transition": "stop"}])
def test_only_a_start_needs_credentials(template_runner: TemplateRunner, changes: dict[str, Any]) -> None:
    template_runner.plan(HEAD + SECRETS, **changes)
