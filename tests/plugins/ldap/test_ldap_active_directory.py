"""Active Directory's own ways, against Samba's domain controller."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from ldap_people import Make
from samba_ad import ADMIN, ADMIN_PASSWORD, BASE, ActiveDirectory

from stead.api.signin import AuthenticationFailed, Credentials, Link, Person, Trace
from stead_ldap.provider import LdapProvider
from stead_ldap.wire import Refused

pytestmark = pytest.mark.timeout(600)
GROUPS_OF_ALICE = ("circle", "developers", "engineering", "ring", "staff")
AT_DOMAIN = "{username}@ad.example.test"


@pytest.fixture
def provider(domain: ActiveDirectory, provider_for: Make) -> LdapProvider:
    return provider_for(**settings(domain))


def settings(domain: ActiveDirectory, **changes: Any) -> dict[str, Any]:
    given = {
        "servers": [domain.tls_url],
        "form": "active_directory",
        "base": BASE,
        "bind_dn": ADMIN,
        "bind_password": ADMIN_PASSWORD,
        "ca_file": domain.authority.certificate,
    }
    return {**given, **changes}


def sign_in(provider: LdapProvider, username: str, password: str = "") -> Person | None:
    return provider.verify(Credentials(username, password or f"{username.title()}-secret1"))


def refused(provider: LdapProvider, username: str, password: str = "") -> AuthenticationFailed:
    with pytest.raises(AuthenticationFailed) as caught:
        sign_in(provider, username, password)
    return caught.value


@pytest.mark.parametrize("typed", ["alice", "ALICE", "alice@ad.example.test", "ADX\\alice"])
def test_people_sign_in_by_each_of_their_names(domain: ActiveDirectory, provider_for: Make, typed: str) -> None:
    provider = provider_for(**settings(domain, netbios_domain="ADX"))
    signed_in = sign_in(provider, typed, "Alice-secret1")
    assert signed_in is not None
    assert (signed_in.username, signed_in.name, signed_in.email) == ("alice", "Alice Example", "alice@example.test")
    assert str(uuid.UUID(signed_in.subject)) == signed_in.subject
    assert signed_in.groups == GROUPS_OF_ALICE


def test_starttls(domain: ActiveDirectory, provider_for: Make) -> None:
    assert sign_in(provider_for(**settings(domain, servers=[domain.url])), "bob") is not None


@pytest.mark.parametrize("how", ["search", "member_of"])
def test_groups_in_groups_are_the_same_without_the_servers_help(
    domain: ActiveDirectory, provider_for: Make, how: str
) -> None:
    signed_in = sign_in(provider_for(**settings(domain, group_search=how)), "alice")
    assert signed_in is not None
    assert signed_in.groups == GROUPS_OF_ALICE


@pytest.mark.parametrize("how", ["matching_rule", "search", "member_of"])
def test_groups_in_groups_may_be_left_out(domain: ActiveDirectory, provider_for: Make, how: str) -> None:
    signed_in = sign_in(provider_for(**settings(domain, group_search=how, nested=False)), "alice")
    assert signed_in is not None
    assert signed_in.groups == ("developers",)


def test_nobody_and_a_wrong_password(provider: LdapProvider) -> None:
    assert sign_in(provider, "nobody") is None
    failure = refused(provider, "bob", "wrong")
    assert failure.message == "Signing in did not succeed."


@pytest.mark.parametrize(
    ("username", "code", "told"),
    [
        ("disabled", "533", "This account is disabled in the directory."),
        ("expired", "701", "This account has expired in the directory."),
        ("mustchange", "773", "Your password must be changed first."),
        ("nohours", "530", "You may not sign in at this hour."),
        ("elsewhere", "531", "You may not sign in from here."),
    ],
)
def test_the_reasons_of_the_server_are_told(provider: LdapProvider, username: str, code: str, told: str) -> None:
    failure = refused(provider, username)
    assert isinstance(failure.__cause__, Refused)
    assert f"data {code}," in failure.__cause__.diagnostic
    assert failure.message == told
    # To somebody with the password alone.
    assert refused(provider, username, "wrong").message == "Signing in did not succeed."


def test_a_locked_account_is_refused_and_its_sessions_stay(provider: LdapProvider) -> None:
    signed_in = sign_in(provider, "locked")
    assert signed_in is not None
    for _ in range(3):
        refused(provider, "locked", "wrong")
    failure = refused(provider, "locked")
    assert "locked" in failure.detail
    assert failure.message == "Signing in did not succeed."
    link = Link(signed_in.issuer, signed_in.subject, signed_in.username, signed_in.email)
    assert provider.look_up(link, Trace()) is not None


def test_a_look_up_sees_renames_disabling_and_departure(domain: ActiveDirectory, provider: LdapProvider) -> None:
    signed_in = sign_in(provider, "bob")
    assert signed_in is not None
    link = Link(signed_in.issuer, signed_in.subject, signed_in.username, signed_in.email)
    old, new = f"CN=bob,CN=Users,{BASE}", f"CN=Robert,CN=Users,{BASE}"
    domain.change(f"dn: {old}\nchangetype: modrdn\nnewrdn: CN=Robert\ndeleteoldrdn: 1\n")
    domain.change(f"dn: {new}\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: robert\n")
    seen = provider.look_up(link, Trace())
    assert seen is not None
    assert (seen.subject, seen.username) == (link.subject, "robert")
    assert seen.groups == GROUPS_OF_ALICE
    domain.change(f"dn: {new}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n")
    with pytest.raises(AuthenticationFailed, match="disabled"):
        provider.look_up(link, Trace())
    domain.change(f"dn: {new}\nchangetype: delete\n")
    assert provider.look_up(link, Trace()) is None


def test_direct_bind_with_a_name_at_the_domain(domain: ActiveDirectory, provider_for: Make) -> None:
    alone = provider_for(**settings(domain, direct=AT_DOMAIN, bind_dn="", bind_password=""))
    signed_in = sign_in(alone, "alice")
    assert signed_in is not None
    assert signed_in.groups == GROUPS_OF_ALICE
    refused(alone, "alice", "wrong")


def test_a_name_that_binds_as_one_and_finds_another_is_refused(domain: ActiveDirectory, provider_for: Make) -> None:
    """mallory signs in to the directory as boss@…, and the victim's mail is boss@…: the password is mallory's."""
    provider = provider_for(**settings(domain, direct=AT_DOMAIN, user_filter="(mail={username}@example.test)"))
    found = provider.find("boss", Trace())
    assert found is not None
    assert found.username == "victim"
    refused(provider, "boss", "Mallory-secret1")


def test_the_check_passes(provider: LdapProvider) -> None:
    report = provider.check()
    assert report.ok, report
