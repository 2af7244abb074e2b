"""Whole sign-ins through a running Stead, with a scripted browser and with Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from stead_oidc_peer.github import CLIENT_ID, GithubPeer, Someone
from stead_oidc_peer.github import SECRET as GITHUB_SECRET
from stead_oidc_peer.openid import PEOPLE, SECRET, Browser, OpenidPeer, client

from stead.testing.deployment import PASSWORD, USERNAME, Deployment
from stead.testing.left_out import leave_out
from stead.testing.waiting import eventually

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE = 60.0

SETTINGS = """
[identity.corp]
kind = "oidc"
title = "Example Corp"
order = 1
sign_up = "groups"
sign_up_groups = ["engineering"]
issuer = "{issuer}"
client_id = "stead"
client_secret_file = "{folder}/corp.secret"
scopes = ["openid", "profile", "email", "groups", "offline_access"]
extra_parameters = {{ prompt = "login consent" }}
groups_claim = "groups"
roles_claim = "realm_access.roles"
sync_interval = 1
timeout = 60

[identity.posted]
kind = "oidc"
title = "Posting Corp"
order = 3
sign_up = "open"
issuer = "{issuer}"
client_id = "posted"
client_secret_file = "{folder}/corp.secret"
response_mode = "form_post"
extra_parameters = {{ prompt = "login" }}
timeout = 60

[identity.github]
kind = "github"
title = "GitHub"
order = 2
sign_up = "open"
url = "{github}"
client_id = "{client_id}"
client_secret_file = "{folder}/github.secret"
organizations = ["example-corp"]
timeout = 60
"""


@dataclass
class World:
    """A running Stead with both kinds configured."""

    stead: Deployment
    openid: OpenidPeer
    github: GithubPeer

    def usernames(self) -> set[str]:
        return {user["username"] for user in self.stead.get("/users")["items"]}

    def person(self, username: str) -> dict[str, object]:
        found: dict[str, object] = self.stead.get(f"/users/{username}")
        return found

    def know(self, login: str, **claims: object) -> None:
        """Somebody of their own for a test."""
        usual = {**PEOPLE["ada"], "preferred_username": login, "email": f"{login}@example.com"}
        self.openid.know(**{login: {**usual, **claims}})


@pytest.fixture(scope="module")
def world(npm_peers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stead")
    ports = _ports(2)
    stead = Deployment(folder / "data", ports[0], ports[1], environment={"STEAD_PROVISIONERS": "0"})
    registered = client(
        "stead",
        redirect_uris=[f"{stead.url}/sign-in/corp/callback"],
        post_logout_redirect_uris=[f"{stead.url}/sign-in/corp/farewell"],
        backchannel_logout_uri=f"{stead.url}/sign-in/corp/signed-out",
        backchannel_logout_session_required=True,
    )
    posted = client("posted", redirect_uris=[f"{stead.url}/sign-in/posted/callback"])
    (folder / "corp.secret").write_text(f"{SECRET}\n")
    (folder / "github.secret").write_text(GITHUB_SECRET)
    with OpenidPeer(folder / "openid", [registered, posted]) as openid, GithubPeer() as github:
        github.redirect_uri = f"{stead.url}/sign-in/github/callback"
        text = SETTINGS.format(issuer=openid.issuer, folder=folder, github=github.url, client_id=CLIENT_ID)
        (folder / "stead.toml").write_text(text)
        stead.environment = {**stead.environment, "STEAD_CONFIG": str(folder / "stead.toml")}
        with stead:
            stead.create_owner()
            yield World(stead, openid, github)
        assert SECRET not in stead.log
        assert GITHUB_SECRET not in stead.log


def _ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def is_signed_in(browser: Browser, world: World) -> bool:
    answer = browser.client.get(f"{world.stead.url}/settings")
    if answer.is_redirect:
        return "/login" not in answer.headers["location"]
    return answer.status_code == httpx.codes.OK


def come_in(browser: Browser, world: World, name: str) -> httpx.Response:
    return browser.walk(f"{world.stead.url}/sign-in/corp", world.stead.url, login=name, password="x")


def test_somebody_gets_an_account_and_comes_in(world: World) -> None:
    world.know("ada")
    with Browser() as browser:
        assert not is_signed_in(browser, world)
        answer = come_in(browser, world, "ada")
        assert answer.status_code == 200, answer.text[-3000:]
        assert is_signed_in(browser, world)
    found = world.person("ada")
    assert (found["email"], found["name"]) == ("ada@example.com", "Ada Lovelace")
    with Browser() as again:
        come_in(again, world, "ada")
        assert is_signed_in(again, world)
    assert len([name for name in world.usernames() if name.startswith("ada")]) == 1


def test_who_is_in_no_group_gets_none(world: World) -> None:
    world.know("mallory", groups=["everyone"])
    with Browser() as browser:
        answer = come_in(browser, world, "mallory")
        assert answer.status_code in {401, 403}, answer.text[-3000:]
        assert not is_signed_in(browser, world)
    assert "mallory" not in world.usernames()


def test_an_answer_is_good_once_and_for_one_browser(world: World) -> None:
    world.know("grace")
    with Browser((f"{world.stead.url}/sign-in/corp/callback",)) as browser, Browser() as thief:
        address = browser.visit(f"{world.stead.url}/sign-in/corp", login="grace", password="x")
        assert thief.client.get(address).status_code >= 400
        assert not is_signed_in(thief, world)
        # What a thief brought is spent, too: it cannot be told who was first.
        browser.client.get(address)
        fresh = browser.visit(f"{world.stead.url}/sign-in/corp", login="grace", password="x")
        assert browser.client.get(fresh).is_redirect
        assert is_signed_in(browser, world)
        assert browser.client.get(fresh).status_code >= 400
    with Browser((f"{world.stead.url}/sign-in/corp/callback",)) as stranger:
        stranger.client.get(f"{world.stead.url}/sign-in/corp")
        assert stranger.client.get(fresh).status_code >= 400
        assert not is_signed_in(stranger, world)


def test_a_provider_that_posts_its_answer(world: World) -> None:
    world.know("annie")
    with Browser() as browser:
        begun = browser.client.get(f"{world.stead.url}/sign-in/posted")
        assert "response_mode=form_post" in begun.headers["location"]
        answer = browser.walk(f"{world.stead.url}/sign-in/posted", world.stead.url, login="annie", password="x")
        assert answer.status_code == 200, answer.text[-2000:]
        assert is_signed_in(browser, world)
    assert world.person("annie")["provider"] == "posted"


def test_an_equal_address_at_another_provider_is_somebody_else(world: World) -> None:
    world.know("linus")
    with Browser() as browser:
        come_in(browser, world, "linus")
    before = world.person("linus")
    thief = Someone.usual(number=666, login="linus")
    assert thief.emails[1]["email"] == before["email"]
    world.github.people["linus"] = thief
    with Browser() as browser:
        browser.walk(f"{world.stead.url}/sign-in/github", world.stead.url, login="linus")
    after = world.person("linus")
    assert (after["id"], after["email"]) == (before["id"], before["email"])
    with Browser() as browser:
        come_in(browser, world, "linus")
        assert is_signed_in(browser, world)


def test_the_other_provider_works_while_one_is_down(world: World) -> None:
    world.openid.stop()
    try:
        with Browser() as browser, contextlib.suppress(httpx.ConnectError):
            # What was fetched before may still lead to a sign-in page that is not there.
            answer = browser.walk(f"{world.stead.url}/sign-in/corp", world.stead.url)
            assert answer.status_code >= 400
        with Browser() as browser:
            browser.walk(f"{world.stead.url}/sign-in/github", world.stead.url, login="octocat")
            assert is_signed_in(browser, world)
    finally:
        world.openid.start()


def test_removed_there_is_out_here(world: World) -> None:
    """Within a minute: it takes the next look-up."""
    world.know("alan")
    with Browser() as browser:
        come_in(browser, world, "alan")
        assert is_signed_in(browser, world)
        world.openid.know(alan=None)
        began = time.monotonic()
        eventually(lambda: not is_signed_in(browser, world), PATIENCE, what="the end of a session")
        assert time.monotonic() - began < 60


def test_signed_out_there_is_out_here(world: World) -> None:
    world.know("edsger")
    with Browser() as browser:
        come_in(browser, world, "edsger")
        assert is_signed_in(browser, world)
        leaving = f"{world.openid.issuer}/session/end?client_id=stead"
        page = browser.client.get(leaving)
        browser._submit(page, {"logout": "yes"})
        eventually(lambda: not is_signed_in(browser, world), PATIENCE, what="the end of a session")


# In a real browser


def command(world: World, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``stead``, signed in as the owner."""
    environment = {
        **os.environ,
        "STEAD_URL": world.stead.url,
        "STEAD_TOKEN": world.stead.token,
        "STEAD_CONFIG_DIR": str(folder),
        "NO_COLOR": "1",
    }
    asked = [sys.executable, "-m", "stead.cli.main", *arguments]
    return subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False, env=environment)


def as_owner(browser: Browser, world: World) -> None:
    """Sign the browser in with the owner's password."""
    address = f"{world.stead.url}/login"
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.client.get(address).text)
    assert token is not None
    form = {"login": USERNAME, "password": PASSWORD, "csrf_token": token[1]}
    assert browser.client.post(address, data=form).is_redirect


def test_the_commands_for_providers(world: World, tmp_path: Path) -> None:
    listed = {one["name"]: one for one in json.loads(command(world, tmp_path, "identity", "list", "-o", "json").stdout)}
    assert {name: (one["kind"], one["shape"], one["can_find"], one["looks_up"]) for name, one in listed.items()} == {
        "corp": ("oidc", "page", False, True),
        "github": ("github", "page", False, True),
        "posted": ("oidc", "page", False, True),
    }
    for name in listed:
        checked = command(world, tmp_path, "identity", "check", name)
        assert checked.returncode == 0, checked.stdout


def test_who_cannot_be_looked_up_is_told_what_to_do_instead(world: World, tmp_path: Path) -> None:
    for name in ("corp", "github"):
        done = command(world, tmp_path, "identity", "test", name, "grace")
        assert done.returncode == 5, (done.stdout, done.stderr)
        assert "knows people only while they sign in" in done.stderr
        assert f"{world.stead.url}/identity/{name}/try" in done.stderr


def test_the_test_sign_in_shows_the_steps_and_signs_nobody_in(world: World) -> None:
    """What ``stead identity test`` leads to, in the browser of the owner, as somebody at the provider."""
    world.know("ines", groups=["engineering"], realm_access={"roles": ["admin"]})
    before = world.usernames()
    with Browser() as browser:
        as_owner(browser, world)
        begin = f"{world.stead.url}/identity/corp/try"
        page = browser.walk(begin, f"{world.stead.url}/sign-in/corp/callback", login="ines", password="x")
        assert "They would get in as ines" in page.text
        for said in (
            "none is tied to this issuer and subject",
            "They are in engineering.",
            "is verified by the provider",
        ):
            assert said in page.text, said
        assert browser.client.get(f"{world.stead.url}/api/v2/users/me").json()["username"] == USERNAME
    assert world.usernames() == before


@pytest.fixture
def page(world: World) -> Iterator[Page]:
    if not Path(CHROMIUM).exists():
        leave_out("Chromium", "install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = browser.new_page(viewport={"width": 1100, "height": 760})
        found.set_default_timeout(PATIENCE * 1000)
        yield found
        browser.close()


@pytest.mark.browser
def test_openid_in_chromium(world: World, page: Page, tmp_path: Path) -> None:
    world.know("barbara", name="Barbara Liskov")
    page.goto(f"{world.stead.url}/login")
    page.screenshot(path=tmp_path / "1-sign-in.png")
    page.get_by_role("link", name="Continue with Example Corp").click()
    page.get_by_placeholder("Enter any login").fill("barbara")
    page.get_by_placeholder("and password").fill("x")
    page.screenshot(path=tmp_path / "2-provider.png")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(lambda url: url.startswith(world.stead.url) and "/sign-in/" not in url)
    expect(page.get_by_role("heading", level=1).first).to_be_visible(timeout=PATIENCE * 1000)
    page.screenshot(path=tmp_path / "3-inside.png")
    assert world.person("barbara")["name"] == "Barbara Liskov"


@pytest.mark.browser
def test_a_posted_answer_in_chromium(world: World, page: Page) -> None:
    world.know("radia", name="Radia Perlman")
    page.goto(f"{world.stead.url}/login?next=/settings")
    page.get_by_role("link", name="Continue with Posting Corp").click()
    page.get_by_placeholder("Enter any login").fill("radia")
    page.get_by_placeholder("and password").fill("x")
    page.get_by_role("button", name="Sign-in").click()
    page.wait_for_url(lambda url: url.startswith(f"{world.stead.url}/settings"))
    assert world.person("radia")["name"] == "Radia Perlman"


@pytest.mark.browser
def test_github_in_chromium(world: World, page: Page, tmp_path: Path) -> None:
    world.github.people["hedy"] = Someone.usual(number=1914, login="hedy")
    page.goto(f"{world.stead.url}/login?next=/settings")
    page.get_by_role("link", name="Continue with GitHub").click()
    page.get_by_label("Username").fill("hedy")
    page.screenshot(path=tmp_path / "1-github.png")
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(lambda url: url.startswith(f"{world.stead.url}/settings"))
    page.screenshot(path=tmp_path / "2-inside.png")
    assert world.person("hedy")["email"] == "hedy@example.com"
    assert world.github.problems == []


@pytest.mark.browser
def test_a_refusal_in_chromium(world: World, page: Page, tmp_path: Path) -> None:
    world.github.people["stranger"] = Someone(77, "stranger", Someone.usual().emails)
    page.goto(f"{world.stead.url}/sign-in/github")
    page.get_by_label("Username").fill("stranger")
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_text("not one that may sign in here")).to_be_visible(timeout=PATIENCE * 1000)
    page.screenshot(path=tmp_path / "refused.png")
    assert "stranger" not in world.usernames()
