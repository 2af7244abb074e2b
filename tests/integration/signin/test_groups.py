"""Groups by hand beside those of providers: who may change what, and what a provider keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stead.api.errors import Conflict, Forbidden, InvalidInput, NotFound
from stead.domain.records import GroupMember
from stead.domain.states import Role
from stead.services import audit, groups
from stead.services.core import SYSTEM
from stead.services.signin.providers import Providers

MakeWorld = Callable[..., Any]
MakePerson = Callable[..., Any]


def members(world: Any, group: str) -> list[tuple[str, str]]:
    return [(one.username, one.source) for one in groups.members(world.core, SYSTEM, group).items]


def test_a_group_from_its_beginning_to_its_end(world: Any) -> None:
    admin = world.actor(world.local("carol", Role.USER_ADMIN))
    world.local("dave")
    made = groups.create(world.core, admin, "  Platform team ")
    assert (made.name, made.source, made.members) == ("Platform team", "local", 0)
    assert groups.add_member(world.core, admin, made.id, "dave") == GroupMember("dave", "local")
    groups.add_member(world.core, admin, "Platform team", "carol@stead.example")
    groups.add_member(world.core, admin, "Platform team", "dave")  # again: nothing happens
    assert members(world, made.id) == [("carol", "local"), ("dave", "local")]
    renamed = groups.rename(world.core, admin, "Platform team", "platform/core")
    assert (renamed.id, renamed.name, renamed.members) == (made.id, "platform/core", 2)
    groups.remove_member(world.core, admin, "platform/core", "carol")
    with pytest.raises(NotFound, match="carol is not in"):
        groups.remove_member(world.core, admin, "platform/core", "carol")
    groups.delete(world.core, admin, "platform/core")
    assert groups.list(world.core, admin).items == ()
    said = [(row.action, row.actor) for row in audit.list(world.core, SYSTEM, limit=20).items]
    for action in ("created", "added to a group", "renamed", "removed from a group", "deleted"):
        assert (action, "carol") in said, action
    assert [action for action, _ in said].count("added to a group") == 2


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 256])
def test_names_that_are_none(world: Any, name: str) -> None:
    with pytest.raises(InvalidInput):
        groups.create(world.core, SYSTEM, name)


def test_a_name_is_given_once(world: Any) -> None:
    groups.create(world.core, SYSTEM, "crew")
    other = groups.create(world.core, SYSTEM, "other")
    for again in (
        lambda: groups.create(world.core, SYSTEM, "crew"),
        lambda: groups.rename(world.core, SYSTEM, other.id, "crew"),
    ):
        with pytest.raises(Conflict, match="There is a group crew already"):
            again()
    assert groups.rename(world.core, SYSTEM, other.id, "other").name == "other"
    world.browser().sign_in()
    with pytest.raises(Conflict, match="it comes from corp"):
        groups.create(world.core, SYSTEM, "staff")


def test_who_may_read_and_who_may_change(world: Any) -> None:
    made = groups.create(world.core, SYSTEM, "crew")
    for role in (Role.AUDITOR, Role.TEMPLATE_ADMIN):
        actor = world.actor(world.local(role.value, role))
        assert groups.get(world.core, actor, "crew") == made
        with pytest.raises(Forbidden):
            groups.add_member(world.core, actor, "crew", "ada")
    member = world.actor(world.local("dave"))
    for refused in (
        lambda: groups.list(world.core, member),
        lambda: groups.create(world.core, member, "mine"),
        lambda: groups.rename(world.core, member, "crew", "mine"),
        lambda: groups.delete(world.core, member, "crew"),
        lambda: groups.remove_member(world.core, member, "crew", "ada"),
    ):
        with pytest.raises(Forbidden):
            refused()


def test_what_a_provider_brings_is_changed_there(world: Any) -> None:
    world.browser().sign_in()
    assert members(world, "staff") == [("bob", "corp")]
    for refused in (
        lambda: groups.add_member(world.core, SYSTEM, "staff", "ada"),
        lambda: groups.remove_member(world.core, SYSTEM, "staff", "bob"),
        lambda: groups.rename(world.core, SYSTEM, "staff", "people"),
        lambda: groups.delete(world.core, SYSTEM, "staff"),
    ):
        with pytest.raises(Conflict, match="comes from corp, which says who is in it") as error:
            refused()
        assert "[identity.corp]" in (error.value.remedy or "")
    assert members(world, "staff") == [("bob", "corp")]


def test_a_provider_feeds_a_group_of_ours(make_world: MakeWorld, make_person: MakePerson) -> None:
    world = make_world(corp={"groups": {"staff": "crew"}})
    world.page.add(make_person("bob"))
    groups.create(world.core, SYSTEM, "crew")
    groups.add_member(world.core, SYSTEM, "crew", "ada")
    world.browser().sign_in()
    assert members(world, "crew") == [("ada", "local"), ("bob", "corp")]
    groups.add_member(world.core, SYSTEM, "crew", "bob")
    with pytest.raises(Conflict, match="corp says that bob is in crew") as error:
        groups.remove_member(world.core, SYSTEM, "crew", "bob")
    assert "[identity.corp]" in (error.value.remedy or "")
    for refused in (
        lambda: groups.rename(world.core, SYSTEM, "crew", "team"),
        lambda: groups.delete(world.core, SYSTEM, "crew"),
    ):
        with pytest.raises(Conflict, match="corp puts people into crew by this name"):
            refused()
    # What the provider takes back leaves what was done by hand.
    world.page.add(make_person("bob", groups=()))
    world.browser().sign_in()
    assert members(world, "crew") == [("ada", "local"), ("bob", "local")]
    groups.remove_member(world.core, SYSTEM, "crew", "bob")
    groups.rename(world.core, SYSTEM, "crew", "team")
    assert members(world, "team") == [("ada", "local")]


def test_groups_of_a_provider_that_is_gone_become_ours(world: Any) -> None:
    world.browser().sign_in()
    without = replace(world.core, identity=Providers())
    assert groups.brought_by(world.core, groups.get(world.core, SYSTEM, "staff")) == "corp"
    groups.add_member(without, SYSTEM, "staff", "ada")
    assert groups.get(without, SYSTEM, "staff").source == "local"
    groups.remove_member(without, SYSTEM, "staff", "bob")
    assert members(world, "staff") == [("ada", "local")]
    groups.delete(without, SYSTEM, "staff")


def test_the_pages(world: Any) -> None:
    world.browser().sign_in()
    browser = world.browser(world.owner)
    sent = browser.post("/groups", "/groups", name="crew")
    assert sent.status_code == 303
    page = sent.location
    assert browser.post(f"{page}/members", page, user="nobody").status_code == 404
    assert browser.post(f"{page}/members", page, user="bob").status_code == 303
    assert "by hand" in browser.get(page).text
    assert browser.post(f"{page}/name", page, name="staff").status_code == 409
    assert browser.post(f"{page}/name", page, name="team").status_code == 303
    assert browser.post(f"{page}/members/bob/remove", page).status_code == 303
    assert "Nobody is in this group" in browser.get(page).text
    assert "Delete team?" in browser.get(f"{page}/ask/delete").text
    assert browser.post(f"{page}/delete", page).location == "/groups"
    theirs = groups.get(world.core, SYSTEM, "staff").id
    shown = browser.get(f"/groups/{theirs}").text
    assert "This group comes from corp" in shown
    assert "Add somebody" not in shown
    refused = browser.post(f"/groups/{theirs}/members/bob/remove", "/groups")
    assert refused.status_code == 409
    assert "comes from corp" in refused.text
