"""Signing in and out, users and tokens, with a real server."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

PASSWORD = "correct horse battery staple"


def test_the_session_file_is_for_its_owner_alone(user: Any) -> None:
    path = user.config / "session.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(user.config.stat().st_mode) == 0o700
    assert json.loads(path.read_text())["url"] == user.url


def test_whoami_says_who_and_where(user: Any) -> None:
    answer = user.json("whoami")
    assert answer["url"] == user.url
    assert answer["user"]["roles"] == ["member"]
    assert answer["user"]["username"] in user.ok("whoami").out


def test_without_a_session_every_command_says_what_to_do(user: Any, tmp_path: Path) -> None:
    stranger = type(user)(user.url, tmp_path / "nothing")
    result = stranger.run("list")
    assert result.code == 3
    assert result.out == ""
    assert "stead login" in result.err


def test_a_token_of_the_environment_wins(user: Any, owner: Any) -> None:
    token = owner.json("tokens", "create", "for-env")["secret"]
    answer = user.json("whoami", STEAD_TOKEN=token, STEAD_URL=owner.url)
    assert answer["user"]["username"] == "owner"
    answer = user.json("whoami", CODER_SESSION_TOKEN=token, CODER_URL=owner.url)
    assert answer["user"]["username"] == "owner"


def test_a_saved_token_is_not_sent_to_another_server(user: Any, free_port: int) -> None:
    result = user.run("--url", f"http://127.0.0.1:{free_port}", "whoami")
    assert result.code == 3
    assert "not signed in" in result.err


def test_a_token_signs_in(user: Any, owner: Any, tmp_path: Path) -> None:
    token = user.json("tokens", "create", "laptop")["secret"]
    fresh = type(user)(user.url, tmp_path / "fresh")
    fresh.ok("login", user.url, "--token-stdin", stdin=f"{token}\n")
    assert fresh.json("whoami")["user"]["id"] == user.json("whoami")["user"]["id"]


def test_logout_revokes_the_token(user: Any) -> None:
    token = json.loads((user.config / "session.json").read_text())["token"]
    user.ok("logout")
    assert not (user.config / "session.json").exists()
    assert user.run("whoami").code == 3
    assert user.run("whoami", STEAD_TOKEN=token, STEAD_URL=user.url).code == 3


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        (["login", "{url}", "-u", "owner", "--password-stdin"], "wrong\n", 3, "wrong"),
        (["login", "{url}", "-u", "owner"], "", 2, "--password-stdin"),
        (["login", "ftp://x"], "", 2, "not the URL"),
        (["login", "{url}", "--token-stdin"], "nonsense\n", 3, "not valid"),
        (["login", "{url}", "--first-user-username", "x"], "", 5, "owner already"),
    ],
)
def test_a_login_that_fails_says_why(user: Any, arguments: list[str], stdin: str, code: int, words: str) -> None:
    result = user.run(*(word.format(url=user.url) for word in arguments), stdin=stdin)
    assert result.code == code, result.err
    assert words in result.err


def test_a_server_that_is_not_there_is_named(user: Any, free_port: int) -> None:
    result = user.run("login", f"http://127.0.0.1:{free_port}", "--token-stdin", stdin="x\n")
    assert result.code == 1
    assert f"127.0.0.1:{free_port} does not answer" in result.err


def test_no_command_prints_the_token(user: Any) -> None:
    token = json.loads((user.config / "session.json").read_text())["token"]
    for arguments in (["whoami"], ["version"], ["tokens", "list"], ["list"], ["whoami", "-o", "json"]):
        result = user.run(*arguments)
        assert token not in result.out + result.err


def test_tokens_come_and_go(user: Any) -> None:
    made = user.json("tokens", "create", "ci", "--lifetime", "12h")
    assert made["token"]["name"] == "ci"
    assert "ci" in user.ok("tokens", "list").out
    assert user.run("tokens", "create", "ci").code == 5
    assert user.run("tokens", "create", "long", "--lifetime", "forever").code == 2
    user.ok("tokens", "delete", "ci")
    assert "ci" not in [token["name"] for token in user.json("tokens", "list")]


def test_users_are_created_listed_and_suspended(owner: Any, new_user: Callable[..., Any]) -> None:
    person = new_user("", "template-admin")
    name = person.json("whoami")["user"]["username"]
    assert name in owner.ok("users", "list").out
    assert owner.json("users", "show", name)["roles"] == ["template-admin"]
    assert owner.json("users", "roles", name, "member")["roles"] == ["member"]
    owner.ok("users", "suspend", name, "--yes")
    assert person.run("list").code == 3
    owner.ok("users", "activate", name)
    owner.ok("users", "reset-password", name, "--password-stdin", stdin="another horse battery\n")
    person.ok("login", owner.url, "-u", name, "--password-stdin", stdin="another horse battery\n")


def test_a_second_factor_is_asked_for_and_reset(owner: Any, new_user: Callable[..., Any]) -> None:
    person = new_user("", "member")
    name = person.json("whoami")["user"]["username"]
    token = json.loads((person.config / "session.json").read_text())["token"]
    with httpx.Client(
        base_url=f"{owner.url}/api/v2/users/me/factors", headers={"Authorization": f"Bearer {token}"}
    ) as api:
        new = api.post("/totp", json={"password": PASSWORD}).raise_for_status().json()
        code = pyotp.TOTP(new["secret"]).now()
        made = api.post("/totp/confirm", json={"step": new["step"], "code": code}).raise_for_status().json()
    login = {"login": name, "password": PASSWORD}
    refused = httpx.post(f"{owner.url}/api/v2/login", json=login)
    assert (refused.status_code, refused.json()["error"]["reason"]) == (401, "second_factor_required")
    wrong = httpx.post(f"{owner.url}/api/v2/login", json={**login, "code": "000000"})
    assert (wrong.status_code, "token" in wrong.json()) == (401, False)
    good = httpx.post(f"{owner.url}/api/v2/login", json={**login, "code": made["recovery_codes"][0]})
    assert good.status_code == 200
    asked = person.run("login", owner.url, "-u", name, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert asked.code == 2
    assert "second factor" in asked.err
    assert owner.json("users", "reset-factors", name, "--yes") == {"removed": 1}
    person.ok("login", owner.url, "-u", name, "--password-stdin", stdin=f"{PASSWORD}\n")


def test_a_member_may_not_create_users(user: Any) -> None:
    result = user.run(
        "users", "create", "more", "--email", "m@example.com", "--password-stdin", stdin="long enough 1\n"
    )
    assert result.code == 3
    assert "may not" in result.err


def test_destructive_commands_ask_and_nobody_answering_is_no(owner: Any, user: Any) -> None:
    name = user.json("whoami")["user"]["username"]
    result = owner.run("users", "suspend", name)
    assert result.code == 2
    assert "--yes" in result.err
    assert user.run("whoami").code == 0


def test_an_administrator_sees_plugins_and_a_whole_audit_log(owner: Any, user: Any) -> None:
    assert "builtin" in owner.ok("plugins", "list").out
    assert user.run("plugins", "list").code == 3
    name = user.json("whoami")["user"]["username"]
    found = owner.json("audit", "list", "--action", "created", "--target-type", "user", "--limit", "1000")
    assert name in [row["target"] for row in found]
    assert owner.json("audit", "verify")["ok"] is True


def test_the_password_of_a_local_user_can_be_reset_without_signing_in(owner: Any, server: Any, user: Any) -> None:
    name = user.json("whoami")["user"]["username"]
    arguments = ["server", "--data-dir", str(server.data), "reset-password", name, "--password-stdin"]
    user.ok(*arguments, stdin="fresh horse battery\n")
    user.ok("login", owner.url, "-u", name, "--password-stdin", stdin="fresh horse battery\n")


def test_version_names_both_ends(user: Any) -> None:
    answer = user.json("version")
    assert answer["server"] == {"url": user.url, "version": answer["version"]}
