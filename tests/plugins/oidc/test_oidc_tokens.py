"""What a provider or somebody in its place may try with tokens. Each defence has its own test."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from stead_oidc_peer.flow import Flow, oidc_settings
from stead_oidc_peer.hostile import KEY, OTHER_KEY, Hostile, by_hand, signed
from stead_oidc_peer.server import Reply, now

from stead.api import AuthenticationFailed
from stead.api.errors import Unavailable
from stead_oidc.provider import OidcProvider
from stead_oidc.tokens import LOGOUT_EVENT

LEEWAY = 60


@pytest.fixture
def provider(hostile: Hostile) -> Iterator[OidcProvider]:
    made = OidcProvider(oidc_settings(hostile.issuer, leeway=LEEWAY, key_refresh_interval=0))
    yield made
    made.close()


def sign_in(provider: OidcProvider, hostile: Hostile):
    flow = Flow(provider)
    return flow.complete(hostile.authorize(flow.begin()))


def refusal(provider: OidcProvider, hostile: Hostile) -> str:
    with pytest.raises(AuthenticationFailed) as refused:
        sign_in(provider, hostile)
    return refused.value.detail


def test_the_stand_in_is_right_before_a_test_makes_it_wrong(provider: OidcProvider, hostile: Hostile) -> None:
    person = sign_in(provider, hostile)
    assert (person.subject, person.email, person.email_verified) == ("ada", "ada@example.com", True)


# Signatures


def test_a_token_without_a_signature(provider: OidcProvider, hostile: Hostile) -> None:
    for none in ("none", "None", "nOnE"):
        hostile.sign = lambda claims, none=none: by_hand({"alg": none, "typ": "JWT"}, claims, lambda _: b"")
        assert "not allowed" in refusal(provider, hostile)


@pytest.mark.parametrize("secret", ["pem", "der", "jwk"])
def test_the_public_key_as_a_shared_secret(provider: OidcProvider, hostile: Hostile, secret: str) -> None:
    """Key confusion: HMAC under what everybody can read."""
    public = json.dumps(KEY.as_dict(private=False)).encode() if secret == "jwk" else KEY.as_bytes(secret.upper())
    hostile.sign = lambda claims: by_hand(
        {"alg": "HS256", "kid": "main"}, claims, lambda text: hmac.digest(public, text, hashlib.sha256)
    )
    assert "'HS256', which is not allowed" in refusal(provider, hostile)


def test_the_clients_secret_signs_nothing(provider: OidcProvider, hostile: Hostile) -> None:
    """A shared secret that the provider publishes among its keys is none of its keys."""
    shared = OctKey.import_key("0" * 64, {"kid": "shared", "alg": "HS256"})
    hostile.keys = [KEY, shared]
    hostile.sign = lambda claims: signed(claims, shared, "HS256", kid="shared")
    assert "not allowed" in refusal(provider, hostile)
    assert provider.check().summary.endswith("with 1 key for signatures.")


def test_a_signature_of_another_key(provider: OidcProvider, hostile: Hostile) -> None:
    hostile.sign = lambda claims: signed(claims, OTHER_KEY)
    assert "no key of the provider made the token's signature" in refusal(provider, hostile)


def test_a_key_that_the_token_brings_along(provider: OidcProvider, hostile: Hostile) -> None:
    own = OTHER_KEY.as_dict(private=False)
    hostile.sign = lambda claims: signed(claims, OTHER_KEY, jwk=own, jku=f"{hostile.url}/evil")
    assert "no key of the provider" in refusal(provider, hostile)
    assert hostile.count("/evil") == 0


def test_a_changed_claim(provider: OidcProvider, hostile: Hostile) -> None:
    def changed(claims: dict[str, Any]) -> str:
        good = signed(claims).split(".")
        return ".".join([good[0], signed({**claims, "sub": "root"}).split(".")[1], good[2]])

    hostile.sign = changed
    assert "no key of the provider made" in refusal(provider, hostile)


def test_a_key_for_another_algorithm_or_for_encryption(provider: OidcProvider, hostile: Hostile) -> None:
    hostile.keys = [RSAKey.import_key({**KEY.as_dict(private=True), "alg": "PS256"})]
    assert "no key 'main' for RS256" in refusal(provider, hostile)
    hostile.keys = [RSAKey.import_key({**KEY.as_dict(private=True), "use": "enc"}), OTHER_KEY]
    assert "no key of the provider made" in refusal(provider, hostile)


def test_a_header_that_demands_an_extension(provider: OidcProvider, hostile: Hostile) -> None:
    hostile.sign = lambda claims: by_hand(
        {"alg": "RS256", "kid": "main", "crit": ["exp"], "exp": 1}, claims, lambda _: b"x"
    )
    assert "(crit)" in refusal(provider, hostile)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d.e", "e30.e30.e30", "x" * 30_000 + ".e30.", "é.è.ê"])
def test_what_is_no_token(provider: OidcProvider, hostile: Hostile, token: str) -> None:
    hostile.sign = lambda _: token
    assert refusal(provider, hostile)


def test_other_signatures_that_are_allowed(hostile: Hostile) -> None:
    key = ECKey.generate_key("P-256", {"kid": "main"})
    hostile.keys, hostile.sign = [key], lambda claims: signed(claims, key, "ES256")
    provider = OidcProvider(oidc_settings(hostile.issuer))
    assert sign_in(provider, hostile).subject == "ada"
    provider.close()


def test_unknown_keys_are_not_asked_for_at_will(hostile: Hostile) -> None:
    provider = OidcProvider(oidc_settings(hostile.issuer, key_refresh_interval=3600))
    sign_in(provider, hostile)
    hostile.sign = lambda claims: signed(claims, OTHER_KEY, kid="never heard of")
    for _ in range(5):
        assert "no key 'never heard of'" in refusal(provider, hostile)
    assert hostile.count("/jwks") == 1
    provider.close()


# Claims


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://other.example"}, "is of 'https://other.example'"),
        ({"iss": None}, "is of 'None'"),
        ({"aud": "another-client"}, "not for 'stead'"),
        ({"aud": None}, "not for 'stead'"),
        ({"aud": ["another-client"]}, "not for 'stead'"),
        ({"aud": ["stead", "another-client"], "azp": "stead"}, "meant for others too"),
        ({"azp": "another-client"}, "another client asked for the token"),
        ({"exp": 1_000_000_000}, "(exp)"),
        ({"exp": None}, "no exp"),
        ({"exp": "tomorrow"}, "no exp"),
        ({"exp": True}, "no exp"),
        ({"iat": None}, "no iat"),
        ({"iat": 9_000_000_000}, "(iat)"),
        ({"nbf": 9_000_000_000}, "(nbf)"),
        ({"sub": None}, "no sub"),
        ({"sub": ""}, "no sub"),
        ({"sub": 7}, "no sub"),
        ({"nonce": None}, "nonce"),
        ({"nonce": "of another sign-in"}, "nonce"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
    ],
)
def test_claims_that_do_not_hold(provider: OidcProvider, hostile: Hostile, claims: dict[str, Any], why: str) -> None:
    hostile.sign = lambda right: signed({k: v for k, v in {**right, **claims}.items() if v is not None})
    assert why in refusal(provider, hostile)


def test_several_audiences_need_an_authorized_party(hostile: Hostile) -> None:
    provider = OidcProvider(oidc_settings(hostile.issuer, trusted_audiences=("api",)))
    hostile.claims = {"aud": ["stead", "api"]}
    assert "(azp)" in refusal(provider, hostile)
    hostile.claims = {"aud": ["stead", "api"], "azp": "stead"}
    assert sign_in(provider, hostile).subject == "ada"
    provider.close()


def test_clocks_may_differ_by_the_leeway(provider: OidcProvider, hostile: Hostile) -> None:
    hostile.claims = {"exp": now() - LEEWAY + 40}
    assert sign_in(provider, hostile).subject == "ada"
    hostile.claims = {"exp": now() - LEEWAY - 1}
    assert "(exp)" in refusal(provider, hostile)
    hostile.claims = {"iat": now() + LEEWAY - 1}
    assert sign_in(provider, hostile).subject == "ada"
    hostile.claims = {"iat": now() + LEEWAY + 60}
    assert "(iat)" in refusal(provider, hostile)


def test_proof_that_is_too_old(hostile: Hostile) -> None:
    provider = OidcProvider(oidc_settings(hostile.issuer, extra_parameters={"max_age": "600"}))
    assert "no auth_time" in refusal(provider, hostile)
    hostile.claims = {"auth_time": now() - 6000}
    assert "too long ago" in refusal(provider, hostile)
    hostile.claims = {"auth_time": now() - 300}
    assert sign_in(provider, hostile).subject == "ada"
    provider.close()


# Userinfo


def test_userinfo_of_somebody_else(provider: OidcProvider, hostile: Hostile) -> None:
    hostile.userinfo = {"sub": "root", "email": "root@example.com", "email_verified": True}
    assert "another person" in refusal(provider, hostile)
    hostile.routes["GET /userinfo"] = lambda _: Reply({"email": "root@example.com"})
    assert "another person" in refusal(provider, hostile)


def test_one_addresss_proof_does_not_count_for_another(provider: OidcProvider, hostile: Hostile) -> None:
    """The ID token vouched for an address; since then the person has typed another into their profile."""
    hostile.userinfo = {"email": "boss@example.com"}
    person = sign_in(provider, hostile)
    assert (person.email, person.email_verified) == ("boss@example.com", False)
    hostile.userinfo = {"email": "ada@example.com"}
    assert sign_in(provider, hostile).email_verified


@pytest.mark.parametrize(
    ("vouched", "trusted", "verified"),
    [
        (True, False, True), ("true", False, True), (False, True, False), ("false", True, False), (1, False, False),
        ("yes", False, False), (None, False, False), (None, True, True), ([True], False, False),
    ],
)  # fmt: skip
def test_when_an_address_is_verified(hostile: Hostile, vouched: object, trusted: bool, verified: bool) -> None:
    provider = OidcProvider(oidc_settings(hostile.issuer, trust_email=trusted))
    hostile.claims = {"email_verified": vouched}
    assert sign_in(provider, hostile).email_verified is verified
    provider.close()


def test_signed_userinfo_is_checked_too(provider: OidcProvider, hostile: Hostile) -> None:
    claims = {"iss": hostile.issuer, "aud": "stead", "sub": "ada", "name": "Signed"}
    jwt = {"content-type": "application/jwt"}
    hostile.routes["GET /userinfo"] = lambda _: Reply(signed(claims), 200, jwt)
    assert sign_in(provider, hostile).name == "Signed"
    hostile.routes["GET /userinfo"] = lambda _: Reply(signed(claims, OTHER_KEY), 200, jwt)
    assert "no key of the provider" in refusal(provider, hostile)
    hostile.routes["GET /userinfo"] = lambda _: Reply(signed({**claims, "aud": "another"}), 200, jwt)
    assert "not for 'stead'" in refusal(provider, hostile)


# Logout tokens


def logout(hostile: Hostile, **more: Any) -> dict[str, Any]:
    claims = {
        "iss": hostile.issuer,
        "aud": "stead",
        "iat": now(),
        "exp": now() + 120,
        "jti": "once",
        "sub": "ada",
        "sid": "session-1",
        "events": {LOGOUT_EVENT: {}},
        **more,
    }
    return {name: value for name, value in claims.items() if value is not None}


def test_a_sign_out_that_is_right(provider: OidcProvider, hostile: Hostile) -> None:
    claims = logout(hostile)
    token = signed(claims, typ="logout+jwt")
    found = provider.signed_out({"logout_token": token})
    assert (found.issuer, found.subject, found.session) == (hostile.issuer, "ada", "session-1")
    assert found.until == claims["exp"] + LEEWAY
    # The same message has the same name: the core takes each only once.
    assert provider.signed_out({"logout_token": token}).once == found.once == f"{hostile.issuer} once"
    assert provider.signed_out({"logout_token": signed(logout(hostile, jti="twice"))}).once != found.once


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "n"}, "no nonce"),
        ({"events": None}, "(events)"),
        ({"events": {}}, "(events)"),
        ({"events": {"http://example.com/other": {}}}, "(events)"),
        ({"events": {LOGOUT_EVENT: True}}, "(events)"),
        ({"jti": None}, "no jti"),
        ({"jti": ""}, "no jti"),
        ({"sub": None, "sid": None}, "neither a person"),
        ({"aud": "another-client"}, "not for 'stead'"),
        ({"iss": "https://other.example"}, "is of"),
        ({"exp": 1_000_000_000}, "(exp)"),
        ({"exp": None, "iat": 1_000_000_000}, "(exp)"),
        ({"iat": 9_000_000_000, "exp": 9_000_000_100}, "(iat)"),
        ({"iat": None}, "no iat"),
    ],
)
def test_sign_outs_that_do_not_hold(provider: OidcProvider, hostile: Hostile, claims: dict[str, Any], why: str) -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        provider.signed_out({"logout_token": signed(logout(hostile, **claims), typ="logout+jwt")})
    assert why in refused.value.detail


def test_who_may_not_sign_somebody_out(provider: OidcProvider, hostile: Hostile) -> None:
    unsigned = by_hand({"alg": "none"}, logout(hostile), lambda _: b"")
    for token in (signed(logout(hostile), OTHER_KEY), unsigned, signed(logout(hostile), typ="at+jwt"), ""):
        with pytest.raises(AuthenticationFailed):
            provider.signed_out({"logout_token": token})
    with pytest.raises(AuthenticationFailed):
        provider.signed_out({})


def test_a_logout_token_is_no_id_token(provider: OidcProvider, hostile: Hostile) -> None:
    hostile.sign = lambda claims: signed(claims, typ="logout+jwt")
    assert "logout token" in refusal(provider, hostile)


def test_no_keys_no_sign_in(provider: OidcProvider, hostile: Hostile) -> None:
    hostile.keys = []
    with pytest.raises(Unavailable, match="publishes no key"):
        sign_in(provider, hostile)
