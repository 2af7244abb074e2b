"""How providers are reached: discovery, TLS, bounds, mix-up; and how Stead proves itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey
from stead_oidc_peer.flow import Flow, link_of, oidc_settings
from stead_oidc_peer.hostile import Hostile
from stead_oidc_peer.openid import OpenidPeer, client
from stead_oidc_peer.server import Reply, Server

from stead.api import AuthenticationFailed
from stead.api.errors import InvalidInput, Unavailable
from stead.testing.authority import Authority
from stead_oidc.provider import OidcProvider

Make = Callable[..., OidcProvider]
WELL_KNOWN = "GET /.well-known/openid-configuration"


def made(hostile: Hostile, **more: Any) -> OidcProvider:
    return OidcProvider(oidc_settings(hostile.issuer, **more))


def sign_in(provider: OidcProvider, hostile: Hostile):
    flow = Flow(provider)
    return flow.complete(hostile.authorize(flow.begin()))


def tls_of(authority: Authority, host: str) -> tuple[str, str]:
    issued = authority.issue(host, host)
    return str(issued.certificate), str(issued.key)


# Discovery


def test_it_is_asked_once(hostile: Hostile) -> None:
    provider = made(hostile)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: sign_in(provider, hostile), range(16)))
    assert hostile.count("/.well-known/openid-configuration") == 1
    assert hostile.count("/jwks") == 1


def test_nothing_is_asked_before_somebody_signs_in(hostile: Hostile) -> None:
    made(hostile)
    assert hostile.requests == []


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": "https://other.example"}, "says that the issuer is 'https://other.example'"),
        ({"issuer": None}, "has no issuer"),
        ({"token_endpoint": None}, "has no token_endpoint"),
        ({"jwks_uri": 7}, "has no jwks_uri"),
    ],
)
def test_documents_that_are_not_this_issuers(hostile: Hostile, metadata: dict[str, Any], why: str) -> None:
    hostile.metadata = metadata
    with pytest.raises(Unavailable, match=why):
        Flow(made(hostile)).begin()


def test_a_slash_more_is_another_issuer(hostile: Hostile) -> None:
    with pytest.raises(Unavailable, match="exactly what the provider calls itself"):
        Flow(OidcProvider(oidc_settings(f"{hostile.issuer}/"))).begin()


@pytest.mark.parametrize("endpoint", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize("address", ["http://203.0.113.7/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:1"])
def test_addresses_that_would_not_be_encrypted(hostile: Hostile, endpoint: str, address: str) -> None:
    hostile.metadata = {endpoint: address}
    with pytest.raises(Unavailable, match="must be an https URL"):
        sign_in(made(hostile), hostile)


def test_no_sign_out_page_that_is_none(hostile: Hostile) -> None:
    provider = made(hostile)
    link = link_of(sign_in(provider, hostile))
    assert (provider.sign_out_url(link, "https://stead.test/f", "s") or "").startswith(f"{hostile.url}/end?")
    hostile.metadata = {"end_session_endpoint": "javascript:alert(1)//"}
    assert made(hostile).sign_out_url(link, "https://stead.test/f", "s") is None
    hostile.metadata = {"end_session_endpoint": None}
    assert made(hostile).sign_out_url(link, "https://stead.test/f", "s") is None


@pytest.mark.parametrize("issuer", ["http://id.example.com", "ftp://x", "id.example.com", "https://x/?a=b", ""])
def test_issuers_that_are_none(issuer: str) -> None:
    with pytest.raises(ValueError):
        oidc_settings(issuer)


def test_plain_http_elsewhere_only_on_demand() -> None:
    assert oidc_settings("http://id.example.com", allow_http=True).issuer
    assert oidc_settings("http://127.0.0.1:1").issuer
    assert oidc_settings("http://[::1]:1").issuer
    for trick in ("http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://127.0.0.1@evil.example"):
        with pytest.raises(ValueError, match="https"):
            oidc_settings(trick)


# Mix-up


def test_an_answer_of_another_provider(hostile: Hostile) -> None:
    """RFC 9207: a code of one provider is never sent to another's token endpoint."""
    provider = made(hostile)
    flow = Flow(provider)
    answer = hostile.authorize(flow.begin())
    for iss in ("https://other.example", "", hostile.issuer + "/"):
        with pytest.raises(AuthenticationFailed) as refused:
            flow.complete({**answer, "iss": iss})
        assert "the answer is of" in refused.value.detail
    with pytest.raises(AuthenticationFailed) as refused:
        flow.complete({"code": answer["code"]})
    assert "does not say whose it is" in refused.value.detail
    assert hostile.count("/token") == 0
    assert flow.complete(answer).subject == "ada"


def test_two_providers_mixed_up(openid: OpenidPeer, hostile: Hostile) -> None:
    """The honest one's code comes back to the attempt that was begun at the attacker's, who waits for it."""
    honest, attackers = OidcProvider(oidc_settings(openid.issuer)), made(hostile)
    stolen = Flow(honest).answer(login="ada", password="x")
    victim = Flow(attackers)
    victim.begin()
    with pytest.raises(AuthenticationFailed):
        victim.complete(stolen)
    assert all(stolen["code"] not in request.body.decode() for request in hostile.requests)


def test_an_attempt_of_another_issuer(hostile: Hostile) -> None:
    flow = Flow(made(hostile))
    answer = hostile.authorize(flow.begin())
    assert flow.begun is not None
    flow.begun = replace(flow.begun, kept={**flow.begun.kept, "issuer": "https://other.example"})
    with pytest.raises(AuthenticationFailed) as refused:
        flow.complete(answer)
    assert "begun with another issuer" in refused.value.detail


def test_an_older_provider_that_does_not_name_itself(hostile: Hostile) -> None:
    hostile.metadata = {"authorization_response_iss_parameter_supported": None}
    flow = Flow(made(hostile))
    answer = hostile.authorize(flow.begin())
    assert flow.complete({"code": answer["code"]}).subject == "ada"


# Slow, large, broken


def test_a_server_that_says_nothing(hostile: Hostile) -> None:
    hostile.routes[WELL_KNOWN] = lambda _: Reply(hostile.document(), wait=90)
    before = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer within 1 seconds"):
        Flow(made(hostile, timeout=1)).begin()
    assert time.monotonic() - before < 30


def test_a_server_that_drips(hostile: Hostile) -> None:
    """A byte now and then keeps the usual time-outs from ever being reached."""
    hostile.routes[WELL_KNOWN] = lambda _: Reply(hostile.document(), drip=0.2)
    before = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer within 2 seconds"):
        Flow(made(hostile, timeout=2)).begin()
    assert time.monotonic() - before < 40


def test_those_behind_a_hanging_question_do_not_wait_for_ever(hostile: Hostile) -> None:
    hostile.routes[WELL_KNOWN] = lambda _: Reply(hostile.document(), wait=90)
    provider = made(hostile, timeout=1)

    def attempt(_: int) -> str:
        with pytest.raises(Unavailable) as refused:
            Flow(provider).begin()
        return refused.value.message

    before = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        assert len(list(pool.map(attempt, range(10)))) == 10
    assert time.monotonic() - before < 40


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/userinfo"])
def test_an_enormous_answer(hostile: Hostile, path: str) -> None:
    hostile.routes[f"GET {path}"] = lambda _: Reply(b'{"x": "' + b"a" * 3_000_000 + b'"}')
    with pytest.raises(Unavailable, match="sent more than 1000000 bytes"):
        sign_in(made(hostile, max_bytes=1_000_000), hostile)


def test_an_answer_that_would_unfold(hostile: Hostile) -> None:
    packed = {"content-encoding": "gzip"}
    hostile.routes[WELL_KNOWN] = lambda _: Reply(b"\x1f\x8b", 200, packed)
    with pytest.raises(Unavailable, match="compressed its answer"):
        Flow(made(hostile)).begin()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"[" * 100_000, b"\xff\xfe", b"null", b'{"keys": {}}', b'{"keys": [7, {}]}']
)
@pytest.mark.parametrize("route", [WELL_KNOWN, "GET /jwks", "POST /token", "GET /userinfo"])
def test_nonsense(hostile: Hostile, route: str, body: bytes) -> None:
    hostile.routes[route] = lambda _: Reply(body)
    with pytest.raises((Unavailable, AuthenticationFailed)):
        sign_in(made(hostile), hostile)


@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
@pytest.mark.parametrize("route", [WELL_KNOWN, "GET /jwks", "POST /token", "GET /userinfo"])
def test_answers_that_are_none(hostile: Hostile, route: str, status: int) -> None:
    elsewhere = {"location": f"{hostile.url}/elsewhere"}
    hostile.routes[route] = lambda _: Reply({"error": "server_error"}, status, elsewhere)
    with pytest.raises((Unavailable, AuthenticationFailed)):
        sign_in(made(hostile), hostile)
    assert hostile.count("/elsewhere") == 0  # redirects are not followed


def test_connections_that_are_closed_while_they_are_used(hostile: Hostile) -> None:
    """As servers do with those that were kept too long."""
    broken: list[str] = []

    def close_once(path: str):
        right = hostile.routes[path]

        def route(request):
            if path in broken:
                return right(request)
            broken.append(path)
            raise ConnectionAbortedError  # ends the connection without an answer

        return route

    for path in (WELL_KNOWN, "GET /jwks", "POST /token", "GET /userinfo"):
        hostile.routes[path] = close_once(path)
    assert sign_in(made(hostile), hostile).subject == "ada"
    assert len(broken) == 4


def test_ten_thousand_groups(hostile: Hostile) -> None:
    hostile.claims = {"groups": [f"group-{number:05}" for number in range(10_000)]}
    person = sign_in(made(hostile, groups_claim="groups"), hostile)
    assert person.groups is not None
    assert len(person.groups) == 10_000
    assert len(person.facts["groups"]) < 200
    assert "id_token" not in person.kept  # too long for the address of a sign-out page
    with pytest.raises(AuthenticationFailed, match="too many groups"):
        sign_in(made(hostile, groups_claim="groups", max_groups=9_999), hostile)


def test_groups_that_are_nested_very_deeply(hostile: Hostile) -> None:
    groups: list[Any] = ["inner"]
    for _ in range(200):
        groups = [groups, f"g{_}"]
    hostile.claims = {"groups": groups}
    person = sign_in(made(hostile, groups_claim="groups"), hostile)
    assert person.groups is not None
    assert len(person.groups) == 201


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_certificates(authority: Authority, tmp_path: Path) -> None:
    """The right one; one of an authority that is not ours; one of another host."""
    stranger = Authority(tmp_path)
    with Hostile(tls_of(authority, "127.0.0.1")) as right:
        assert sign_in(made(right, ca_file=authority.certificate), right).subject == "ada"
        with pytest.raises(Unavailable, match=r"certificate of .* is not trusted.*ca_file"):
            Flow(made(right)).begin()
        with pytest.raises(Unavailable, match="is not trusted"):
            Flow(made(right, ca_file=stranger.certificate)).begin()
    with (
        Hostile(tls_of(authority, "192.0.2.1")) as wrong,
        pytest.raises(Unavailable, match=r"is not trusted.*127\.0\.0\.1"),
    ):
        Flow(made(wrong, ca_file=authority.certificate)).begin()


def test_an_https_issuer_has_no_plain_addresses(authority: Authority) -> None:
    with Hostile(tls_of(authority, "127.0.0.1")) as peer, Server() as inside:
        peer.metadata = {"jwks_uri": f"{inside.url}/admin"}
        with pytest.raises(Unavailable, match="must be an https URL"):
            sign_in(made(peer, ca_file=authority.certificate), peer)
        assert inside.requests == []


def test_files_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "nonsense").write_text("nonsense")
    nonsense = tmp_path / "nonsense"
    for more in (
        {"client_secret": None, "client_secret_file": tmp_path / "missing"},
        {"client_secret": None, "client_secret_file": tmp_path / "empty"},
        {"ca_file": nonsense},
        {"client_auth": "private_key_jwt", "client_key_file": nonsense},
        {"tls_certificate_file": nonsense, "tls_key_file": nonsense},
        {"group_lookup": "google", "google_key_file": nonsense, "google_admin": "a@example.com"},
    ):
        with pytest.raises(InvalidInput):
            OidcProvider(oidc_settings("https://id.example.com", **more))


# How Stead proves itself


@pytest.fixture(scope="module")
def proving(npm_peers: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory):
    """A real provider behind TLS, with clients that have keys and certificates."""
    folder = tmp_path_factory.mktemp("proving")
    keys: dict[str, Any] = {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP256R1())}
    clients = [
        client(
            "by-certificate",
            token_endpoint_auth_method="tls_client_auth",
            tls_client_auth_subject_dn="stead",
        )
    ]
    for name, key in keys.items():
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(pem)
        public = (RSAKey if name == "rsa" else ECKey).import_key(pem).as_dict(private=False)
        clients.append(
            client(
                f"by-{name}-key",
                token_endpoint_auth_method="private_key_jwt",
                jwks={"keys": [{**public, "kid": "stead-1", "use": "sig"}]},
            )
        )
    clients = [{k: v for k, v in one.items() if k != "client_secret"} for one in clients]
    certificate, key = tls_of(authority, "127.0.0.1")
    tls = {"cert": certificate, "key": key, "ca": str(authority.certificate)}
    with OpenidPeer(folder / "peer", clients, tls=tls) as peer:
        yield peer, folder


@pytest.mark.parametrize("kind", ["rsa", "ec"])
@pytest.mark.parametrize("audience", ["token_endpoint", "issuer"])
def test_a_private_key(proving, authority: Authority, kind: str, audience: str) -> None:
    peer, folder = proving
    more = {
        "client_id": f"by-{kind}-key",
        "client_secret": None,
        "client_key_file": folder / f"{kind}.pem",
        "client_key_id": "stead-1",
        "client_assertion_audience": audience,
    }
    provider = OidcProvider(oidc_settings(peer.issuer, ca_file=authority.certificate, **more))
    assert Flow(provider).sign_in(login="ada", password="x").subject == "ada"
    wrong = {**more, "client_key_file": folder / f"{'ec' if kind == 'rsa' else 'rsa'}.pem"}
    with pytest.raises(Unavailable, match="does not take Stead's own credentials"):
        Flow(OidcProvider(oidc_settings(peer.issuer, ca_file=authority.certificate, **wrong))).sign_in(
            login="ada", password="x"
        )


def test_a_client_certificate(proving, authority: Authority, tmp_path: Path) -> None:
    peer, _ = proving
    more = {"client_id": "by-certificate", "client_secret": None, "ca_file": authority.certificate}
    for name, accepted in (("stead", True), ("somebody-else", False)):
        issued = authority.issue(name)
        given = {"tls_certificate_file": issued.certificate, "tls_key_file": issued.key}
        flow = Flow(OidcProvider(oidc_settings(peer.issuer, **more, **given)))
        if accepted:
            assert flow.sign_in(login="ada", password="x").subject == "ada"
        else:
            with pytest.raises(Unavailable, match="does not take Stead's own credentials"):
                flow.sign_in(login="ada", password="x")


def test_several_providers_at_once(openid: OpenidPeer, hostile: Hostile) -> None:
    providers = [OidcProvider(oidc_settings(openid.issuer)), made(hostile)]
    assert Flow(providers[0]).sign_in(login="ada", password="x").issuer == openid.issuer
    assert sign_in(providers[1], hostile).issuer == hostile.issuer
    hostile.routes[WELL_KNOWN] = lambda _: Reply({}, 503)
    with pytest.raises(Unavailable):
        Flow(made(hostile)).begin()
    assert Flow(providers[0]).sign_in(login="ada", password="x").subject == "ada"
