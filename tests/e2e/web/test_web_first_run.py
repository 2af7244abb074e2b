"""The first run, signing in and signing out; with and without scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser]

PASSWORD = "correct horse battery"


def _fill_owner(page: Page, **changes: str) -> None:
    values = {"username": "ada", "email": "ada@example.org", "password": PASSWORD, "again": PASSWORD, **changes}
    for name, value in values.items():
        page.fill(f"[name={name}]", value)


@pytest.mark.parametrize("javascript", [True, False])
def test_the_first_visitor_becomes_the_owner(fresh_visit: Callable[..., Any], javascript: bool) -> None:
    page = fresh_visit(signed_in=False, javascript=javascript).open("/")
    expect(page.get_by_role("heading", name="Welcome to Stead")).to_be_visible()
    _fill_owner(page)
    page.get_by_role("button", name="Create the owner").click()
    expect(page.get_by_role("heading", name="New template")).to_be_visible()
    page.goto(page.url.replace("/templates/new", "/setup"))
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()


def test_a_wrong_form_keeps_what_was_typed(fresh_visit: Callable[..., Any]) -> None:
    page = fresh_visit(signed_in=False).open("/setup")
    _fill_owner(page, again="something else")
    page.click("button[type=submit]")
    expect(page.locator("#f-again-problem")).to_contain_text("The two passwords differ")
    expect(page.locator("[name=username]")).to_have_value("ada")
    expect(page.locator("[name=password]")).to_have_value("")


def test_a_bad_username_is_told_while_typing(fresh_visit: Callable[..., Any]) -> None:
    page = fresh_visit(signed_in=False).open("/setup")
    page.locator("[name=username]").press_sequentially("ada lovelace")
    expect(page.locator("#f-username-problem")).to_have_text("Use letters, digits and single hyphens between them.")
    expect(page.locator("[name=username]")).to_have_attribute("aria-invalid", "true")
    page.fill("[name=username]", "ada")
    expect(page.locator("#f-username-problem")).to_be_hidden()


@pytest.mark.parametrize("javascript", [True, False])
def test_signing_in_leads_back_to_where_one_was(visit: Callable[..., Any], javascript: bool) -> None:
    page = visit(signed_in=False, javascript=javascript).open("/templates?q=x")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.fill("[name=login]", "ada")
    page.fill("[name=password]", "wrong")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("[name=login]")).to_have_value("ada")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    expect(page.get_by_role("heading", name="Templates")).to_be_visible()
    assert page.url.endswith("/templates?q=x")


def test_nobody_is_led_to_another_site(visit: Callable[..., Any]) -> None:
    page = visit(signed_in=False).open("/login?next=https://example.org/")
    page.fill("[name=login]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()


def test_signing_out_ends_the_session(visit: Callable[..., Any]) -> None:
    made = visit()
    page = made.open("/workspaces")
    page.click("summary.whoami")
    page.click("text=Sign out")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    made.open("/workspaces")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
