"""What policies deny stands at the field that is meant; administrators see what is enabled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import expect

from stead.api import BuildRequest, Finding, Policy, PolicySpec, deny, hookimpl, warn
from stead.plugins import PluginRegistry
from stead.services.policies.enabled import load

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


class Small(Policy):
    """Denies many cores; of Rust it warns."""

    def judge_request(self, request: BuildRequest) -> Iterable[Finding]:
        if int(request.parameters["cpu"]) > 4:
            yield deny("Four cores are enough.", where="parameters.cpu", remedy="Take 4 or fewer.")
        if "rust" in request.parameters["tools"]:
            yield warn("Rust takes a while to install.")


@pytest.fixture
def small(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a policy, and with one that is tried out."""
    brought: Any = ModuleType("brought")
    specs = [PolicySpec("small", "Small workspaces", lambda _: Small())]
    brought.stead_policies = hookimpl(lambda: specs, specname="stead_policies")
    registry = PluginRegistry(builtins={"brought": brought}, disabled=[one.name for one in site.core.plugins.status()])
    registry.load()
    table = {"templates": ["frugal"], "deadline": 60}
    made = load({"small": table, "trial": {**table, "policy": "small", "mode": "warn"}}, registry)
    monkeypatch.setattr(site.core.policies, "_enabled", {policy.name: policy for policy in made})


def test_a_denial_stands_at_its_field_and_a_warning_in_the_log(
    site: Any, small: None, visit: Callable[..., Any]
) -> None:
    site.template("frugal", icon="/icon/docker.svg", description="A container.")
    browser = visit()
    page = browser.open("/templates/frugal/workspace")
    page.fill("[name=name]", "thrifty")
    page.get_by_label("My own values").check()
    page.fill("[name='parameter.cpu']", "8")
    page.get_by_role("button", name="Create and start").click()
    problem = page.locator("#p-cpu-problem")
    expect(problem).to_contain_text("The policy small: Four cores are enough.", timeout=60_000)
    expect(problem).to_contain_text("Take 4 or fewer.")
    page.fill("[name='parameter.cpu']", "4")
    page.get_by_label("Rust").check()
    page.get_by_role("button", name="Create and start").click()
    expect(page.get_by_role("heading", name="thrifty")).to_be_visible(timeout=60_000)
    warned = page.locator("stead-log .log-row", has_text="The policy small: Rust takes a while to install.")
    expect(warned.first).to_be_attached(timeout=60_000)

    page = browser.open("/deployment")
    section = page.get_by_role("region", name="Policies")
    expect(section).to_contain_text("2 policies")
    expect(section).to_contain_text("Small workspaces · of frugal · on start · judged 2, denied 1 since the start")
    expect(section.get_by_text("warns only")).to_be_visible()
    plugins = page.get_by_role("region", name="Plugins")
    expect(plugins).to_contain_text("opens workspaces in 21 programs")
    expect(plugins).to_contain_text("allowed-images, allowed-resources, hourly-cost and workspace-limit")
