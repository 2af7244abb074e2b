"""Templates in the browser: uploads, imports that fail and succeed, versions."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from stead.api.errors import TemplateInvalid
from stead.domain.states import JobKind

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A template as people upload it."""
    path = tmp_path / "My Template.tar.gz"
    content = b'resource "null_resource" "x" {}\n'
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo("main.tf")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return path


def test_from_an_archive_to_a_template(site: Any, archive: Path, visit: Callable[..., Any]) -> None:
    page = visit().open("/templates")
    page.get_by_role("link", name="Add the first template").click()
    expect(page.get_by_text("tar.zst or zip, at most 10 MB")).to_be_visible()  # as max_archive_bytes says
    page.set_input_files("[name=archive]", archive)
    expect(page.locator("[data-drop-text]")).to_contain_text("My Template.tar.gz")
    expect(page.locator("[name=name] >> visible=true")).to_have_value("my-template")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.locator("#version-live .state")).to_have_text("Queued")
    site.fail_next(
        JobKind.TEMPLATE_IMPORT,
        TemplateInvalid("main.tf:1: Unsupported block type."),
        ["Error: Unsupported block type", "  on main.tf line 1"],
    )
    expect(page.get_by_role("alert")).to_contain_text("main.tf:1: Unsupported block type.")
    expect(page.get_by_text("on main.tf line 1")).to_be_visible()

    page.get_by_role("link", name="Upload it again").click()
    page.set_input_files("[name=archive]", archive)
    page.get_by_role("button", name="Upload and check").click()
    expect(page.locator("#version-live .state")).to_have_text("Queued")
    site.import_next()
    expect(page.get_by_role("heading", name="It imports. Make it a template")).to_be_visible()
    expect(page.locator("[name=name]")).to_have_value("my-template")
    page.get_by_role("button", name="Create the template").click()
    expect(page.get_by_role("heading", name="my-template")).to_be_visible()
    expect(page.get_by_text("Develop in a container on")).to_be_visible()
    assert page.title() != "not ours"


def test_nothing_chosen_is_told(visit: Callable[..., Any]) -> None:
    page = visit().open("/templates/new")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.locator("#f-archive-problem")).to_have_text("Choose an archive, or one of the starters.")
    page.get_by_text("Version and variables").click()
    page.get_by_label("Terraform variables").fill("no equals sign")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.locator("#f-variables-problem")).to_contain_text("Line 1")
    expect(page.get_by_label("Terraform variables")).to_have_value("no equals sign")


def test_a_starter_is_one_click(site: Any, visit: Callable[..., Any]) -> None:
    page = visit().open("/templates/new")
    page.get_by_role("button", name="Use this starter").first.click()
    expect(page.locator("#version-live .state")).to_have_text("Queued")
    site.import_next()
    expect(page.get_by_role("heading", name="It imports. Make it a template")).to_be_visible()


def test_a_new_version_is_made_active(site: Any, archive: Path, visit: Callable[..., Any]) -> None:
    template = site.template("versioned", plain=True)
    page = visit().open("/templates/versioned")
    page.get_by_role("link", name="New version").click()
    page.set_input_files("[name=archive]", archive)
    page.get_by_text("Version and variables").click()
    page.get_by_label("Version name").fill("v2")
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("heading", name="Version v2")).to_be_visible()
    site.import_next()
    page.get_by_role("button", name="Make active").click()
    expect(page.locator("tr", has_text="v2").locator(".pill", has_text="active")).to_be_visible()
    workspace = site.running(template, "updated")
    assert workspace.latest_build.template_version_name == "v2"


def test_a_workspace_tells_of_a_newer_version(site: Any, visit: Callable[..., Any]) -> None:
    template = site.template("moving", plain=True)
    workspace = site.running(template, "behind")
    version = site.upload(name="newer", template=template.id)
    site.import_next()
    site.promote(template, version)
    page = visit().open("/workspaces/ada/behind")
    page.get_by_role("button", name="Update and restart").click()
    expect(page.locator(".glance .state")).to_have_text("Queued")
    assert site.again(workspace).latest_build.template_version_name == "newer"
    site.build_next()


def test_settings_and_deletion(site: Any, visit: Callable[..., Any]) -> None:
    site.template("passing", plain=True)
    page = visit().open("/templates/passing/settings")
    page.get_by_label("Title").fill("In Passing")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="In Passing")).to_be_visible()
    expect(page.get_by_text("The template was changed.")).to_be_visible()
    page.get_by_role("link", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete for ever").click()
    expect(page.get_by_role("heading", name="Templates")).to_be_visible()
    expect(page.get_by_text("The template passing was deleted.")).to_be_visible()
