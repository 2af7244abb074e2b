"""The record of attempts, and what is forgotten with time."""

from __future__ import annotations

from typing import Any

import pytest

from stead.api.errors import Forbidden
from stead.services.core import SYSTEM
from stead.services.signin import flow, record


def test_every_attempt_is_recorded_without_secrets(world: Any, make_person: Any) -> None:
    world.directory.add(make_person("eve"))
    world.directory.passwords["eve"] = "right-password"
    world.login("eve", "wrong-password")
    world.login("eve", "right-password")
    world.login("nobody", "some-password")
    world.login("ada", "wrong-password", "local")
    found = record.list(world.core, SYSTEM).items
    assert [(one.provider, one.outcome, one.account) for one in found] == [
        ("local", "refused", "ada"),
        ("local", "refused", "nobody"),
        ("dir", "succeeded", "eve"),
        ("dir", "failed", "eve"),
    ]
    assert found[3].detail == "bind: invalid credentials"
    assert [step.title for step in found[2].steps][:2] == ["Search", "Bind"]
    kept = "".join(f"{one.detail}{one.steps}{one.account}" for one in found)
    assert not [typed for typed in ("right-password", "wrong-password", "some-password") if typed in kept]


def test_the_record_is_for_auditors(world: Any) -> None:
    with pytest.raises(Forbidden):
        record.list(world.core, world.actor(world.local("carol")))
    page = world.browser(world.owner).get("/identity/attempts?outcome=failed&q=x&provider=dir")
    assert page.status_code == 200


def test_what_was_typed_stays_one_short_line(world: Any) -> None:
    world.login("a\nb\x1b[31m" + "x" * 200, "whatever")
    account = world.last_attempt().account
    assert account.isprintable()
    assert account.startswith("a b [31m")


def test_the_record_is_bounded_by_age_and_number(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        world.login(f"nobody{number}", "whatever")
        world.clock.advance(60)
    monkeypatch.setattr(record, "MOST_ROWS", 3)
    record.expire(world.core)
    assert [one.account for one in record.list(world.core, SYSTEM).items] == ["nobody4", "nobody3", "nobody2"]
    world.clock.advance(31 * 86400)
    record.expire(world.core)
    assert record.list(world.core, SYSTEM).total == 0


def test_few_sign_ins_are_under_way_from_one_address(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MOST_PER_ADDRESS", 3)
    browser = world.browser()
    for _ in range(3):
        browser.begin()
    assert browser.get("/sign-in/corp").status_code == 429
    world.clock.advance(601)
    record.expire(world.core)
    assert browser.get("/sign-in/corp").status_code == 303
