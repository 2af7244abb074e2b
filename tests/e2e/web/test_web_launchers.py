"""A plugin's launcher stands in the menu of a workspace's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from stead.api import Destination, LauncherSpec

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def _link(to: Destination) -> str:
    return f"lapce://ssh/{to.quoted_user}@{to.quoted_host}{to.quoted_folder}"


def test_a_launcher_of_a_plugin_is_in_the_menu(
    site: Any, visit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.core.plugins, "launchers", lambda: [LauncherSpec("lapce", "Lapce", _link)])
    workspace = site.running(site.template("launched", plain=True), "launched")
    site.connect(workspace)
    page = visit().open(f"/workspaces/{workspace.owner}/launched")
    page.get_by_text("Other editors").click()
    link = page.get_by_role("link", name="Lapce")
    expect(link).to_be_visible()
    href = str(link.get_attribute("href"))
    assert href.startswith("lapce://ssh/")
    assert "@launched.stead/" in href
