"""Whole sign-ins through a running Stead: Chromium, REST, the command line, departure and fail-over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from ldap_people import PEOPLE
from playwright.sync_api import Page, expect, sync_playwright

from stead.testing.authority import Authority
from stead.testing.deployment import PASSWORD, USERNAME, Deployment
from stead.testing.left_out import leave_out
from stead.testing.slapd import (
    BASE,
    MEMBER_OF,
    READER,
    READER_PASSWORD,
    Item,
    Slapd,
    entry_uuid,
    group,
    group_dn,
    own_slapd,
    person,
    person_dn,
)
from stead.testing.waiting import eventually, find_free_port

pytestmark = pytest.mark.timeout(400)
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE = 60.0
SETTINGS = """
[identity.corp]
kind = "ldap"
title = "Example Corp"
sign_up = "groups"
sign_up_groups = ["staff"]
roles = {{ engineering = ["template-admin"] }}
sync_interval = 1
servers = ["{first}", "{second}"]
base = "{base}"
bind_dn = "{reader}"
bind_password_file = "{folder}/ldap.secret"
ca_file = "{authority}"
connect_timeout = 20
timeout = 20
deadline = 60
retry_after = 1
trust_email = true
"""


@dataclass
class World:
    """A running Stead, and the two servers of its directory."""

    stead: Deployment
    servers: tuple[Slapd, Slapd]

    def add(self, uid: str, in_group: str = "developers") -> None:
        """Somebody who is in the directory, on both servers, in a group of their own below another."""
        somebody = person(uid)
        # The same person on both: after a fail-over they are not somebody else.
        identified = Item(somebody.dn, {**somebody.attributes, "entryUUID": entry_uuid(somebody.dn)})
        for server in self.servers:
            server.add(identified, group(f"of-{uid}", person_dn(uid)))
            server.change(group_dn(in_group), member=[person_dn("alice"), group_dn(f"of-{uid}")])

    def token(self, uid: str, password: str = "") -> httpx.Response:
        with self.stead.client("") as client:
            return client.post("/login", json={"login": uid, "password": password or f"{uid}-secret"})

    def works(self, token: str) -> bool:
        with self.stead.client(token) as client:
            return client.get("/users/me").status_code == httpx.codes.OK


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stead")
    authority = Authority(folder)
    groups = (
        group("developers", person_dn("alice")),
        group("engineering", group_dn("developers")),
        group("staff", group_dn("engineering")),
    )
    (folder / "ldap.secret").write_text(f"{READER_PASSWORD}\n")
    with (
        own_slapd(*PEOPLE, *groups, authority=authority, overlays=MEMBER_OF) as first,
        own_slapd(*PEOPLE, *groups, authority=authority, overlays=MEMBER_OF) as second,
    ):
        text = SETTINGS.format(
            first=first.tls_url,
            second=second.url,
            base=BASE,
            reader=READER,
            folder=folder,
            authority=authority.certificate,
        )
        (folder / "stead.toml").write_text(text)
        environment = {"STEAD_PROVISIONERS": "0", "STEAD_CONFIG": str(folder / "stead.toml")}
        with Deployment(folder / "data", find_free_port(), find_free_port(), environment=environment) as stead:
            stead.create_owner()
            yield World(stead, (first, second))
            assert READER_PASSWORD not in stead.log
            assert "-secret" not in stead.log


@pytest.fixture
def page() -> Iterator[Page]:
    if not Path(CHROMIUM).exists():
        leave_out("Chromium", "install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = browser.new_page(viewport={"width": 1100, "height": 760})
        found.set_default_timeout(PATIENCE * 1000)
        yield found
        browser.close()


@pytest.mark.browser
def test_sign_in_and_departure_in_chromium(world: World, page: Page, tmp_path: Path) -> None:
    world.add("barbara")
    page.goto(f"{world.stead.url}/login")
    page.get_by_label("Username").fill("barbara")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").or_(page.locator(".notice-bad")).first).to_be_visible(timeout=PATIENCE * 1000)
    page.screenshot(path=tmp_path / "1-refused.png")
    page.get_by_label("Username").fill("barbara")
    page.get_by_label("Password").fill("barbara-secret")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    expect(page.get_by_role("heading", level=1).first).to_be_visible(timeout=PATIENCE * 1000)
    page.screenshot(path=tmp_path / "2-inside.png")
    found = world.stead.get("/users/barbara")
    assert found["email"] == "barbara@example.test"
    assert "template-admin" in found["roles"]  # by groups in groups
    for server in world.servers:
        server.remove(person_dn("barbara"))

    def is_out() -> bool:
        page.goto(f"{world.stead.url}/settings")
        return "/login" in page.url

    began = time.monotonic()
    eventually(is_out, PATIENCE, what="the end of the session of somebody who left")
    page.screenshot(path=tmp_path / "3-out.png")
    print(f"out {time.monotonic() - began:.1f} s after leaving the directory")


def test_tokens_end_with_the_account(world: World) -> None:
    world.add("ken")
    token = world.token("ken").raise_for_status().json()["token"]
    assert world.works(token)
    for server in world.servers:
        server.change(person_dn("ken"), shadowExpire="1")
    began = time.monotonic()
    eventually(lambda: not world.works(token), PATIENCE, what="the end of the token")
    assert time.monotonic() - began < PATIENCE
    assert world.token("ken").status_code == httpx.codes.UNAUTHORIZED


def test_who_is_in_no_group_gets_no_account(world: World) -> None:
    assert not world.token("twin1").is_success
    assert not world.token("alice", "wrong").is_success
    assert not world.token("alice", " ").is_success


def test_local_accounts_sign_in_beside_it(world: World) -> None:
    with world.stead.client("") as client:
        assert client.post("/login", json={"login": USERNAME, "password": PASSWORD}).is_success


def test_the_second_server_serves_while_the_first_is_dead(world: World) -> None:
    first, _ = world.servers
    assert world.token("alice").is_success
    first.kill()
    try:
        assert world.token("alice").is_success
    finally:
        first.start()
    assert world.token("alice").is_success


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


def steps_of(found: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {step["title"]: (step["detail"], step["ok"]) for step in found["steps"]}


def test_the_command_that_tests_a_provider(world: World, tmp_path: Path) -> None:
    world.add("fiona")
    before = world.stead.get("/users")["total"]
    done = command(world, tmp_path, "identity", "test", "corp", "fiona")
    assert done.returncode == 0, (done.stdout, done.stderr)
    lines = done.stdout.splitlines()
    assert any("finds uid=fiona" in line for line in lines)
    assert any(line.startswith("ok") and "none is tied to this issuer and subject" in line for line in lines)
    assert any("Sign-up: groups: They are in staff." in line for line in lines)
    assert any("E-mail: fiona@example.test is verified" in line for line in lines)
    assert any("engineering → template-admin" in line for line in lines)
    assert "fiona (new)" in done.stdout
    assert world.stead.get("/users")["total"] == before, "nothing was made"
    assert world.token("fiona").is_success
    found = json.loads(command(world, tmp_path, "identity", "test", "corp", "fiona", "--output", "json").stdout)
    assert "fiona is tied to this issuer and subject" in steps_of(found)["Account"][0]
    assert (found["preview"]["is_new"], found["preview"]["enters"]) == (False, True)
    assert {"member", "template-admin"} == set(found["preview"]["roles"])


def test_the_command_says_why_somebody_stays_out(world: World, tmp_path: Path) -> None:
    def tested(name: str) -> tuple[int, dict[str, Any], str]:
        shown = command(world, tmp_path, "identity", "test", "corp", name)
        as_json = command(world, tmp_path, "identity", "test", "corp", name, "--output", "json")
        assert shown.returncode == as_json.returncode
        return shown.returncode, json.loads(as_json.stdout), shown.stdout

    code, found, text = tested("twin1")
    assert (code, found["preview"]["enters"], steps_of(found)["Sign-up"][1]) == (1, False, False)
    assert "FAIL" in text
    assert "none of the groups that may sign up" in text
    code, found, text = tested("gone")
    assert (code, found["preview"]) == (1, None)
    assert "They would not get in" in text
    code, found, text = tested("nobody*)(uid=*")
    assert (code, found["person"]) == (1, None)
    assert "knows nobody of this name" in text


def test_the_commands_that_list_and_check_providers(world: World, tmp_path: Path) -> None:
    (listed,) = json.loads(command(world, tmp_path, "identity", "list", "--output", "json").stdout)
    assert (listed["name"], listed["kind"], listed["shape"]) == ("corp", "ldap", "password")
    assert listed["can_find"]
    assert "Example Corp" in command(world, tmp_path, "identity", "list").stdout
    done = command(world, tmp_path, "identity", "check", "corp")
    assert done.returncode == 0, done.stdout
    assert world.token("alice").is_success
    groups = json.loads(command(world, tmp_path, "groups", "list", "--output", "json").stdout)
    assert {"staff", "engineering", "developers"} <= {one["name"] for one in groups}
    assert {one["source"] for one in groups} == {"corp"}
    members = json.loads(command(world, tmp_path, "groups", "members", "staff", "--output", "json").stdout)
    assert {"username": "alice", "source": "corp"} in members
    assert command(world, tmp_path, "groups", "members", "no-such-group").returncode == 4
    assert command(world, tmp_path, "identity", "test", "other", "bob").returncode == 4
