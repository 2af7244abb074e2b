"""Somebody leaves at the provider while the server runs by the real clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from stead.api.errors import NotAuthenticated
from stead.config.groups import IdentitySettings
from stead.services import audit, authentication, ticks, tokens
from stead.services.clock import SystemClock
from stead.services.core import SYSTEM, close_core, open_core
from stead.services.signin import ending
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


def restarted(world: Any, **changes: dict[str, Any] | None) -> Any:
    """A server that was started with other providers, on the same database; ``None`` takes a table out."""
    sections = {**world.core.settings.identity.sections}
    for name, change in changes.items():
        section = sections.pop(name)
        if change is not None:
            sections[name] = {**section, **change}
    settings = world.core.settings.model_copy(update={"identity": IdentitySettings(sections=sections)})
    return open_core(settings, clock=world.clock, plugins=world.core.plugins)


@pytest.mark.parametrize("change", [None, {"enabled": False}], ids=["removed", "disabled"])
def test_what_came_by_a_provider_that_is_taken_out_ends_within_a_minute(
    make_world: Callable[..., Any], make_person: Callable[..., Any], change: dict[str, Any] | None
) -> None:
    world = make_world(clock=SystemClock())
    world.page.add(make_person("bob"))
    browser, others, local = world.browser(), world.browser(), world.browser(world.owner)
    browser.sign_in()
    world.directory.add(make_person("eve", issuer="ldap://example"))
    world.directory.passwords["eve"] = "right"
    others.post("/login", "/login", login="eve", password="right")
    _, token = tokens.create(world.core, world.actor(world.user("bob")), "ci")
    began = time.monotonic()
    core = restarted(world, corp=change)
    running = ticks.start(core)
    try:
        # At the server that was restarted there is nothing open from the start; at this one it ends with the session.
        with pytest.raises(NotAuthenticated, match="corp, which is not used here any more"):
            authentication.actor_for_token(core, token)
        eventually(lambda: browser.whoami() is None, timeout=60, what="the session to end")
        took = time.monotonic() - began
        # The entry and the end are one transaction.
        ended = [row for row in audit.list(core, SYSTEM, limit=50).items if row.action == "ended sessions"]
        assert [(row.target, row.after["provider"]) for row in ended] == [("bob", "corp")]
        assert took < 60, f"the session ended after {took:.1f} s"
        assert others.whoami() is not None
        assert local.whoami() is not None
    finally:
        running.stop()
        close_core(core)
    back = restarted(world)
    try:
        assert authentication.actor_for_token(back, token).username == "bob"
    finally:
        close_core(back)


def test_what_came_by_a_provider_stays_by_choice(
    make_world: Callable[..., Any], make_person: Callable[..., Any]
) -> None:
    world = make_world()
    world.page.add(make_person("bob"))
    browser = world.browser()
    browser.sign_in()
    secret = browser.client.get_cookie("stead_session", domain="stead.test").value
    core = restarted(world, corp={"enabled": False, "when_disabled": "keep"})
    try:
        assert ending.end_of_removed(core) == 0
        assert authentication.actor_for_session(core, secret).username == "bob"
        assert "corp" not in core.identity
    finally:
        close_core(core)
    core = restarted(world, corp={"enabled": False})
    try:
        with pytest.raises(NotAuthenticated, match="not used here any more"):
            authentication.actor_for_session(core, secret)
        assert ending.end_of_removed(core) == 1
        assert ending.end_of_removed(core) == 0
    finally:
        close_core(core)
