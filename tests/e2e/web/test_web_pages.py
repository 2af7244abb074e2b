"""Every page: light, dark and narrow, without anything that axe-core finds, and within the width of the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stead.api.errors import ProviderFailure, TemplateInvalid
from stead.domain.states import AgentLifecycle, JobKind
from stead.services import builds, jobs
from stead.web import build_assets

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

MODES = {"light": (1280, "light"), "dark": (1280, "dark"), "narrow": (360, "light"), "wide": (3840, "dark")}


@pytest.fixture(scope="module")
def paths(site: Any) -> dict[str, str]:
    """A deployment in which everything has happened once; the address of each page."""
    docker = site.template("docker", icon="/icon/docker.svg", description="A container on one machine.")
    plain = site.template("plain", plain=True)
    site.person("grace")
    ready = site.running(docker, "ready")
    site.connect(ready)
    site.connect(site.running(plain, "troubled"), AgentLifecycle.START_ERROR)
    stopped = site.running(plain, "stopped")
    builds.create(site.core, site.actor(), stopped.id, "stop")
    site.build_next()
    site.workspace(plain, "failed")
    site.fail_next(JobKind.BUILD, ProviderFailure("The image does not exist.", remedy="Check its name."), ["Error"])
    site.running(plain, "connecting")
    site.workspace(plain, "building")
    claimed = site.claim(JobKind.BUILD)
    jobs.stage(site.core, claimed, "planning")
    broken = site.upload(message="Broken")
    site.fail_next(JobKind.TEMPLATE_IMPORT, TemplateInvalid("main.tf:3: Unsupported argument."), ["Error"])
    imported = site.upload(message="Good")
    site.import_next()
    pages = ["/workspaces", "/workspaces?owner=all", "/workspaces?q=nothing-like-that", "/workspaces/new?choose=1"]
    pages += ["/templates/docker/workspace", "/templates", "/templates/new", "/templates/docker"]
    pages += [
        f"/templates/docker/{tab}" for tab in ("parameters", "versions", "settings", "ask/delete", "versions/new")
    ]
    pages += ["/settings", "/settings/tokens", "/settings/password", "/settings/security"]
    pages += ["/users", "/users/grace", "/users/new"]
    pages += ["/users/grace/ask/suspend", "/audit", "/deployment", "/nothing-here"]
    pages += [f"/workspaces/ada/{one}" for one in ("ready", "troubled", "stopped", "failed", "connecting", "building")]
    pages += [f"/workspaces/ada/ready/{tab}" for tab in ("builds", "parameters", "settings")]
    pages += [f"/workspaces/ada/ready/ask/{one}" for one in ("stop", "restart", "delete")]
    pages += [f"/builds/{site.again(ready).latest_build.id}"]
    pages += [f"/template-versions/{broken.id}", f"/template-versions/{imported.id}"]
    return {path: path for path in pages}


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's script, from the packages that the assets were built with."""
    found = list(build_assets._cache().glob("*/node_modules/axe-core/axe.min.js"))
    assert found, "the assets were built without axe-core"
    return Path(found[0]).read_text()


@pytest.mark.parametrize("mode", MODES)
def test_pages_are_accessible_and_fit(mode: str, paths: dict[str, str], axe: str, visit: Callable[..., Any]) -> None:
    width, theme = MODES[mode]
    made = visit(width=width, theme=theme)
    wrong = []
    for path in paths:
        page = made.open(path)
        page.locator("html.js").wait_for()
        page.wait_for_load_state("load")
        page.evaluate("document.fonts.ready")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{path} is wider than the screen")
        if page.locator("h1").count() != 1:
            wrong.append(f"{path} has {page.locator('h1').count()} h1")
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        for violation in found["violations"]:
            wrong.append(f"{path}: {violation['id']}: {violation['nodes'][0]['html'][:160]}")
    assert wrong == []


def test_dialogs_and_the_search_are_accessible(paths: dict[str, str], axe: str, visit: Callable[..., Any]) -> None:
    made = visit()
    page = made.open("/workspaces/ada/ready")
    for opener in ("Restart", "Stop", "Delete"):
        page.get_by_role("link", name=opener, exact=True).click()
        page.wait_for_selector("dialog[open]")
        page.evaluate(axe)
        found = page.evaluate("axe.run(document.querySelector('dialog[open]'), {resultTypes: ['violations']})")
        assert [one["id"] for one in found["violations"]] == []
        page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.wait_for_selector("#palette-results [role=option]")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document.querySelector('#palette'), {resultTypes: ['violations']})")
    assert [one["id"] for one in found["violations"]] == []


def test_a_member_sees_no_page_of_others(site: Any, paths: dict[str, str], visit: Callable[..., Any]) -> None:
    member = site.person("linus")
    made = visit(member)
    page = made.open("/workspaces")
    assert page.locator(".rail-title").count() == 0
    for path in ("/users", "/users/new", "/audit", "/deployment", "/templates/new"):
        made.open(path)
        assert page.locator("h1").inner_text() == "This is not yours to open", path
    made.open("/workspaces/ada/ready")
    assert page.locator("h1").inner_text() == "There is nothing here"


def test_pages_can_be_read_without_scripts(paths: dict[str, str], visit: Callable[..., Any]) -> None:
    made = visit(javascript=False)
    page = made.open("/workspaces/ada/ready")
    assert "Apply complete!" in page.locator(".log-plain").last.inner_text()
    assert page.locator(".needs-js >> visible=true").count() == 0
    page.get_by_role("link", name="Stop", exact=True).click()
    assert page.get_by_role("button", name="Stop the workspace").is_visible()
