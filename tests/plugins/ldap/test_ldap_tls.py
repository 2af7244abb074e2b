"""Encryption: who is trusted, and that nothing goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sansldap
from ldap_people import PEOPLE, Make
from ldap_strange import believing, saying, strange_server

from stead.api.errors import Unavailable
from stead.api.signin import Credentials, Person
from stead.testing.authority import Authority
from stead.testing.slapd import Slapd, own_slapd
from stead_ldap.provider import LdapProvider

STARTED = sansldap.ExtendedResponse(
    message_id=1,
    controls=[],
    result=sansldap.LDAPResult(sansldap.LDAPResultCode.SUCCESS, "", "", None),
    name="1.3.6.1.4.1.1466.20037",
    value=None,
)


def packed(message: sansldap.LDAPMessage) -> bytes:
    return bytes(message.pack(sansldap.LDAPSession()._packing_options))


def sign_in(provider: LdapProvider) -> Person | None:
    return provider.verify(Credentials("alice", "alice-secret"))


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Slapd]:
    """Its certificate is good, and for another host."""
    with own_slapd(*PEOPLE, hosts=["ldap.example.test"]) as server:
        yield server


@pytest.fixture(params=["tls_url", "url"])
def scheme(request: pytest.FixtureRequest) -> str:
    """LDAPS, and StartTLS."""
    return str(request.param)


def test_a_certificate_of_a_wrong_host_is_refused(elsewhere: Slapd, provider_for: Make, scheme: str) -> None:
    url = getattr(elsewhere, scheme)
    with pytest.raises(Unavailable, match=r"another name than 127\.0\.0\.1"):
        sign_in(provider_for(elsewhere, servers=[url]))
    assert sign_in(provider_for(elsewhere, servers=[url], server_name="ldap.example.test")) is not None


def test_a_certificate_of_a_wrong_authority_is_refused(
    slapd: Slapd, provider_for: Make, scheme: str, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path)
    for ca_file in (stranger.certificate, None):  # another one, and the system's
        with pytest.raises(Unavailable, match="not trusted"):
            sign_in(provider_for(slapd, servers=[getattr(slapd, scheme)], ca_file=ca_file))


def test_a_server_without_starttls_gets_no_password(provider_for: Make) -> None:
    heard: list[bytes] = []

    def refuse(session: sansldap.LDAPServer, message: sansldap.LDAPMessage) -> bytes:
        heard.append(packed(message))
        session.extended_response(message.message_id, result_code=sansldap.LDAPResultCode.PROTOCOL_ERROR)
        return session.data_to_send()

    with strange_server(believing(refuse)) as url, pytest.raises(Unavailable, match="does not offer StartTLS"):
        sign_in(provider_for(servers=[url]))
    assert heard
    assert b"secret" not in b"".join(heard)


def test_data_in_the_clear_after_starttls_is_not_taken_for_the_servers(provider_for: Make) -> None:
    injected = packed(STARTED) + b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
    with strange_server(saying(injected)) as url, pytest.raises(Unavailable, match="somebody may be in between"):
        sign_in(provider_for(servers=[url]))


def test_in_the_clear_only_where_it_is_asked_for(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd, servers=[slapd.url], start_tls=False, ca_file=None)
    assert sign_in(provider) is not None
    assert not provider.check().ok


def test_the_account_may_be_a_client_certificate(slapd: Slapd, provider_for: Make, scheme: str, tmp_path: Path) -> None:
    issued = slapd.authority.issue("stead")
    certificate = {"client_cert_file": issued.certificate, "client_key_file": issued.key, "bind_external": True}
    nobody = {"bind_dn": "", "bind_password": "", "servers": [getattr(slapd, scheme)]}
    assert sign_in(provider_for(slapd, **certificate, **nobody)) is not None
    forged = Authority(tmp_path).issue("stead")
    certificate.update(client_cert_file=forged.certificate, client_key_file=forged.key)
    with pytest.raises(Unavailable, match=r"closed the connection|encryption failed|reset"):
        sign_in(provider_for(slapd, **certificate, **nobody))


def test_old_protocols_are_refused(slapd: Slapd, provider_for: Make) -> None:
    provider = provider_for(slapd)
    assert provider.directory._transport.context.minimum_version.name == "TLSv1_2"
