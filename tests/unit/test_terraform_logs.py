"""Terraform's JSON output as a build log, and its errors as failures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stead.api.errors import BuildFailure, InvalidInput, ProviderUnavailable, QuotaExceeded, TemplateInvalid
from stead.terraform.diagnostics import Diagnostic, failure_of
from stead.terraform.errors import PlanFailed
from stead.terraform.logs import Narrator
from stead.testing.terraform import BuildLog


def narrate(*events: Any, stage: str = "applying") -> BuildLog:
    log = BuildLog()
    narrator = Narrator(log, stage)
    for event in events:
        narrator.line(event if isinstance(event, str) else json.dumps(event))
    return log


def hook(kind: str, action: str = "create", **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "@level": "info",
        "@message": f"x.y: {kind} after 0s",
        "hook": {"resource": {"addr": "x.y"}, "action": action, **more},
    }


def test_what_is_made_has_its_time() -> None:
    log = narrate(hook("apply_start"), hook("apply_complete"))
    assert log.lines[0].fields == {"address": "x.y", "action": "create"}
    assert log.lines[1].fields["seconds"] >= 0
    assert " after 0.0" in log.lines[1].text


def test_programs_of_the_template_are_heard() -> None:
    log = narrate(hook("provision_progress", output="from a local-exec"))
    assert [(line.level, line.text) for line in log.lines] == [("info", "from a local-exec")]


def test_the_list_of_changes_is_told_once() -> None:
    planned = {
        "type": "planned_change",
        "@message": "x.y: Plan to create",
        "change": {"resource": {"addr": "x.y"}, "action": "create"},
    }
    assert len(narrate(planned, stage="planning").lines) == 1
    assert narrate(planned, stage="applying").lines == []


def drift(address: str, provider: str) -> dict[str, Any]:
    resource = {"addr": address, "implied_provider": provider, "resource_type": address.partition(".")[0]}
    return {
        "type": "resource_drift",
        "@level": "info",
        "@message": f"{address}: Drift detected (update)",
        "change": {"resource": resource, "action": "update"},
    }


def test_a_change_that_somebody_made_is_told_and_the_agents_new_token_is_not() -> None:
    log = narrate(drift("coder_agent.main", "coder"), drift("docker_container.box", "docker"), stage="planning")
    assert [line.text for line in log.lines] == ["docker_container.box: Drift detected (update)"]
    assert log.lines[0].fields == {"address": "docker_container.box", "action": "update"}


def test_outputs_are_not_told_because_they_may_be_secret() -> None:
    assert narrate({"type": "outputs", "@message": "Outputs: 1", "outputs": {"a": {"value": "s"}}}).lines == []


@pytest.mark.parametrize("line", ["", "  ", "[1]", "null"])
def test_empty_and_strange_lines_are_skipped(line: str) -> None:
    assert narrate(line).lines == []


def test_plain_lines_are_kept() -> None:
    assert narrate("plain { text").text == "plain { text"


def diagnostic(summary: str, detail: str = "", **more: Any) -> Diagnostic:
    return Diagnostic("error", summary, detail, **more)


def test_failures_by_what_terraform_says() -> None:
    place = {"file": "main.tf", "line": 3}
    cases = [
        (diagnostic("Invalid expression", "Why.", **place), "initializing", TemplateInvalid),
        (diagnostic("No value", 'The root module input variable "v" is not set, and'), "planning", InvalidInput),
        (
            diagnostic("Failed to install provider", "Error while installing acme/x v1.0.0: no"),
            "initializing",
            ProviderUnavailable,
        ),
        (diagnostic("Something else"), "planning", PlanFailed),
        (diagnostic("Something else"), "applying", BuildFailure),
    ]
    for item, stage, kind in cases:
        assert type(failure_of([item], stage)) is kind, item


def test_a_missing_provider_is_named() -> None:
    for detail in (
        "Error while installing acme/x v1.0.0: no",
        "Could not retrieve the list of available versions for provider acme/x: no",
    ):
        failure = failure_of([diagnostic("Failed to install provider", detail)], "initializing")
        assert failure.message.startswith("The provider acme/x is not available"), detail
        assert "(setting terraform_mirror)" in str(failure.remedy)


def test_further_errors_are_counted() -> None:
    items = [diagnostic("One", file="a.tf", line=1), diagnostic("Two", file="a.tf", line=2)]
    assert "1 more error in the build log" in failure_of(items, "planning").message
    assert "2 more errors in the build log" in failure_of([*items, items[0]], "planning").message


def test_a_providers_own_failure_is_the_cause() -> None:
    raised = QuotaExceeded("All used up.", remedy="Delete one.")
    failure = failure_of([diagnostic("All used up.", "Delete one.", address="x.y")], "planning", [raised])
    assert failure.__cause__ is raised
    assert failure.reason == "quota_exceeded"
    assert str(failure) == "x.y: All used up. Delete one."
    assert PlanFailed.reason == "plan_failed"


def test_a_failure_without_words_says_so() -> None:
    assert "did not say why" in failure_of([], "planning").message


def test_the_preamble_of_init_is_no_error() -> None:
    preamble = diagnostic("Terraform encountered problems during initialisation, including problems\nwith")
    assert failure_of([preamble, diagnostic("Real", file="m.tf", line=2)], "initializing").field == "m.tf:2"


def test_values_of_a_diagnostic_are_not_kept() -> None:
    item = Diagnostic.from_json(
        {
            "severity": "error",
            "summary": "Invalid value for variable",
            "range": {"filename": "/private/stead.tfvars.json", "start": {"line": 1}},
            "snippet": {"code": '{"token": "hunter2"}', "values": [{"traversal": "var.token", "statement": "is x"}]},
        }
    )
    assert "hunter2" not in repr(item)
    assert "/private" not in repr(item)
    failure = failure_of([item], "planning")
    assert isinstance(failure, InvalidInput)
    assert failure.field == "token"
