"""Tokens, passwords and the people of a deployment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PASSWORD = "correct horse battery"


def test_a_token_works_until_it_is_deleted(site: Any, visit: Callable[..., Any]) -> None:
    page = visit().open("/settings/tokens")
    expect(page.get_by_text("No token yet")).to_be_visible()
    page.get_by_label("Name").fill("ci")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("Copy it now")).to_be_visible()
    secret = page.locator(".copy code").inner_text()
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{site.url}/api/v2/users/me", headers=headers).status_code == 200
    page.get_by_label("Name").fill("ci")
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#f-name-problem")).to_contain_text("You have a token named ci already.")
    assert secret not in page.content()
    page.get_by_role("link", name="Delete the token ci").click()
    page.locator("dialog[open]").get_by_role("button", name="Delete the token").click()
    expect(page.get_by_text("It opens nothing any more.")).to_be_visible()
    assert httpx.get(f"{site.url}/api/v2/users/me", headers=headers).status_code == 401


def test_a_password_is_changed(site: Any, visit: Callable[..., Any]) -> None:
    page = visit(site.person("changer")).open("/settings/password")
    page.get_by_label("Password now").fill("wrong")
    page.get_by_label("New password").fill("another long one")
    page.get_by_label("The new one again").fill("another long one")
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("#f-old-problem")).to_have_text("The old password is wrong.")
    page.get_by_label("Password now").fill(PASSWORD)
    page.get_by_label("New password").fill("short")
    page.get_by_label("The new one again").fill("short")
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("#f-new-problem")).to_contain_text("too short")


def test_somebody_is_invited_promoted_and_suspended(site: Any, visit: Callable[..., Any]) -> None:
    page = visit().open("/users")
    page.get_by_role("link", name="New user").click()
    page.get_by_label("Username").fill("ada")
    page.get_by_label("E-mail").fill("katherine@example.org")
    page.get_by_label("First password").fill(PASSWORD)
    page.get_by_label("Auditor").check()
    page.get_by_role("button", name="Create the user").click()
    expect(page.locator("#f-username-problem")).to_contain_text("taken")
    expect(page.get_by_label("Auditor")).to_be_checked()
    page.get_by_label("Username").fill("katherine")
    page.get_by_label("First password").fill(PASSWORD)
    page.get_by_role("button", name="Create the user").click()
    expect(page.get_by_text("katherine can sign in now.")).to_be_visible()
    page.get_by_role("link", name="katherine").click()
    page.get_by_label("Template admin").check()
    page.get_by_role("button", name="Save the roles").click()
    expect(page.get_by_text("The roles of katherine were changed.")).to_be_visible()
    expect(page.get_by_label("Template admin")).to_be_checked()
    page.get_by_role("link", name="Suspend").click()
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text("katherine cannot sign in any more.")).to_be_visible()
    page.get_by_role("button", name="Let in again").click()
    expect(page.get_by_text("katherine can sign in again.")).to_be_visible()


def test_the_last_owner_stays(visit: Callable[..., Any]) -> None:
    page = visit().open("/users/ada")
    page.get_by_label("Owner", exact=False).first.uncheck()
    page.get_by_role("button", name="Save the roles").click()
    expect(page.get_by_role("alert")).to_contain_text("This is the last active owner.")


def test_a_form_of_another_site_is_refused(site: Any) -> None:
    cookies = {"stead_session": site.session()}
    form = {"name": "stolen", "days": "30"}
    without = httpx.post(f"{site.url}/settings/tokens", data=form, cookies=cookies)
    assert without.status_code == 403
    foreign = httpx.post(
        f"{site.url}/settings/tokens", data=form, cookies=cookies, headers={"Origin": "https://evil.example"}
    )
    assert foreign.status_code == 403
