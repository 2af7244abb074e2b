"""What somebody learns who tries names and passwords, and how many of them they can try."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stead.api.errors import InvalidInput, RateLimited
from stead.domain.names import folded
from stead.services import secrets, users
from stead.testing.waiting import eventually

PASSWORD = "correct horse battery"


def test_nobody_learns_who_has_an_account_and_where(
    world: Any, make_person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown name, one of a directory, one of Stead's own: the answer reads the same and takes as long."""
    world.directory.add(make_person("eve"))
    checked: list[str] = []
    slow = secrets.password_matches

    def counted(password: str, stored: str | None) -> bool:
        checked.append(password)
        return slow(password, stored)

    monkeypatch.setattr(secrets, "password_matches", counted)
    for provider in ("", "dir"):
        answers = {}
        for name in ("eve", "nobody", "ada"):
            checked.clear()
            answers[name] = world.login(name, "a guess", provider).json
            assert checked == ["a guess"], f"{name} takes longer or shorter"
        assert answers["eve"] == answers["nobody"] == answers["ada"]
    page = world.browser().post("/login", "/login", login="eve", password="a guess")
    assert "The name or the password is wrong." in page.text
    assert world.last_attempt().detail == "bind: invalid credentials", "administrators see what it was"


SPELLED = (
    "EVE",
    " eve ",
    "\uff45ve",
    "\uff25\uff36\uff25",
    "e\u0301ve",
    "\u00e8ve",
    "e\u00adve",
    "eve\u200b",
    "e\u2060ve",
)


def test_failures_count_however_a_directory_lets_a_name_be_spelled(
    make_world: Callable[..., Any], make_person: Any
) -> None:
    """Directories take wide letters, accents and what cannot be seen for the same: so does the count."""
    world = make_world(login_attempts=3)
    world.directory.add(make_person("eve"))
    for number in range(3):
        assert world.login("eve", "wrong", address=f"192.0.2.{number}").status_code == 401
    assert world.login("evelyn", "wrong", address="192.0.2.98").status_code == 401, "somebody else"
    answers = {name: world.login(name, "wrong", address="192.0.2.99").status_code for name in SPELLED}
    assert set(answers.values()) == {429}, answers
    assert folded("eve  miller") == folded("Eve \u2003 miller") != folded("evemiller")


def test_guesses_at_once_are_no_more_than_one_after_the_other(make_world: Callable[..., Any], make_person: Any) -> None:
    world = make_world(login_attempts=3, dir={"sign_ins_at_once": 50})
    world.directory.add(make_person("eve"))
    with ThreadPoolExecutor(12) as pool:
        with world.directory.hanging():
            guesses = [pool.submit(world.login, "eve", f"guess {n}", "", f"192.0.2.{n}") for n in range(12)]
            eventually(lambda: world.directory.asked >= 3, timeout=60)
        answers = [one.result(60).status_code for one in guesses]
    assert len(world.directory.seen_passwords) == 3
    assert (answers.count(401), answers.count(429)) == (3, 9)


def test_people_who_sign_in_at_once_wait_for_each_other(make_world: Callable[..., Any], make_person: Any) -> None:
    """More at once than failures are borne: nobody failed, so all come in."""
    world = make_world(login_attempts=4)
    world.directory.add(make_person("eve"))
    world.directory.passwords["eve"] = "right"
    assert world.login("eve", "right").status_code == 200
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(world.login, "eve", "right") for _ in range(8)]
        assert [one.result(60).status_code for one in answers] == [200] * 8


def test_who_has_a_session_guesses_its_password_few_times(make_world: Callable[..., Any]) -> None:
    """A stolen session or token must not be good for finding the password out, and for changing it."""
    world = make_world(login_attempts=3)
    user = world.local("luke")
    actor = world.actor(user)
    for number in range(3):
        with pytest.raises(InvalidInput, match="The old password is wrong"):
            users.set_password(world.core, actor, "me", f"guess {number}", "plum kettle orbit 91")
    with pytest.raises(RateLimited):
        users.set_password(world.core, actor, "me", PASSWORD, "plum kettle orbit 91")
    world.clock.advance(301)
    users.set_password(world.core, actor, "me", PASSWORD, "plum kettle orbit 91")
    assert world.login("luke", "plum kettle orbit 91").status_code == 200
