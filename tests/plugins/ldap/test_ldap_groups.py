"""Enormous and deeply nested groups: within the bounds of the settings, and within the time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ldap_people import Make

from stead.api.signin import Credentials, Person, Trace
from stead.testing.slapd import MEMBER_OF, Item, Slapd, group, group_dn, own_slapd, person, person_dn
from stead_ldap.provider import LdapProvider

MANY = 10_000
DEEP = 60


def _enormous() -> Iterator[Item]:
    """alice is in 10,000 groups, which form circles of a hundred; bob is at the bottom of a tower."""
    for number in range(MANY):
        ring = number - number % 100 + (number + 1) % 100
        yield group(f"many-{number}", person_dn("alice"), group_dn(f"many-{ring}"))
    yield group("deep-0", person_dn("bob"))
    for number in range(1, DEEP):
        yield group(f"deep-{number}", group_dn(f"deep-{number - 1}"))
    yield group("self", group_dn("self"), person_dn("carol"))


@pytest.fixture(scope="module")
def enormous() -> Iterator[Slapd]:
    with own_slapd(person("alice"), person("bob"), person("carol"), *_enormous()) as server:
        yield server


def seen(provider: LdapProvider, username: str) -> tuple[Person, Trace]:
    trace = Trace()
    found = provider.verify(Credentials(username, f"{username}-secret", trace))
    assert found is not None
    assert found.groups is not None
    return found, trace


@pytest.mark.timeout(300)
def test_ten_thousand_groups_in_circles(enormous: Slapd, provider_for: Make) -> None:
    provider = provider_for(enormous, timeout=100, deadline=200)
    began = time.monotonic()
    found, trace = seen(provider, "alice")
    took = time.monotonic() - began
    assert found.groups is not None
    assert len(found.groups) == MANY
    assert trace.steps[-1].ok
    assert took < 100
    print(f"10,000 groups with circles: {took:.1f} s")


@pytest.mark.timeout(300)
def test_the_bounds_hold_and_are_told(enormous: Slapd, provider_for: Make) -> None:
    few, trace = seen(provider_for(enormous, max_groups=250, timeout=100), "alice")
    assert few.groups is not None
    assert len(few.groups) == 250
    assert not trace.steps[-1].ok
    low, trace = seen(provider_for(enormous, max_groups=5), "bob")
    assert low.groups == tuple(f"deep-{number}" for number in range(5))
    assert not trace.steps[-1].ok
    flat, trace = seen(provider_for(enormous, nesting=10), "bob")
    assert flat.groups == tuple(sorted(f"deep-{number}" for number in range(10)))
    assert not trace.steps[-1].ok


def test_a_tower_is_climbed_to_its_top(enormous: Slapd, provider_for: Make) -> None:
    tall, trace = seen(provider_for(enormous, nesting=100), "bob")
    assert tall.groups is not None
    assert len(tall.groups) == DEEP
    assert trace.steps[-1].ok


def test_a_group_in_itself_ends(enormous: Slapd, provider_for: Make) -> None:
    found, trace = seen(provider_for(enormous), "carol")
    assert found.groups == ("self",)
    assert trace.steps[-1].ok, "it was not the bound that ended it"


def test_pages_bring_what_the_server_gives_only_in_pages(enormous: Slapd, provider_for: Make) -> None:
    """The server gives a hundred entries to whoever asks for no pages."""
    found, _ = seen(provider_for(enormous, nested=False, page_size=77, timeout=100), "alice")
    assert found.groups is not None
    assert len(found.groups) == MANY


def test_groups_by_the_attribute_of_the_person(provider_for: Make) -> None:
    groups = (group("a", person_dn("alice")), group("b", group_dn("a")), group("c", group_dn("b")))
    with own_slapd(person("alice"), *groups, overlays=MEMBER_OF) as server:
        server.change(group_dn("a"), member=[person_dn("alice"), person_dn("nobody")])
        server.change(group_dn("a"), member=person_dn("nobody"))
        server.change(group_dn("a"), member=person_dn("alice"))
        nested, _ = seen(provider_for(server, group_search="member_of"), "alice")
        direct, _ = seen(provider_for(server, group_search="member_of", nested=False), "alice")
        by_dn, _ = seen(provider_for(server, group_search="member_of", group_name="dn"), "alice")
        described, _ = seen(provider_for(server, group_search="member_of", group_name="description"), "alice")
    assert nested.groups == ("a", "b", "c")
    assert direct.groups == ("a",)
    assert by_dn.groups == described.groups == (group_dn("a"), group_dn("b"), group_dn("c"))
