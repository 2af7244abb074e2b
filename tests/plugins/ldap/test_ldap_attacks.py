"""What people type to become somebody else, and what servers send to do harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sansldap
from ldap_people import PEOPLE, Make
from ldap_strange import believing, saying, strange_server

from stead.api.errors import Unavailable
from stead.api.signin import AuthenticationFailed, Credentials, Link, Person, Trace
from stead.testing.slapd import BASE, Item, Slapd, entry_uuid, group, own_slapd, person, person_dn
from stead_ldap.provider import LdapProvider
from stead_ldap.transport import Deadline

PERSON_DN = "uid={username},ou=people," + BASE
INJECTIONS = (
    "*",
    "al*",
    "alice)(uid=*",
    "*)(uid=*))(|(uid=*",
    "alice)(objectClass=*",
    "alice\\2a",
    "alice\x00",
    "a" * 100_000,
    "\\",
    "()",
    "\u202ealice",
    "\ud800",
)


def sign_in(provider: LdapProvider, username: str, password: str = "") -> Person | None:
    return provider.verify(Credentials(username, password or f"{username}-secret"))


@pytest.fixture(scope="module")
def careless() -> Iterator[Slapd]:
    """It takes a bind without a password for a success, as servers may (RFC 4513, 5.1.2)."""
    with own_slapd(*PEOPLE, allow="bind_anon_cred bind_anon_dn", anonymous="read") as server:
        yield server


@pytest.mark.parametrize("direct", ["", PERSON_DN])
@pytest.mark.parametrize("password", ["", "\x00", "alice-secret\x00", "\ud800", "x" * 100_000])
def test_no_password_is_no_password(careless: Slapd, provider_for: Make, direct: str, password: str) -> None:
    provider = provider_for(careless, direct=direct)
    with pytest.raises(AuthenticationFailed):
        provider.verify(Credentials("alice", password))


def test_no_connection_binds_without_a_password(careless: Slapd, provider_for: Make) -> None:
    def bind_with_nothing(connection: object) -> None:
        connection.bind(person_dn("alice"), "", Deadline(30))  # type: ignore[attr-defined]

    with pytest.raises(ValueError, match="without a password"):
        provider_for(careless).directory.verifying(bind_with_nothing, Deadline(30))


@pytest.mark.parametrize("typed", INJECTIONS)
def test_what_means_something_in_a_filter_means_nothing(slapd: Slapd, provider_for: Make, typed: str) -> None:
    # Were it part of the filter, it would find alice, whose password this is, or be no filter.
    assert sign_in(provider_for(slapd), typed, "alice-secret") is None


def test_a_filter_cannot_be_widened_to_one_person(slapd: Slapd, provider_for: Make) -> None:
    """Without escaping this one finds alice alone, and her groups with her."""
    provider = provider_for(slapd, user_filter="(&(uid={username})(uid=*))")
    assert sign_in(provider, "alic*", "alice-secret") is None
    assert sign_in(provider, "alice)(cn=*", "alice-secret") is None


@pytest.mark.parametrize(
    "typed",
    ["alice,ou=people", "nobody,ou=x,uid=alice", "alice+cn=Alice", "alice\\", "#616c696365", "uid=alice", '"alice"'],
)
def test_what_means_something_in_a_dn_means_nothing(slapd: Slapd, provider_for: Make, typed: str) -> None:
    with pytest.raises(AuthenticationFailed):
        sign_in(provider_for(slapd, direct=PERSON_DN), typed, "alice-secret")


def test_a_dn_cannot_be_made_to_end_elsewhere(provider_for: Make) -> None:
    """Under ou=people there is a tree of somebody else's, who may write what they like into it."""
    mallory = Item(
        f"uid=alice,uid=mallory,ou=people,{BASE}",
        {"objectClass": ["inetOrgPerson"], "uid": "alice", "cn": "a", "sn": "a", "userPassword": "mallorys"},
    )
    with own_slapd(person("alice"), person("mallory"), mallory) as server:
        anybody = "(|(uid={username})(objectClass=inetOrgPerson))"
        provider = provider_for(server, direct=PERSON_DN, user_filter=anybody, group_search="none")
        assert sign_in(provider, "alice") is not None
        with pytest.raises(AuthenticationFailed):
            sign_in(provider, "alice,uid=mallory", "mallorys")


@pytest.mark.parametrize("direct", ["", PERSON_DN])
def test_names_with_every_sign_in_them_still_work(slapd: Slapd, provider_for: Make, direct: str) -> None:
    provider = provider_for(slapd, direct=direct)
    odd = "o,d=d+\"q'#<>;\\x"
    signed_in = sign_in(provider, odd, "odd-secret")
    assert signed_in is not None
    assert signed_in.username == odd
    sharp = sign_in(provider, "stra\u00dfe")
    assert sharp is not None
    assert sharp.username == "stra\u00dfe"


def test_a_group_with_signs_in_its_name_is_followed(provider_for: Make) -> None:
    odd = f"cn=a\\2a\\28b\\29\\5c,ou=groups,{BASE}"
    inner = Item(odd, {"objectClass": "groupOfNames", "cn": "a*(b)\\", "member": person_dn("alice")})
    with own_slapd(person("alice"), inner, group("outer", odd)) as server:
        signed_in = sign_in(provider_for(server), "alice")
    assert signed_in is not None
    assert signed_in.groups == ("a*(b)\\", "outer")


def test_a_subject_is_no_filter(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd)
    for subject in ("*", f"{entry_uuid(person_dn('alice'))[:8]}*", ")(uid=alice"):
        assert provider.look_up(Link(f"ldap:{BASE}", subject, "alice", ""), Trace()) is None


def endless(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes:
    """Entries without end, in one answer."""
    for number in range(3000):
        session.search_result_entry(
            message.message_id, f"uid={number},{BASE}", [sansldap.PartialAttribute("uid", [b"alice"])]
        )
    return session.data_to_send()


def test_a_server_that_sends_without_end_is_let_go(provider_for: Make) -> None:
    with strange_server(believing(endless)) as url:
        provider = provider_for(servers=[url], start_tls=False)
        with pytest.raises(Unavailable, match="more entries than were asked for"):
            sign_in(provider, "alice")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\x30\x84\x7f\xff\xff\xff", "max_message"),
        (b"\x30\x80\x02\x01\x01", "does not speak LDAP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak LDAP"),
        (b"\x30\x03\x02\x01\x07", "not whole"),
        (b"\x30\x0c\x02\x01\x63\x61\x07\x0a\x01\x00\x04\x00\x04\x00", "not LDAP"),
        (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x7f\x00\x04\x00\x04\x00", "not"),
        (b"\x30\x05\x02\x01\x01\x42\x00", "not LDAP"),
    ],
)
def test_what_is_not_ldap_is_no_answer(provider_for: Make, answer: bytes, said: str) -> None:
    with strange_server(saying(answer)) as url:
        provider = provider_for(servers=[url], start_tls=False)
        with pytest.raises(Unavailable, match=said):
            sign_in(provider, "alice")


def referring(target: str, code: sansldap.LDAPResultCode) -> object:
    """Sends everybody who searches to ``target``."""

    def answer(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes:
        if code == sansldap.LDAPResultCode.SUCCESS:
            session.search_result_reference(message.message_id, [target])
        done = sansldap.SearchResultDone(
            message_id=message.message_id,
            controls=[],
            result=sansldap.LDAPResult(code, "", "", [target] if code == sansldap.LDAPResultCode.REFERRAL else None),
        )
        session._send(done)
        return bytes(session.data_to_send())

    return answer


@pytest.mark.parametrize("code", [sansldap.LDAPResultCode.SUCCESS, sansldap.LDAPResultCode.REFERRAL])
def test_referrals_are_followed_only_to_hosts_that_are_named(
    slapd: Slapd, provider_for: Make, code: sansldap.LDAPResultCode
) -> None:
    heard: list[bytes] = []

    def listen(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes:
        heard.append(b"asked")
        return b""

    with strange_server(believing(listen)) as trap:
        target = f"{trap}/{BASE}??sub"
        with strange_server(believing(referring(target, code))) as url:  # type: ignore[arg-type]
            for hosts in ([], ["elsewhere.example.test"]):
                provider = provider_for(servers=[url], start_tls=False, referral_hosts=hosts)
                assert sign_in(provider, "alice") is None
    assert not heard
    target = f"{slapd.tls_url.replace('127.0.0.1', 'localhost')}/{BASE}??sub"
    with strange_server(believing(referring(target, code))) as url:  # type: ignore[arg-type]
        provider = provider_for(slapd, servers=[url], start_tls=False, referral_hosts=["localhost"])
        found = provider.find("alice", Trace())
        assert found is not None
        assert found.username == "alice"
