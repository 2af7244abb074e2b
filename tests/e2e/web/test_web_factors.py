"""Second factors in a browser: an authenticator, a passkey, recovery codes; on the page and at the sign-in."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyotp
import pytest
from playwright.sync_api import Page, expect

PASSWORD = "correct horse battery"
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def site(named_site: Any) -> Any:
    """Passkeys need a host name."""
    return named_site


def type_password(page: Page, button: str) -> None:
    form = page.locator("form", has=page.get_by_role("button", name=button))
    form.get_by_label("Your password").fill(PASSWORD)
    form.get_by_role("button", name=button).click()


def sign_in(page: Page, site: Any, username: str, then: str = "/") -> None:
    page.goto(f"{site.url}/login?next={quote(then, safe='')}")
    page.get_by_label("Username or e-mail").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def add_authenticator(page: Page) -> tuple[pyotp.TOTP, list[str]]:
    type_password(page, "Add an authenticator")
    expect(page.locator(".qr svg")).to_be_visible()
    totp = pyotp.TOTP(page.locator(".copy code").inner_text())
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("The code is wrong")).to_be_visible()
    page.get_by_label("Code", exact=True).fill(totp.at(int(time.time())))
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("Phone was added.")).to_be_visible()
    return totp, page.get_by_role("list", name="Recovery codes").locator("li").all_inner_texts()


def test_an_authenticator_and_its_recovery_codes(site: Any, visit: Callable[..., Any], tmp_path: Path) -> None:
    visitor = visit(site.person("olga"))
    page = visitor.open("/settings/security")
    expect(page.get_by_text("Only your password protects this account")).to_be_visible()
    totp, codes = add_authenticator(page)
    assert len(codes) == 10
    page.screenshot(path=tmp_path / "recovery-codes.png")

    stranger = visit(signed_in=False)
    sign_in(stranger.page, site, "olga")
    expect(stranger.page.get_by_role("heading", name="One more step")).to_be_visible()
    stranger.page.screenshot(path=tmp_path / "second-step.png")
    stranger.page.goto(f"{site.url}/workspaces")
    expect(stranger.page.get_by_role("heading", name="Sign in")).to_be_visible()  # a password alone opens nothing
    stranger.page.goto(f"{site.url}/login/factor")
    stranger.page.get_by_label("Code", exact=True).fill(totp.at(int(time.time()) + 300))
    stranger.page.get_by_role("button", name="Sign in").click()
    expect(stranger.page.get_by_text("The code is wrong")).to_be_visible()
    stranger.page.get_by_label("Code", exact=True).fill(codes[0])
    stranger.page.get_by_role("button", name="Sign in").click()
    expect(stranger.page.get_by_role("heading", name="Workspaces")).to_be_visible()

    page.goto(f"{site.url}/settings/security")
    expect(page.get_by_text("9 of them are left")).to_be_visible()
    page.get_by_role("link", name="Remove Phone").click()
    type_password(page, "Remove")
    expect(page.get_by_text("Only your password protects this account")).to_be_visible()
    for one in (visitor, stranger):
        one.errors[:] = [error for error in one.errors if "400" not in error and "401" not in error]


def test_a_passkey_as_second_step_and_alone(site: Any, visit: Callable[..., Any], tmp_path: Path) -> None:
    visitor = visit(site.person("pia"))
    devices = visitor.context.new_cdp_session(visitor.page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page = visitor.open("/settings/security")
    type_password(page, "Add a passkey")
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Create the passkey").click()
    expect(page.get_by_text("Laptop was added.")).to_be_visible()
    page.screenshot(path=tmp_path / "passkey.png")

    visitor.context.clear_cookies()
    sign_in(page, site, "pia", "/workspaces?q=a%26b")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    assert page.url.endswith("/workspaces?q=a%26b")

    visitor.context.clear_cookies()
    page.goto(f"{site.url}/login?next=/settings/tokens")
    page.screenshot(path=tmp_path / "login.png")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    assert page.url.endswith("/settings/tokens")


def test_who_has_no_passkey_is_told(site: Any, visit: Callable[..., Any]) -> None:
    visitor = visit(signed_in=False)
    devices = visitor.context.new_cdp_session(visitor.page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page = visitor.open("/login")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("No passkey was used.")).to_be_visible()


def test_who_has_to_have_one_sets_it_up_on_the_way_in(demanding_site: Any, browser: Any, tmp_path: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, demanding_site, "ada", "/settings/tokens")
    expect(page.get_by_role("heading", name="Add a second factor")).to_be_visible()
    expect(page.locator(".qr svg")).to_be_visible()
    page.screenshot(path=tmp_path / "enrol.png", full_page=True)
    page.set_viewport_size({"width": 360, "height": 740})
    page.screenshot(path=tmp_path / "enrol-narrow.png", full_page=True)
    page.goto(f"{demanding_site.url}/workspaces")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()  # nothing else is open
    page.goto(f"{demanding_site.url}/login/enrol?next=/settings/tokens")
    totp = pyotp.TOTP(page.locator(".copy code").inner_text())
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Add it and sign in").click()
    expect(page.get_by_text("The code is wrong")).to_be_visible()
    page.get_by_label("Code", exact=True).fill(totp.at(int(time.time())))
    page.get_by_role("button", name="Add it and sign in").click()
    expect(page.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
    assert page.get_by_role("list", name="Recovery codes").locator("li").count() == 10
    page.screenshot(path=tmp_path / "enrolled.png", full_page=True)
    page.get_by_role("link", name="go on").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    assert page.url.endswith("/settings/tokens")
    page.goto(f"{demanding_site.url}/identity")
    expect(page.get_by_text("demanded of everybody")).to_be_visible()
    expect(page.get_by_text("none of them without a second factor")).to_be_visible()
    page.screenshot(path=tmp_path / "identity.png", full_page=True)
    context.close()


def test_a_passkey_is_set_up_on_the_way_in(demanding_site: Any, browser: Any) -> None:
    demanding_site.person("pia")
    context = browser.new_context()
    page = context.new_page()
    devices = context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    sign_in(page, demanding_site, "pia")
    page.get_by_role("button", name="Create a passkey instead").click()
    expect(page.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
    page.get_by_role("link", name="go on").click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    context.clear_cookies()
    sign_in(page, demanding_site, "pia")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible()
    context.close()
