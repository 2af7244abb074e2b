"""Signing in through the browser, sessions, and the way back in from the server's own shell."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stead.cli.client import Client
from stead.cli.session import current_session
from stead.testing.waiting import eventually

PASSWORD = "correct horse battery staple"


@pytest.fixture
def waiting(owner: Any, tmp_path: Path) -> Iterator[tuple[Any, Any, str]]:
    """A ``stead login --no-browser`` that waits: its process, whose it is, and the code that it shows."""
    fresh = type(owner)(owner.url, tmp_path / "fresh")
    said = tmp_path / "said"
    with said.open("w") as file:
        process = subprocess.Popen(
            fresh.command("login", owner.url, "--no-browser"),
            stderr=file,
            stdout=subprocess.DEVNULL,
            env=fresh.environment(),
        )
        try:
            found = eventually(lambda: re.search(r"code is (\S+)\.", said.read_text()), timeout=60)
            yield process, fresh, found[1]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(60)


def answer(owner: Any, monkeypatch: pytest.MonkeyPatch, code: str, decision: str) -> int:
    """What a browser does where the owner is signed in."""
    monkeypatch.setenv("STEAD_CONFIG_DIR", str(owner.config))
    with httpx.Client(base_url=owner.url, follow_redirects=True) as browser:
        page = browser.get(f"/login?next=/device?code={code}")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
        page = browser.post(
            "/login",
            data={"login": "owner", "password": PASSWORD, "csrf_token": token, "next": f"/device?code={code}"},
        )
        assert code in page.text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
        return browser.post("/device", data={"code": code, "decision": decision, "csrf_token": token}).status_code


def test_a_terminal_is_let_in_from_a_browser(
    waiting: tuple[Any, Any, str], owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, fresh, code = waiting
    assert answer(owner, monkeypatch, code, "approve") == 200
    assert process.wait(60) == 0
    assert fresh.json("whoami")["user"]["username"] == "owner"
    listed = owner.json("sessions", "list")
    assert listed
    owner.ok("sessions", "end", listed[0]["id"])
    assert listed[0]["id"] not in {one["id"] for one in owner.json("sessions", "list")}


def test_a_terminal_that_is_turned_away_says_so(
    waiting: tuple[Any, Any, str], owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, fresh, code = waiting
    answer(owner, monkeypatch, code, "deny")
    assert process.wait(60) == 3
    assert fresh.run("whoami").code == 3


def test_lists_are_empty_where_no_provider_is_configured(owner: Any, user: Any) -> None:
    assert "[identity.NAME]" in owner.ok("identity", "list").out
    assert owner.json("groups", "list") == []
    assert user.run("identity", "list").code == 3
    assert owner.run("identity", "test", "corp", "bob").code == 4
    names = {one["account"] for one in owner.json("identity", "attempts")}
    assert names is not None


def test_the_servers_shell_always_leads_back_in(owner: Any, tmp_path: Path) -> None:
    """Even where what is set of an identity provider is wrong."""
    config = tmp_path / "stead.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n[identity.corp]\nkind = "no-such-kind"\n')
    make = ["server", "--config", str(config)]
    owner.ok(*make, "create-admin", "--username", "ada", "--email", "a@b.c", "--password-stdin", stdin=f"{PASSWORD}\n")
    result = owner.run(*make)
    assert result.code == 1
    assert "no plugin brings the kind 'no-such-kind'" in result.err
    told = owner.json(*make, "recover", "ada", "--password-stdin", stdin="another long password\n")
    assert (told["username"], told["roles"], told["status"]) == ("ada", ["owner"], "active")


def test_the_client_of_a_session_is_that_of_its_server(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEAD_CONFIG_DIR", str(owner.config))
    methods = Client.of(current_session()).get("/login/methods")
    assert methods == {"password": True, "providers": [], "terminal_url": f"{owner.url}/terminal"}
