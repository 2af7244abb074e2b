"""People of a provider, as an administrator and they themselves see it: approval, mapping, sessions, a password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from stead_oidc_peer.openid import PEOPLE, SECRET, OpenidPeer, client

from stead.testing.deployment import PASSWORD, USERNAME, Deployment
from stead.testing.left_out import leave_out
from stead.testing.waiting import eventually, find_free_port

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE = 60.0
NEW_PASSWORD = "staple battery horse 9"

SETTINGS = """
[identity.corp]
kind = "oidc"
title = "Example Corp"
sign_up = "open"
approval = true
issuer = "{issuer}"
client_id = "stead"
client_secret_file = "{folder}/corp.secret"
scopes = ["openid", "profile", "email", "groups", "offline_access"]
extra_parameters = {{ prompt = "login consent" }}
groups_claim = "groups"
roles_claim = "realm_access.roles"
groups = {{ "eng-*" = "engineering" }}
group_patterns = ["guild-*"]
default_groups = ["everybody"]
roles = {{ "platform-*" = ["template-admin"] }}
default_roles = ["auditor"]
sync_interval = 1
timeout = 60
"""


@dataclass
class World:
    stead: Deployment
    openid: OpenidPeer
    folder: Path

    def know(self, login: str, **claims: object) -> None:
        usual = {**PEOPLE["ada"], "preferred_username": login, "email": f"{login}@example.com"}
        self.openid.know(**{login: {**usual, **claims}})

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``stead``, signed in as the owner."""
        mine = {"STEAD_URL": self.stead.url, "STEAD_TOKEN": self.stead.token, "STEAD_CONFIG_DIR": str(self.folder)}
        asked = [sys.executable, "-m", "stead.cli.main", *arguments]
        environment = {**os.environ, **mine, "NO_COLOR": "1"}
        return subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False, env=environment)

    def asked(self, *arguments: str) -> Any:
        done = self.command(*arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def groups(self, username: str) -> set[str]:
        names = [one["name"] for one in self.asked("groups", "list")]
        return {name for name in names if username in self._members(name)}

    def _members(self, group: str) -> set[str]:
        """Nobody, where the group has gone since it was listed."""
        done = self.command("groups", "members", group, "-o", "json")
        assert done.returncode in (0, 4), done.stderr
        return {member["username"] for member in json.loads(done.stdout)} if done.returncode == 0 else set()


@pytest.fixture(scope="module")
def world(npm_peers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("administration")
    stead = Deployment(folder / "data", find_free_port(), find_free_port(), environment={"STEAD_PROVISIONERS": "0"})
    registered = client("stead", redirect_uris=[f"{stead.url}/sign-in/corp/callback"])
    (folder / "corp.secret").write_text(f"{SECRET}\n")
    with OpenidPeer(folder / "openid", [registered]) as openid:
        (folder / "stead.toml").write_text(SETTINGS.format(issuer=openid.issuer, folder=folder))
        stead.environment = {**stead.environment, "STEAD_CONFIG": str(folder / "stead.toml")}
        with stead:
            stead.create_owner()
            yield World(stead, openid, folder)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        leave_out("Chromium", "install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def window(chromium: Browser) -> Page:
    """Of a browser that nobody is signed in with."""
    page = chromium.new_context(viewport={"width": 1100, "height": 760}).new_page()
    page.set_default_timeout(PATIENCE * 1000)
    return page


def at_the_provider(page: Page, login: str) -> None:
    page.get_by_placeholder("Enter any login").fill(login)
    page.get_by_placeholder("and password").fill("x")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def come_in(page: Page, world: World, login: str) -> None:
    page.goto(f"{world.stead.url}/login")
    page.get_by_role("link", name="Continue with Example Corp").click()
    at_the_provider(page, login)


def with_password(page: Page, world: World, username: str, password: str) -> None:
    page.goto(f"{world.stead.url}/login")
    more = page.get_by_text("Sign in with a password")
    if more.count():
        more.click()
    page.get_by_label("Username or e-mail").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def inside(page: Page) -> None:
    expect(page.get_by_role("heading", name="Workspaces")).to_be_visible(timeout=PATIENCE * 1000)


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_from_the_first_sign_in_to_a_password_and_back(world: World, chromium: Browser, tmp_path: Path) -> None:
    world.know("ines", groups=["eng-web", "guild-rust", "secret"], realm_access={"roles": ["platform-team"]})
    person, admin = window(chromium), window(chromium)

    # Sign-up waits for approval, and says so.
    come_in(person, world, "ines")
    expect(person.get_by_role("heading", name="You are almost in")).to_be_visible()
    expect(person.get_by_text("Your account waits for approval")).to_be_visible()
    person.screenshot(path=tmp_path / "1-waits.png")
    with_password(admin, world, USERNAME, PASSWORD)
    inside(admin)
    admin.goto(f"{world.stead.url}/users")
    admin.screenshot(path=tmp_path / "2-users.png")
    admin.get_by_role("link", name="ines").first.click()
    expect(admin.get_by_text("pending")).to_be_visible()
    admin.screenshot(path=tmp_path / "3-pending.png", full_page=True)
    admin.get_by_role("button", name="Let in").click()
    expect(admin.get_by_text("ines can sign in now.")).to_be_visible()

    # Roles and groups by patterns and defaults.
    come_in(person, world, "ines")
    inside(person)
    found = world.stead.get("/users/ines")
    assert set(found["roles"]) == {"member", "template-admin", "auditor"}
    assert world.groups("ines") == {"engineering", "guild-rust", "everybody"}
    refused = world.command("groups", "remove", "engineering", "ines")
    assert refused.returncode == 5, refused
    assert "comes from corp" in refused.stderr
    admin.goto(f"{world.stead.url}/groups")
    admin.screenshot(path=tmp_path / "4-groups.png", full_page=True)
    admin.get_by_role("link", name="engineering").click()
    expect(admin.get_by_text("This group comes from corp")).to_be_visible()
    admin.screenshot(path=tmp_path / "5-group.png", full_page=True)

    # They follow the provider while somebody is signed in.
    world.know("ines", groups=["guild-rust"], realm_access={"roles": []})
    eventually(lambda: world.groups("ines") == {"guild-rust", "everybody"}, PATIENCE, what="the groups to follow")
    assert set(world.stead.get("/users/ines")["roles"]) == {"member", "auditor"}

    # Sessions are seen, and ended from elsewhere.
    admin.goto(f"{world.stead.url}/users/ines")
    admin.screenshot(path=tmp_path / "6-person.png", full_page=True)
    (session,) = world.asked("sessions", "list", "--user", "ines")
    assert session["provider"] == "corp"
    person.goto(f"{world.stead.url}/settings/sessions")
    expect(person.get_by_text("this browser")).to_be_visible()
    person.screenshot(path=tmp_path / "7-sessions.png", full_page=True)
    assert world.command("sessions", "end", session["id"], "--user", "ines").returncode == 0
    person.reload()
    expect(person.get_by_role("heading", name="Sign in")).to_be_visible()
    come_in(person, world, "ines")
    inside(person)
    admin.reload()
    admin.get_by_role("button", name="Sign out 127.0.0.1").click()
    expect(admin.get_by_text("That browser is signed out.")).to_be_visible()
    person.reload()
    expect(person.get_by_role("heading", name="Sign in")).to_be_visible()

    # An administrator gives the account a password, and its owner goes back to the provider.
    admin.get_by_label("Password").fill(NEW_PASSWORD)
    admin.get_by_role("button", name="Use the password from now on").click()
    expect(admin.get_by_text("ines signs in with the password from now on")).to_be_visible()
    with_password(person, world, "ines", NEW_PASSWORD)
    inside(person)
    assert world.groups("ines") == set()
    person.goto(f"{world.stead.url}/settings/sign-in")
    person.screenshot(path=tmp_path / "8-sign-in.png", full_page=True)
    person.get_by_label("Your password here").fill(NEW_PASSWORD)
    person.get_by_role("button", name="Continue with Example Corp").click()
    at_the_provider(person, "ines")
    expect(person.get_by_text("You sign in with Example Corp from now on.")).to_be_visible()
    person.screenshot(path=tmp_path / "9-tied.png", full_page=True)
    found = world.stead.get("/users/ines")
    assert (found["provider"], found["login_type"]) == ("corp", "federated")
    assert world.groups("ines") == {"guild-rust", "everybody"}
    said = [row["action"] for row in world.stead.get("/audit", limit=100)["items"]]
    wanted = {"signed up", "activated", "changed groups", "changed roles", "given a password", "tied to a provider"}
    assert wanted <= set(said)
