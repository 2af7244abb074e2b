"""Signing in against a real slapd: who is let in, who is not, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ldap_people import ALL_OF_ALICE, GROUPS, PEOPLE, Make, settings_for

from stead.api.errors import InvalidInput, Unavailable
from stead.api.signin import AuthenticationFailed, Credentials, Link, Person, Trace
from stead.testing.slapd import BASE, MEMBER_OF, POLICY, Slapd, entry_uuid, own_slapd, person, person_dn
from stead_ldap.provider import LdapProvider

PERSON_DN = "uid={username},ou=people," + BASE


@pytest.fixture
def own() -> Iterator[Slapd]:
    """A server of the test's own, to change."""
    with own_slapd(*PEOPLE, *GROUPS, overlays=MEMBER_OF + POLICY) as server:
        yield server


def sign_in(provider: LdapProvider, username: str, password: str = "") -> Person | None:
    return provider.verify(Credentials(username, password or f"{username}-secret"))


def refused(provider: LdapProvider, username: str, password: str = "") -> AuthenticationFailed:
    with pytest.raises(AuthenticationFailed) as caught:
        sign_in(provider, username, password)
    return caught.value


def link_of(person: Person | None) -> Link:
    assert person is not None
    return Link(person.issuer, person.subject, person.username, person.email)


@pytest.mark.parametrize("how", ["ldaps", "starttls", "direct", "direct without an account"])
def test_a_person_signs_in(slapd: Slapd, provider_for: Make, how: str) -> None:
    changes = {
        "ldaps": {},
        "starttls": {"servers": [slapd.url]},
        "direct": {"direct": PERSON_DN},
        "direct without an account": {"direct": PERSON_DN, "bind_dn": "", "bind_password": ""},
    }[how]
    signed_in = sign_in(provider_for(slapd, **changes), "alice")
    assert signed_in is not None
    assert signed_in.issuer == f"ldap:{BASE}"
    assert signed_in.subject == entry_uuid(person_dn("alice"))
    assert (signed_in.username, signed_in.email, signed_in.name) == ("alice", "alice@example.test", "Alice Example")
    assert signed_in.groups == ALL_OF_ALICE
    assert not signed_in.email_verified


def test_the_name_may_be_what_the_filter_says(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd, user_filter="(|(uid={username})(mail={username}))", trust_email=True)
    signed_in = sign_in(provider, "c@example.test", "carol-secret")
    assert signed_in is not None
    assert signed_in.username == "carol"
    assert signed_in.email_verified


def test_nobody_of_that_name_is_not_mine(slapd: Slapd, provider_for: Make) -> None:
    assert sign_in(provider_for(slapd), "nobody") is None


@pytest.mark.parametrize("direct", ["", PERSON_DN])
def test_a_wrong_password_stops_here(slapd: Slapd, provider_for: Make, direct: str) -> None:
    provider = provider_for(slapd, direct=direct)
    failure = refused(provider, "alice", "bob-secret")
    assert failure.message == "Signing in did not succeed."
    assert "password" in failure.detail
    assert "bob-secret" not in failure.detail
    # The connection that saw the refusal serves the next one.
    assert sign_in(provider, "alice") is not None


def test_a_name_that_two_people_have_is_refused(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd, user_filter="(mail={username})")
    assert "more than one" in refused(provider, "twin@example.test", "twin1-secret").detail


def test_direct_bind_keeps_to_the_filter(slapd: Slapd, provider_for: Make) -> None:
    only_bob = "(&(uid={username})(uid=bob))"
    provider = provider_for(slapd, direct=PERSON_DN, user_filter=only_bob)
    assert sign_in(provider, "bob") is not None
    assert "user_filter" in refused(provider, "alice").detail


def test_only_members_of_the_allowed_groups_come_in(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd, allowed_groups=["Staff"])
    assert sign_in(provider, "alice") is not None  # by groups in groups
    failure = refused(provider, "twin1")
    assert failure.message == "You may not use Stead here."
    by_dn = provider_for(slapd, allowed_groups=[f"CN=staff, ou=groups, {BASE}"])
    assert sign_in(by_dn, "carol") is not None
    nothing_asked = provider_for(slapd, allowed_groups=["staff"], group_search="none")
    refused(nothing_asked, "alice")


def test_groups_are_unknown_where_they_are_not_asked_for(slapd: Slapd, provider_for: Make) -> None:
    signed_in = sign_in(provider_for(slapd, group_search="none"), "alice")
    assert signed_in is not None
    assert signed_in.groups is None


def test_a_look_up_says_how_they_stand_now(own: Slapd, provider_for: Make) -> None:
    provider = provider_for(own)
    link = link_of(sign_in(provider, "alice"))
    own.rename(person_dn("alice"), "uid=alicia")
    renamed = provider.look_up(link, Trace())
    assert renamed is not None
    assert (renamed.subject, renamed.username) == (link.subject, "alicia")
    own.change(person_dn("alicia"), shadowExpire="1")
    with pytest.raises(AuthenticationFailed, match="expired"):
        provider.look_up(link, Trace())
    own.remove(person_dn("alicia"))
    trace = Trace()
    assert provider.look_up(link, trace) is None
    assert link.subject in trace.steps[-1].detail


def test_another_entry_of_the_same_name_is_somebody_else(own: Slapd, provider_for: Make) -> None:
    provider = provider_for(own)
    link = link_of(sign_in(provider, "bob"))
    own.remove(person_dn("bob"))
    own.add(person("bob"))
    successor = sign_in(provider, "bob")
    assert successor is not None
    assert successor.subject != link.subject
    assert provider.look_up(link, Trace()) is None


def test_who_may_not_read_sees_nobody_and_ends_no_session(own: Slapd, provider_for: Make) -> None:
    link = link_of(sign_in(provider_for(own), "bob"))
    blind = provider_for(own, bind_dn="", bind_password="")
    with pytest.raises(Unavailable):
        blind.look_up(link, Trace())
    with own_slapd(*PEOPLE, anonymous="search") as shy, pytest.raises(Unavailable, match="nobody at all"):
        # Here the search succeeds, and finds nothing.
        provider_for(shy, bind_dn="", bind_password="").look_up(link, Trace())
    elsewhere = provider_for(own, issuer="ldap:elsewhere")
    with pytest.raises(Unavailable, match="linked to"):
        elsewhere.look_up(link, Trace())


def test_direct_bind_alone_cannot_look_up(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd, direct=PERSON_DN, bind_dn="", bind_password="")
    link = link_of(sign_in(provider, "bob"))
    with pytest.raises(Unavailable, match="bind_dn"):
        provider.look_up(link, Trace())
    with pytest.raises(Unavailable, match="bind_dn"):
        provider.find("bob", Trace())


def test_an_administrator_sees_step_by_step_what_somebody_would_get(slapd: Slapd, provider_for: Make) -> None:
    provider, trace = provider_for(slapd), Trace()
    found = provider.find("alice", trace)
    assert found is not None
    assert found.groups == ALL_OF_ALICE
    assert found.facts["dn"] == person_dn("alice")
    text = "\n".join(f"{step.title}: {step.detail}" for step in trace.steps)
    assert "(uid=alice)) finds uid=alice" in text
    assert "Groups: 7 on " in text
    assert provider.find("nobody", trace) is None
    assert not trace.steps[-1].ok


def test_no_secret_is_shown(slapd: Slapd, provider_for: Make) -> None:
    provider, trace = provider_for(slapd), Trace()
    signed_in = provider.verify(Credentials("alice", "alice-secret", trace))
    shown = repr((signed_in, signed_in and signed_in.facts, trace.steps, provider.settings, vars(provider)))
    assert "alice-secret" not in shown
    assert "reader-secret" not in shown


def test_an_expired_account_is_told_so_after_its_password(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd)
    assert "expired" in refused(provider, "gone").message
    assert refused(provider, "gone", "wrong").message == "Signing in did not succeed."


def test_the_password_policy_of_the_server_counts(own: Slapd, provider_for: Make) -> None:
    provider = provider_for(own)
    own.change(person_dn("carol"), pwdReset="TRUE")
    assert refused(provider, "carol").message == "Your password must be changed first."
    link = link_of(sign_in(provider, "bob"))
    for _ in range(3):
        refused(provider, "bob", "wrong")
    locked = refused(provider, "bob")
    assert locked.message == "Signing in did not succeed."
    assert "locked" in locked.detail
    # Anybody could have locked it: their sessions go on.
    assert provider.look_up(link, Trace()) is not None
    own.change(person_dn("bob"), pwdAccountLockedTime="000001010000Z")
    with pytest.raises(AuthenticationFailed, match="disabled"):
        provider.look_up(link, Trace())


def test_an_account_of_the_settings_that_is_refused_is_told_to_the_administrator(
    slapd: Slapd, provider_for: Make
) -> None:
    provider = provider_for(slapd, bind_password="wrong")
    with pytest.raises(Unavailable, match="bind_dn"):
        sign_in(provider, "alice")
    report = provider.check()
    assert not report.ok
    assert "bind_dn" in " ".join(report.remedies)


def test_the_check_finds_what_is_wrong(slapd: Slapd, provider_for: Make) -> None:
    assert provider_for(slapd).check().ok
    for changes, said in (
        ({"base": "dc=elsewhere,dc=test"}, "Check the base"),
        ({"user_filter": "(employeeType={username})"}, "user_filter finds nobody"),
        ({"subject": "objectGUID"}, "has no objectGUID"),
        ({"servers": [slapd.url], "start_tls": False}, "in the clear"),
        ({"servers": [slapd.tls_url, "ldaps://127.0.0.1:1"]}, "127.0.0.1:1"),
    ):
        report = provider_for(slapd, **changes).check()
        assert not report.ok
        assert said in " ".join(report.remedies), changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"servers": ["http://127.0.0.1"]}, "is no server"),
        ({"user_filter": "(uid=alice)"}, "user_filter must have"),
        ({"direct": "uid=alice"}, "direct must have"),
        ({"bind_password": ""}, "anonymous"),
        ({"bind_dn": ""}, "belongs to a bind_dn"),
        ({"bind_external": True}, "client_cert_file"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(slapd: Slapd, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings_for(slapd, **changes)


def test_files_that_cannot_be_read_stop_the_start(slapd: Slapd, tmp_path: object) -> None:
    for changes in (
        {"ca_file": "/nowhere.pem"},
        {"client_cert_file": "/nowhere.pem"},
        {"bind_password": "", "bind_password_file": "/nowhere"},
        {"user_filter": "(&(uid={username})"},
    ):
        with pytest.raises(InvalidInput):
            LdapProvider(settings_for(slapd, **changes))
