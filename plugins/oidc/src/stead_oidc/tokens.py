"""Checks of what a provider signed: ID tokens, userinfo and logout tokens.

OpenID Connect Core 1.0, section 3.1.3.7; Back-Channel Logout 1.0, section 2.6; RFC 8725 for what an attacker would try.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core.util import create_half_hash
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode

from stead.api import AuthenticationFailed
from stead_oidc.keys import Keys, UnknownKey

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
#: A sign-out that says no end of its own is not taken later than this.
LOGOUT_SECONDS = 300.0
_MOST_HEADER = 20_000


class Registry(jws.JWSRegistry):
    """The library's limits fit small tokens: those of people with thousands of groups are larger."""

    max_header_length = _MOST_HEADER
    max_payload_length = 8_000_000
    max_signature_length = 4096


@dataclass(frozen=True)
class Rules:
    """What a token must say.

    :param audiences: other clients that may be named beside ``client_id``.
    :param leeway: seconds that clocks may differ.
    """

    issuer: str
    client_id: str
    algorithms: tuple[str, ...]
    leeway: float
    audiences: tuple[str, ...] = ()


class Tokens:
    """Reads tokens of one provider."""

    def __init__(self, keys: Keys, rules: Rules, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._rules = rules
        self._clock = clock

    def identity(
        self, token: str, *, nonce: str | None, access_token: str = "", max_age: float | None = None
    ) -> dict[str, Any]:
        """The claims of an ID token.

        :param nonce: that of the attempt; ``None`` where there was none (a refresh).
        :param access_token: which came with it, to check ``at_hash``.
        :param max_age: seconds since the person proved themselves, where that was asked for.
        :raises AuthenticationFailed: something does not hold.
        """
        header, claims = self.signed(token)
        if str(header.get("typ", "JWT")).lower() == "logout+jwt":
            raise refused("a logout token was given in place of an ID token")
        self._check_issuer_and_audience(claims)
        self._check_times(claims)
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise refused("the ID token has no sub")
        if nonce is not None and not _same(claims.get("nonce"), nonce):
            raise refused("the nonce of the ID token is not the one that was sent: it belongs to another sign-in")
        self._check_access_token(claims, access_token, str(header["alg"]))
        if max_age is not None and self._clock() - _number(claims, "auth_time") > max_age + self._rules.leeway:
            raise refused("they proved themselves too long ago (auth_time)")
        return claims

    def logout(self, token: str) -> dict[str, Any]:
        """The claims of a logout token, with ``exp`` in any case.

        :raises AuthenticationFailed: it is none, or not for us, or too old.
        """
        header, claims = self.signed(token)
        if str(header.get("typ", "logout+jwt")).lower() not in {"logout+jwt", "jwt"}:
            raise refused(f"a token of type {header.get('typ')!r} is no logout token")
        self._check_issuer_and_audience(claims)
        claims.setdefault("exp", _number(claims, "iat") + LOGOUT_SECONDS)
        self._check_times(claims)
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise refused("the token does not say that it is a sign-out (events)")
        if "nonce" in claims:
            raise refused("a logout token must have no nonce: this may be an ID token")
        if not isinstance(claims.get("jti"), str) or not claims["jti"]:
            raise refused("the logout token has no jti, so a copy could not be told from it")
        if not any(isinstance(claims.get(name), str) and claims[name] for name in ("sub", "sid")):
            raise refused("the logout token names neither a person (sub) nor a session (sid)")
        return claims

    def signed_userinfo(self, token: str) -> dict[str, Any]:
        """The claims of a signed userinfo answer, which says whose it is and for whom."""
        _, claims = self.signed(token)
        self._check_issuer_and_audience(claims)
        return claims

    def signed(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a token whose signature holds.

        :raises AuthenticationFailed: the algorithm is not allowed, or no key of the provider made the signature.
        """
        header = _header(token)
        algorithm = header.get("alg")
        # Before any key is looked at: "none" and HMAC with a public key as the secret end here.
        if algorithm not in self._rules.algorithms:
            raise refused(f"the token is signed with {str(algorithm)[:20]!r}, which is not allowed")
        try:
            candidates = self._keys.candidates(header)
        except UnknownKey as error:
            raise refused(f"the provider has {error}") from error
        for key in candidates:
            try:
                found = jws.deserialize_compact(token, key, registry=self._registry())
            except (JoseError, ValueError, TypeError):
                continue
            return header, _object(found.payload or b"")
        raise refused("no key of the provider made the token's signature")

    def _registry(self) -> Registry:
        return Registry(algorithms=self._rules.algorithms, strict_check_header=False)

    def _check_issuer_and_audience(self, claims: Mapping[str, Any]) -> None:
        rules = self._rules
        if claims.get("iss") != rules.issuer:
            raise refused(f"the token is of {str(claims.get('iss'))[:200]!r}, not of {rules.issuer!r}")
        named = claims.get("aud")
        audience = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        if rules.client_id not in audience:
            raise refused(f"the token is meant for {str(audience)[:200]}, not for {rules.client_id!r}")
        others = [one for one in audience if one != rules.client_id and one not in rules.audiences]
        if others:
            raise refused(f"the token is meant for others too: {str(others)[:200]} (trusted_audiences)")
        authorized = claims.get("azp")
        if len(audience) > 1 and authorized is None:
            raise refused("the token has several audiences and does not say who asked for it (azp)")
        if authorized is not None and authorized != rules.client_id:
            raise refused(f"another client asked for the token: azp is {str(authorized)[:200]!r}")

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now, leeway = self._clock(), self._rules.leeway
        if _number(claims, "exp") + leeway <= now:
            raise refused(f"the token ended {now - _number(claims, 'exp'):.0f} s ago (exp)")
        for name in ("iat", "nbf") if "nbf" in claims else ("iat",):
            if _number(claims, name) - leeway > now:
                ahead = _number(claims, name) - now
                raise refused(f"the token is of a time {ahead:.0f} s ahead ({name}); look at both clocks")

    def _check_access_token(self, claims: Mapping[str, Any], access_token: str, algorithm: str) -> None:
        if not access_token or "at_hash" not in claims:
            return
        expected = create_half_hash(access_token, algorithm)
        if expected is not None and not _same(claims["at_hash"], expected.decode()):
            raise refused("the access token is not the one that the ID token came with (at_hash)")


def refused(detail: str) -> AuthenticationFailed:
    """What to raise: plain words for the person, ``detail`` for the record."""
    return AuthenticationFailed(
        "Signing in did not succeed: the provider's answer does not hold.",
        detail=detail,
        remedy="Try once more; an administrator finds the reason in the record of sign-ins.",
    )


def _header(token: str) -> dict[str, Any]:
    """The header of a compact signed token, which nothing vouches for yet."""
    encoded, _, rest = token.partition(".")
    if rest.count(".") != 1 or len(encoded) > _MOST_HEADER:
        raise refused("this is no signed token")
    try:
        header = _object(urlsafe_b64decode(encoded.encode()))
    except ValueError as error:
        raise refused("this is no signed token") from error
    if "crit" in header:
        raise refused("the token demands an extension that is not known here (crit)")
    return header


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise refused("the token holds no JSON") from error
    if not isinstance(found, dict):
        raise refused("the token holds no JSON object")
    return found


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise refused(f"the token has no {name}, or one that is no time")
    return float(value)


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())
