"""What people read on the pages about their way in."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from stead.api.signin import AuthenticationFailed
from stead.services.signin import administration

PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.text)))


def order(text: str, *parts: str) -> None:
    places = [text.index(part) for part in parts]
    assert places == sorted(places), parts


def test_the_door_begins_with_what_most_people_have(make_world: Callable[..., Any]) -> None:
    world = make_world(access_url="https://stead.test", dir={"title": "Staff directory"})
    world.local("luke")
    text = text_of(world.browser().get("/login"))
    order(
        text, "Continue with", " or ", "With your account of Staff directory, or one of Stead's own", "Password Sign in"
    )
    order(text, "Password Sign in", "Sign in with a passkey")


def test_without_providers_the_password_is_first(make_world: Callable[..., Any]) -> None:
    off = {"enabled": False}
    world = make_world(access_url="https://stead.test", corp=off, other=off, dir=off)
    text = text_of(world.browser().get("/login"))
    order(text, "Username or e-mail", "Password Sign in", " or Sign in with a passkey")
    assert "With your account" not in text


def test_people_of_a_provider_read_its_title_and_find_no_form_for_a_password(
    make_world: Callable[..., Any], make_person: Any
) -> None:
    world = make_world(corp={"title": "Example Corp", "roles": {"staff": ["auditor"]}})
    world.page.add(make_person("bob"))
    browser = world.browser()
    assert browser.sign_in().status_code == 303
    for path in ("/settings/password", "/settings/security"):
        page = browser.get(path)
        assert "You sign in with Example Corp" in text_of(page)
        assert 'type="password"' not in page.text
    assert "bob Auditor" in text_of(browser.get("/settings"))


def test_sessions_are_named_as_people_name_browsers(make_world: Callable[..., Any], make_person: Any) -> None:
    world = make_world(corp={"title": "Example Corp"})
    world.page.add(make_person("bob"))
    browser = world.browser()
    browser.client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    assert browser.sign_in().status_code == 303
    text = text_of(browser.get("/settings/sessions"))
    assert "Firefox on Windows" in text
    assert "Mozilla" not in text
    admin = world.browser(world.owner)
    assert "Firefox on Windows · with Example Corp" in text_of(admin.get("/users/bob"))


def test_what_a_test_found_and_what_to_do_are_two_sentences(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def expired(*_: Any) -> None:
        raise AuthenticationFailed(
            "This account has expired.", detail="the account has expired", remedy="Ask for time."
        )

    monkeypatch.setattr(world.directory, "find", expired)
    tested = administration.test(world.core, world.actor(world.owner), "dir", "eve")
    assert tested.problem == "the account has expired. Ask for time."


def test_who_changes_their_password_stays_signed_in_and_all_else_ends(world: Any) -> None:
    world.local("luke")
    here, elsewhere = world.browser(), world.browser()
    token = world.login("luke", PASSWORD).json["token"]
    for browser in (here, elsewhere):
        assert browser.post("/login", "/login", login="luke", password=PASSWORD).status_code == 303
    typed = {"old": PASSWORD, "new": "plum kettle orbit 91", "again": "plum kettle orbit 91"}
    changed = here.post("/settings/password", "/settings/password", **typed)
    assert (changed.status_code, changed.location) == (303, "/settings/password")
    assert "Other sessions were signed out" in text_of(here.get("/settings/password"))
    assert here.whoami()["username"] == "luke"
    assert elsewhere.whoami() is None
    asked = world.app.test_client().get("/api/v2/users/me", headers={"Authorization": f"Bearer {token}"})
    assert asked.status_code == 401
