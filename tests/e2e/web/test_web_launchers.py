"""A plugin's launcher stands in the menu of a workspace's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from stead.api import Destination, LauncherSpec
from stead.testing.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def _link(to: Destination) -> str:
    return f"lapce://ssh/{to.quoted_user}@{to.quoted_host}{to.quoted_folder}"


def test_a_launcher_of_a_plugin_is_in_the_menu(
    site: Any, visit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_lapce = [*site.core.plugins.launchers(), LauncherSpec("lapce", "Lapce", _link)]
    monkeypatch.setattr(site.core.plugins, "launchers", lambda: with_lapce)
    workspace = site.running(site.template("launched", plain=True), "launched")
    site.connect(workspace)
    page = visit().open(f"/workspaces/{workspace.owner}/launched")
    # While the agent's first reports come in, the block is drawn anew, and a menu in it may close again.
    expect(page.get_by_text("1.4 of 8 GB")).to_be_visible()
    link = page.get_by_role("link", name="Lapce")
    eventually(lambda: link.is_visible() or page.get_by_text("Other editors").click(), 20, interval=0.5)
    hidden = page.get_by_role("link", name="Lapce", include_hidden=True)
    href = str(hidden.get_attribute("href"))
    assert href.startswith("lapce://ssh/")
    assert "@launched.stead/" in href
    expect(page.get_by_role("link", name="Open in VS Code", exact=True)).to_be_visible()
    families = page.locator(".menu-items p.menu-title").all_inner_texts()
    assert [family for family in families if family in ("The VS Code family", "JetBrains", "More")] == [
        "The VS Code family",
        "JetBrains",
        "More",
    ]
