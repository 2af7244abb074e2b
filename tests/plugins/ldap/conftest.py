"""A directory with people in it, on a real slapd, and providers that ask it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.testing.slapd import MEMBER_OF, Slapd, own_slapd
from stead_ldap.provider import LdapProvider

sys.path.insert(0, str(Path(__file__).parent))

from ldap_people import GROUPS, PEOPLE, Make, settings_for
from samba_ad import ActiveDirectory, active_directory


@pytest.fixture
def provider_for() -> Iterator[Make]:
    """``provider_for(server, ..., setting=value)``: closed at the end."""
    made: list[LdapProvider] = []

    def make(*servers: Slapd, **changes: Any) -> LdapProvider:
        made.append(LdapProvider(settings_for(*servers, **changes)))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """One server for the tests of a module that change nothing."""
    with own_slapd(*PEOPLE, *GROUPS, overlays=MEMBER_OF) as server:
        yield server


@pytest.fixture(scope="module")
def domain() -> Iterator[ActiveDirectory]:
    """A domain controller for the tests of a module."""
    with active_directory() as server:
        yield server
