"""Who is in the directory of these tests, and the settings to ask it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stead.testing.slapd import BASE, READER, READER_PASSWORD, Item, Slapd, group, group_dn, person, person_dn
from stead_ldap.provider import LdapProvider
from stead_ldap.settings import LdapSettings

Make = Callable[..., LdapProvider]

# developers is in engineering, which is in staff; ring and circle are in each other, and ring holds developers.
PEOPLE = (
    person("alice", displayName="Alice Example"),
    person("bob"),
    person("carol", mail=["carol@example.test", "c@example.test"]),
    person("gone", shadowExpire="1"),
    person("twin1", mail="twin@example.test"),
    person("twin2", mail="twin@example.test"),
    person("o,d=d+\"q'#<>;\\x", password="odd-secret"),
    person("stra\u00dfe"),
)
GROUPS = (
    group("developers", person_dn("alice"), person_dn("bob")),
    group("engineering", group_dn("developers")),
    group("staff", group_dn("engineering"), person_dn("carol")),
    group("ring", group_dn("circle"), group_dn("developers")),
    group("circle", group_dn("ring")),
    Item(
        f"cn=unique,ou=groups,{BASE}",
        {"objectClass": "groupOfUniqueNames", "cn": "unique", "uniqueMember": person_dn("alice")},
    ),
    Item(
        f"cn=posix,ou=groups,{BASE}",
        {"objectClass": "posixGroup", "cn": "posix", "gidNumber": "1000", "memberUid": ["alice", "carol"]},
    ),
)
ALL_OF_ALICE = ("circle", "developers", "engineering", "posix", "ring", "staff", "unique")


def settings_for(*servers: Slapd, **changes: Any) -> LdapSettings:
    """Short of time, so that a test of what hangs ends soon; generous enough for a machine that is busy."""
    given = {
        "servers": [server.tls_url for server in servers],
        "base": BASE,
        "bind_dn": READER,
        "bind_password": READER_PASSWORD,
        "ca_file": servers[0].authority.certificate if servers else None,
        "connect_timeout": 30,
        "timeout": 30,
        "deadline": 90,
        **changes,
    }
    return LdapSettings.model_validate({name: value for name, value in given.items() if value is not None})
