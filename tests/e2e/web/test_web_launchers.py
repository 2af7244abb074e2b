"""A plugin's launcher stands in the menu of a workspace's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from stead.api import Destination, LauncherSpec
from stead.services.presence import MetadataValue

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
    page.get_by_text("Other editors").click()
    link = page.get_by_role("link", name="Lapce")
    expect(link).to_be_visible()
    href = str(link.get_attribute("href"))
    assert href.startswith("lapce://ssh/")
    assert "@launched.stead/" in href
    expect(page.get_by_role("link", name="Open in VS Code", exact=True)).to_be_visible()
    families = page.locator(".menu-items p.menu-title").all_inner_texts()
    assert [family for family in families if family in ("The VS Code family", "JetBrains", "More")] == [
        "The VS Code family",
        "JetBrains",
        "More",
    ]


def test_a_live_update_leaves_menus_focus_and_scroll_as_they_are(site: Any, visit: Callable[..., Any]) -> None:
    workspace = site.running(site.template("steady", plain=True), "steady")
    agent = site.connect(workspace)
    page = visit().open(f"/workspaces/{workspace.owner}/steady")

    def report(value: str) -> None:
        site.core.presence.set_metadata(agent.id, {"memory": MetadataValue(value, "", site.core.clock.now())})
        site.core.bus.publish(f"agent:{agent.id}", {"metadata": ["memory"]})
        expect(page.get_by_text(value)).to_be_visible(timeout=20_000)

    own_ways = page.locator(f"#ways-{agent.id}")
    own_ways.locator("summary").click()
    menu = page.locator(f"#editors-{agent.id}")
    menu.locator("summary").click()
    item = menu.get_by_role("link").last
    item.focus()
    page.evaluate("scrollTo(0, 120)")
    scrolled = page.evaluate("scrollY")
    for value in ("2.1 of 8 GB", "2.2 of 8 GB", "2.3 of 8 GB"):
        report(value)
        expect(item).to_be_visible()
        expect(item).to_be_focused()
        expect(own_ways).to_have_attribute("open", "")
        assert page.evaluate("scrollY") == scrolled
    page.keyboard.press("Escape")
    expect(item).to_be_hidden()
    report("2.4 of 8 GB")
    expect(item).to_be_hidden()
