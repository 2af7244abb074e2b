"""Sessions, tokens, CSRF and headers of the web application."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from stead.services import authentication, users
from stead.services.signin.proof import Proof
from stead.web.auth import SESSION_COOKIE, safe_return_path, sign_in
from stead.web.csrf import csrf_token


def _session(world: Any, person: str = "member") -> str:
    return authentication.open_session(world.core, world.actor(person).user_id, "192.0.2.1", "test")


def _token_for(world: Any, secret: str) -> str:
    with world.app.test_request_context(headers={"Cookie": f"{SESSION_COOKIE}={secret}"}):
        return csrf_token()


def test_a_session_cookie_signs_in(world: Any) -> None:
    client = world.client()
    client.set_cookie(SESSION_COOKIE, _session(world))
    assert client.get("/api/v2/users/me").json["username"] == "member"


@pytest.mark.parametrize("secure", [False, True])
def test_the_session_cookie_is_kept_from_scripts_and_other_sites(world: Any, secure: bool) -> None:
    user = users.get(world.core, world.actor("member"), "me")
    with world.app.test_request_context(base_url="https://stead.test" if secure else "http://stead.test"):
        response = world.app.response_class()
        sign_in(response, Proof(user))
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert ("Secure" in cookie) is secure
    assert f"Max-Age={int(world.core.settings.session_lifetime)}" in cookie


def test_https_is_kept_to(world: Any) -> None:
    plain = world.client().get("/api/v2/buildinfo")
    assert "Strict-Transport-Security" not in plain.headers
    secure = world.client().get("/api/v2/buildinfo", base_url="https://stead.test")
    assert "max-age=" in secure.headers["Strict-Transport-Security"]


def test_a_closed_session_signs_nobody_in(world: Any) -> None:
    secret = _session(world)
    authentication.close_session(world.core, secret)
    client = world.client()
    client.set_cookie(SESSION_COOKIE, secret)
    answer = client.get("/api/v2/users/me")
    assert answer.status_code == 401
    assert answer.json["error"]["reason"] == "not_authenticated"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Authorization", "Coder-Session-Token"])
def test_both_token_headers_sign_in(world: Any, header: str) -> None:
    value = world.tokens["member"]
    value = f"Bearer {value}" if header == "Authorization" else value
    assert world.client().get("/api/v2/users/me", headers={header: value}).json["username"] == "member"


def test_a_bad_token_is_refused_whatever_cookie_came_along(world: Any) -> None:
    client = world.client()
    client.set_cookie(SESSION_COOKIE, _session(world))
    assert client.get("/api/v2/users/me", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_a_foreign_remember_cookie_changes_nothing(world: Any) -> None:
    client = world.client()
    client.set_cookie("remember_token", "x|y")
    answer = client.get("/api/v2/users/me", headers={"Authorization": f"Bearer {world.tokens['member']}"})
    assert answer.status_code == 200


def test_an_unsafe_request_with_a_cookie_needs_the_csrf_token(world: Any) -> None:
    secret = _session(world)
    client = world.client()
    client.set_cookie(SESSION_COOKIE, secret)
    refused = client.post("/api/v2/users/me/tokens", json={"name": "stolen"})
    assert refused.status_code == 403
    assert refused.json["error"]["field"] == "csrf_token"
    headers = {"X-CSRF-Token": _token_for(world, secret)}
    assert client.post("/api/v2/users/me/tokens", json={"name": "mine"}, headers=headers).status_code == 201


def test_the_csrf_token_of_another_session_is_refused(world: Any) -> None:
    client = world.client()
    client.set_cookie(SESSION_COOKIE, _session(world))
    headers = {"X-CSRF-Token": _token_for(world, _session(world))}
    assert client.post("/api/v2/users/me/tokens", json={"name": "x"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_another_site_is_refused_even_with_the_token(world: Any, headers: dict[str, str]) -> None:
    secret = _session(world)
    client = world.client()
    client.set_cookie(SESSION_COOKIE, secret)
    headers = {"X-CSRF-Token": _token_for(world, secret), **headers}
    assert client.post("/api/v2/users/me/tokens", json={"name": "x"}, headers=headers).status_code == 403


def test_a_token_needs_no_csrf_token(world: Any) -> None:
    assert world.call("member", "POST", "/users/me/tokens", json={"name": "x"}).status_code == 201


def test_login_exchanges_a_password_for_a_token_that_logout_revokes(world: Any) -> None:
    client = world.client()
    answer = client.post("/api/v2/login", json={"login": "member@example.com", "password": world.password})
    assert answer.json["user"]["username"] == "member"
    headers = {"Authorization": f"Bearer {answer.json['token']}"}
    assert client.get("/api/v2/users/me", headers=headers).status_code == 200
    assert client.post("/api/v2/logout", headers=headers).status_code == 204
    assert client.get("/api/v2/users/me", headers=headers).status_code == 401


def test_login_says_the_same_of_a_wrong_name_and_a_wrong_password(world: Any) -> None:
    answers = [
        world.client().post("/api/v2/login", json=body)
        for body in ({"login": "member", "password": "wrong"}, {"login": "nobody", "password": "wrong"})
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json == answers[1].json


def test_too_many_failed_logins_have_to_wait(world: Any) -> None:
    body = {"login": "spare", "password": "wrong"}
    for _ in range(world.core.settings.login_attempts):
        assert world.client().post("/api/v2/login", json=body).status_code == 401
    answer = world.client().post("/api/v2/login", json={**body, "password": world.password})
    assert answer.status_code == 429
    assert answer.json["error"]["reason"] == "rate_limited"
    assert int(answer.headers["Retry-After"]) > 0


def test_a_suspended_user_is_out_at_once(world: Any) -> None:
    users.set_status(world.core, world.actor("owner"), "member", "suspended")
    assert world.call("member", "GET", "/users/me").status_code == 401


def test_every_answer_carries_the_security_headers(world: Any) -> None:
    for path in ("/api/v2/buildinfo", "/api/v2/nothing", "/login"):
        headers = world.client().get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_answers_are_not_kept_by_caches(world: Any) -> None:
    assert world.call("member", "GET", "/users/me").headers["Cache-Control"] == "no-store"


def test_a_request_id_of_a_proxy_is_kept_and_others_are_made_up(world: Any) -> None:
    given = world.client().get("/api/v2/buildinfo", headers={"X-Request-Id": "abc-12345"})
    assert given.headers["X-Request-Id"] == "abc-12345"
    hostile = world.client().get("/api/v2/buildinfo", headers={"X-Request-Id": 'a b"<script>'})
    assert hostile.headers["X-Request-Id"].isalnum()


def test_an_unexpected_failure_tells_nothing_of_the_inside(
    world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(users, "get", broken)
    with caplog.at_level(logging.ERROR):
        answer = world.call("member", "GET", "/users/me")
    assert answer.status_code == 500
    assert answer.json["error"]["reason"] == "internal"
    assert "secret" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert answer.headers["X-Request-Id"] in caplog.text


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/workspaces?q=1", "/workspaces?q=1"),
        ("//evil.example/x", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_the_way_back_after_signing_in_stays_on_this_host(path: str | None, target: str) -> None:
    assert safe_return_path(path) == target
