"""Workspaces in the browser: making one, watching it, getting in, stopping, deleting."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from stead.api.errors import ProviderFailure
from stead.domain.states import AgentLifecycle, JobKind
from stead.services import builds, jobs, work

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def docker(site: Any) -> Any:
    return site.template("docker", icon="/icon/docker.svg", description="A container.")


@pytest.fixture(scope="module")
def plain(site: Any) -> Any:
    return site.template("plain", plain=True)


def test_from_the_form_to_a_ready_workspace(site: Any, docker: Any, visit: Callable[..., Any]) -> None:
    page = visit().open("/templates/docker/workspace")
    page.fill("[name=name]", "first one")
    page.get_by_label("My own values").check()
    page.fill("[name='parameter.cpu']", "99")
    page.locator("[name='parameter.cpu']").blur()
    expect(page.locator("#p-cpu-problem")).to_have_text("99 is not between 1 and 8 cores.")
    page.get_by_role("button", name="Create and start").click()
    expect(page.locator("#f-name-problem")).to_have_text("Use letters, digits and single hyphens between them.")
    page.fill("[name=name]", "first-one")
    page.fill("[name='parameter.cpu']", "6")
    page.get_by_label("America").check()
    page.get_by_label("Docker inside").uncheck()
    page.get_by_label("Rust").check()
    page.get_by_label("Packages").fill("jq")
    page.keyboard.press("Enter")
    page.locator("[aria-label=Disk]").fill("80")
    page.get_by_role("button", name="Create and start").click()
    expect(page.get_by_role("heading", name="first-one")).to_be_visible()
    expect(page.locator(".glance .state")).to_have_text("Queued")

    claimed = site.claim(JobKind.BUILD)
    loaded = work.load(site.core, claimed)
    assert loaded.parameters == {
        "region": "us",
        "image": "debian",
        "repository": "",
        "dotfiles": "",
        "cpu": "6",
        "disk": "80",
        "docker": "false",
        "backup": "false",
        "tools": '["python", "rust"]',
        "packages": '["git", "tmux", "jq"]',
        "clean": "false",
    }
    jobs.stage(site.core, claimed, "applying")
    expect(page.locator(".glance .state")).to_have_text("Starting")
    expect(page.locator("[aria-current=step]")).to_have_text("Apply")
    site.log(claimed, ["docker_volume.home: Creating..."], "applying")
    expect(page.locator("stead-log .log-row >> visible=true")).to_contain_text("docker_volume.home: Creating...")
    jobs.release(site.core, claimed)
    site.build_next()
    workspace = site.again_by_name("first-one")
    expect(page.get_by_text("stead ssh first-one")).to_be_visible()
    site.connect(workspace)
    expect(page.locator(".glance .state")).to_have_text("Ready")
    expect(page.get_by_text("1.4 of 8 GB")).to_be_visible()
    expect(page.locator(".pill", has_text="Direct")).to_be_visible()


def test_the_server_has_the_last_word(site: Any, docker: Any, visit: Callable[..., Any]) -> None:
    made = visit(javascript=False)
    page = made.open("/templates/docker/workspace")
    page.fill("[name=name]", "kept")
    page.fill("[name='parameter.cpu']", "99")
    page.fill("[name='parameter.repository']", "ftp://x")
    page.get_by_label("America").check()
    page.get_by_role("button", name="Create and start").click()
    problems = page.locator(".form-problem >> visible=true")
    expect(problems).to_have_count(1)
    expect(page.locator("[name=name]")).to_have_value("kept")
    expect(page.locator("[name='parameter.cpu']")).to_have_value("99")
    expect(page.get_by_label("America")).to_be_checked()


def test_a_taken_name_is_told_at_the_field(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    site.running(plain, "taken")
    page = visit().open("/templates/plain/workspace")
    page.fill("[name=name]", "taken")
    page.get_by_role("button", name="Create and start").click()
    expect(page.locator("#f-name-problem")).to_contain_text("taken")
    expect(page.locator("[name=name]")).to_be_focused()


def test_a_preset_fills_the_form(docker: Any, visit: Callable[..., Any]) -> None:
    page = visit().open("/templates/docker/workspace")
    expect(page.locator("[name='parameter.cpu']")).to_have_value("2")
    page.get_by_label("Large").check()
    expect(page.locator("[name='parameter.cpu']")).to_have_value("8")
    expect(page.locator("[name='parameter.disk']")).to_have_value("120")
    expect(page.locator("[aria-label=Disk]")).to_have_value("120")
    expect(page.get_by_label("America")).to_be_checked()
    page.fill("[name='parameter.cpu']", "3")
    expect(page.get_by_label("My own values")).to_be_checked()


def test_the_list_changes_by_itself_and_gets_one_in(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    made = visit()
    made.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = made.open("/workspaces?q=listed")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    workspace = site.running(plain, "listed")
    row = page.locator("tr", has_text="listed")
    expect(row).to_be_visible()
    site.connect(workspace)
    expect(row.locator(".state")).to_have_text("Ready")
    row.get_by_role("button", name="Copy the SSH command").click()
    assert page.evaluate("navigator.clipboard.readText()") == "stead ssh listed"
    link = row.get_by_role("link", name="Open listed in VS Code")
    assert link.get_attribute("href") == "vscode://vscode-remote/ssh-remote+listed.stead/?windowId=_blank"


def test_searching_keeps_the_focus_and_the_address(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    site.running(plain, "needle")
    page = visit().open("/workspaces")
    box = page.get_by_role("searchbox", name="Search workspaces")
    box.press_sequentially("needl")
    expect(page.locator("#workspace-list tbody tr")).to_have_count(1)
    expect(box).to_be_focused()
    expect(page).to_have_url(re.compile(r"/workspaces\?q=needl$"))


def test_stopping_and_starting_again(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    workspace = site.running(plain, "cycle")
    site.connect(workspace)
    page = visit().open("/workspaces/ada/cycle")
    page.get_by_role("link", name="Stop", exact=True).click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("Running programs, terminals and connections end.")
    dialog.get_by_role("link", name="Keep it as it is").click()
    expect(page.get_by_role("heading", name="Stop cycle?")).to_be_hidden()
    page.get_by_role("link", name="Stop", exact=True).click()
    page.get_by_role("button", name="Stop the workspace").click()
    expect(page.locator(".glance .state")).to_have_text("Queued")
    site.build_next()
    expect(page.get_by_text("The workspace is stopped")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).first.click()
    expect(page.locator(".glance .state")).to_have_text("Queued")
    site.build_next()
    site.connect(workspace)
    expect(page.locator(".glance .state")).to_have_text("Ready")


def test_a_restart_stops_and_starts(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    workspace = site.running(plain, "again")
    page = visit().open("/workspaces/ada/again")
    page.get_by_role("link", name="Restart", exact=True).click()
    page.get_by_role("button", name="Restart the workspace").click()
    expect(page.locator(".glance .state")).to_have_text("Queued")
    site.build_next()
    site.build_next()
    assert site.again(workspace).latest_build.number == 3
    expect(page.get_by_role("heading", name="Start, build 3")).to_be_visible()


def test_deleting_asks_for_the_name(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    site.running(plain, "doomed")
    made = visit()
    page = made.open("/workspaces/ada/doomed")
    page.get_by_role("link", name="Delete", exact=True).click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("docker_container.workspace[0]")
    confirm = dialog.get_by_role("button", name="Delete for ever")
    dialog.get_by_label("Type doomed to confirm").fill("wrong")
    expect(confirm).to_be_disabled()
    dialog.get_by_label("Type doomed to confirm").fill("doomed")
    confirm.click()
    expect(page.locator(".glance .state")).to_have_text("Queued")
    site.build_next()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    made.open("/workspaces/ada/doomed")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def test_what_is_wrong_stands_on_the_page(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    site.workspace(plain, "broken")
    error = ProviderFailure("The image debian:99 does not exist.", remedy="Check the name.")
    site.fail_next(JobKind.BUILD, error, ["Error: no such image"])
    made = visit()
    page = made.open("/workspaces/ada/broken")
    expect(page.get_by_role("alert")).to_contain_text("The image debian:99 does not exist. Check the name.")
    page.get_by_role("link", name="Open the log").click()
    expect(page.get_by_text("Error: no such image")).to_be_visible()
    troubled = site.running(plain, "troubled")
    site.connect(troubled, AgentLifecycle.START_ERROR)
    made.open("/workspaces/ada/troubled")
    expect(page.locator(".notice", has_text="Startup script failed")).to_be_visible()
    expect(page.get_by_text("Cloning into 'project'...")).to_be_visible()


def test_a_build_can_be_canceled(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    site.workspace(plain, "canceled")
    page = visit().open("/workspaces/ada/canceled")
    page.get_by_role("link", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the build").click()
    expect(page.locator(".glance .state")).to_have_text("Canceled")


def test_parameters_of_an_existing_workspace(site: Any, docker: Any, visit: Callable[..., Any]) -> None:
    workspace = site.running(docker, "tuned")
    page = visit().open("/workspaces/ada/tuned/parameters")
    expect(page.get_by_label("CPU")).to_have_value("4")
    page.get_by_label("CPU").fill("8")
    page.get_by_role("button", name="Apply and restart").click()
    expect(page.locator(".glance .state")).to_have_text("Queued")
    assert site.again(workspace).latest_build.parameters["cpu"] == "8"
    site.build_next()


def test_only_a_stopped_workspace_is_renamed(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    workspace = site.running(plain, "oldname")
    made = visit()
    page = made.open("/workspaces/ada/oldname/settings")
    page.fill("[name=name]", "newname")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator("#f-name-problem")).to_contain_text("Stop the workspace first.")
    expect(page.locator("[name=name]")).to_have_value("newname")
    builds.create(site.core, site.actor(), workspace.id, "stop")
    site.build_next()
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="newname")).to_be_visible()


def test_everything_can_be_reached_with_the_keyboard(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    site.running(plain, "keyed")
    page = visit().open("/workspaces")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Search workspaces, templates and pages")).to_be_focused()
    page.keyboard.type("keyed")
    expect(page.locator("#palette-results [aria-selected=true]")).to_contain_text("keyed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="keyed")).to_be_visible()
    page.get_by_role("link", name="Stop", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Stop keyed?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Stop", exact=True)).to_be_focused()


def test_the_theme_follows_the_system_and_can_be_chosen(visit: Callable[..., Any]) -> None:
    made = visit(theme="dark")
    page = made.open("/workspaces")
    dark = "oklch(0.175 0.012 275)"
    light = "oklch(0.984 0.003 280)"
    body = page.locator("body")
    expect(body).to_have_css("background-color", dark)
    page.click("summary.whoami")
    page.get_by_role("button", name="Light").click()
    expect(body).to_have_css("background-color", light)
    made.open("/templates")
    expect(body).to_have_css("background-color", light)
    page.click("summary.whoami")
    page.get_by_role("button", name="System").click()
    expect(body).to_have_css("background-color", dark)


def test_a_lost_connection_is_told_and_comes_back(site: Any, plain: Any, visit: Callable[..., Any]) -> None:
    site.running(plain, "offline")
    made = visit()
    page = made.open("/workspaces/ada/offline")
    expect(page.locator(".offline")).to_be_hidden()
    made.context.route("**/api/v2/**", lambda route: route.abort())
    made.context.route("**/workspaces/ada/offline", lambda route: route.abort())
    page.evaluate("document.querySelector('stead-live').connectedCallback()")
    expect(page.locator(".offline")).to_be_visible()
    made.context.unroute("**/api/v2/**")
    made.context.unroute("**/workspaces/ada/offline")
    expect(page.locator(".offline")).to_be_hidden(timeout=20_000)
