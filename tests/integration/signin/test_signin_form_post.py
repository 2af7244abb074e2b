"""Answers that the provider's page posts: taken without any cookie, and worth something to one browser alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from stead.services.signin import flow

URL = "http://stead.test"


@pytest.fixture
def world(make_world: Any, make_person: Any) -> Any:
    made = make_world()
    made.page.posts = True
    made.page.add(make_person("bob"))
    made.page.add(make_person("mallory"))
    return made


def approved(world: Any, browser: Any, username: str = "bob") -> dict[str, str]:
    """What the provider would have the browser post."""
    return dict(parse_qsl(urlsplit(world.page.approve(browser.begin(), username)).query))


def post(world: Any, fields: dict[str, str] | str, name: str = "corp") -> Any:
    """As a form of another site posts it: without any cookie of ours."""
    options: dict[str, Any] = {"data": fields}
    if isinstance(fields, str):
        options["content_type"] = "application/x-www-form-urlencoded"
    headers = {"Origin": "https://id.example.org", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    return world.app.test_client().post(f"/sign-in/{name}/callback", base_url=URL, headers=headers, **options)


def test_the_answer_waits_for_the_browser_that_began(world: Any) -> None:
    browser = world.browser()
    answer = approved(world, browser)
    sent = post(world, answer)
    assert sent.status_code == 303
    assert answer["code"] not in sent.location
    assert "stead_session" not in sent.headers.get("Set-Cookie", "")
    done = browser.get(sent.location)
    assert (done.status_code, done.location) == (303, "/")
    assert browser.whoami()["username"] == "bob"


def test_a_sign_in_is_not_given_to_another_browser(world: Any) -> None:
    """Mallory has a victim's browser post the answer of her own sign-in: nobody must end up in her account."""
    mallory, victim = world.browser(), world.browser()
    victim.begin()  # has a cookie of a sign-in of its own
    sent = post(world, approved(world, mallory, "mallory"))
    refused = victim.get(sent.location)
    assert refused.status_code == 401
    assert "not begun in this browser" in refused.text
    assert victim.whoami() is None
    assert world.last_attempt().detail == "the state belongs to another browser"
    assert world.page.codes, "the code was not even sent to the provider"


def test_nothing_is_taken_twice(world: Any) -> None:
    browser = world.browser()
    answer = approved(world, browser)
    sent = post(world, answer)
    assert post(world, {**answer, "code": "other"}).status_code == 401
    assert world.last_attempt().detail == "no answer was to be posted for this state, or one was already"
    assert browser.get(sent.location).status_code == 303
    assert browser.get(sent.location).status_code == 401
    assert post(world, answer).status_code == 401


def test_the_answer_comes_in_no_other_way_than_was_asked_for(world: Any) -> None:
    browser = world.browser()
    answer = approved(world, browser)
    in_the_address = "&".join(f"{name}={value}" for name, value in answer.items())
    assert browser.get(f"/sign-in/corp/callback?{in_the_address}").status_code == 401
    assert world.last_attempt().detail == "the answer was to be posted, and came in another way"

    answer = approved(world, browser)
    sent = post(world, answer)
    assert browser.get(f"{sent.location}&code=another").status_code == 401
    assert browser.whoami() is None

    world.page.posts = False
    answer = approved(world, browser)
    assert post(world, answer).status_code == 401
    assert world.last_attempt().detail == "no answer was to be posted for this state, or one was already"


def test_what_is_posted_for_another_provider_or_too_late(world: Any) -> None:
    browser = world.browser()
    answer = approved(world, browser)
    assert post(world, answer, "other").status_code == 401
    assert post(world, answer, "nobody").status_code == 404
    world.clock.advance(601)
    assert post(world, answer).status_code == 401
    assert browser.whoami() is None


@pytest.mark.parametrize("fields", ["state=a&state=b", "state=a.b&code=c", "", f"state=x&code={'y' * 65_000}"])
def test_what_is_no_answer(world: Any, fields: str) -> None:
    assert post(world, fields).status_code in (400, 401, 413)
    assert post(world, {"state": "a", "code": "z" * 70_000}).status_code in (400, 413)


def test_an_error_is_told_to_the_browser_that_began(world: Any) -> None:
    browser = world.browser()
    state = approved(world, browser)["state"]
    sent = post(world, {"state": state, "error": "access_denied"})
    refused = browser.get(sent.location)
    assert refused.status_code == 401
    assert "You did not agree" in refused.text


def test_of_two_posts_at_once_one_is_kept(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = approved(world, world.browser())
    content_of, quicker = flow._content, []

    def content(core: Any, stored: Any) -> Any:
        found = content_of(core, stored)
        monkeypatch.undo()
        quicker.append(post(world, {**answer, "code": "other"}))
        return found

    monkeypatch.setattr(flow, "_content", content)
    slower = post(world, answer)
    assert (quicker[0].status_code, slower.status_code) == (303, 401)
    assert world.last_attempt().detail == "an answer was posted for this state already"
