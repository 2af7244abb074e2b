"""Somebody leaves at the provider while the server runs by the real clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stead.api.errors import NotAuthenticated
from stead.services import authentication, ticks
from stead.services.clock import SystemClock
from stead.testing.waiting import eventually


def test_who_leaves_is_out_soon_even_while_another_provider_hangs(
    make_world: Callable[..., Any], make_person: Callable[..., Any]
) -> None:
    world = make_world(clock=SystemClock(), dir={"sync_interval": "2s"}, corp={"sync_interval": "1s"})
    world.page.add(make_person("bob"))
    world.browser().sign_in()
    world.directory.add(make_person("eve", issuer="ldap://example"))
    world.directory.passwords["eve"] = "right"
    token = world.login("eve", "right").json["token"]
    browser = world.browser()
    browser.post("/login", "/login", login="eve", password="right")
    running = ticks.start(world.core)
    try:
        with world.page.hanging():
            asked = world.page.asked
            eventually(lambda: world.page.asked > asked, timeout=60, what="the hanging provider to be asked")
            assert browser.whoami() is not None
            world.directory.remove("eve")
            eventually(lambda: browser.whoami() is None, timeout=60, what="the session to end")
    finally:
        running.stop()
    with pytest.raises(NotAuthenticated):
        authentication.actor_for_token(world.core, token)


def test_a_provider_that_answers_nobody_is_left_alone_for_a_while(
    make_world: Callable[..., Any], make_person: Callable[..., Any]
) -> None:
    world = make_world()
    for number in range(20):
        name = f"person{number}"
        world.directory.add(make_person(name, issuer="ldap://example"))
        world.directory.passwords[name] = "right"
        assert world.login(name, "right").status_code == 200
    world.directory.away = True
    world.directory.asked = 0
    world.clock.advance(31)
    assert ticks.ending.look_up_due(world.core) == 0
    assert world.directory.asked < 20
    world.directory.away = False
    world.clock.advance(11)
    assert ticks.ending.look_up_due(world.core) == 20
