"""An OpenID provider that is right in everything, until a test makes it wrong in one thing."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from stead_oidc_peer.server import Reply, Request, Server, now

KEY = RSAKey.generate_key(2048, {"kid": "main", "use": "sig", "alg": "RS256"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "main", "use": "sig", "alg": "RS256"})


class Hostile(Server):
    """``claims``, ``userinfo`` and ``metadata`` are merged over what is right; ``sign`` makes the tokens."""

    def __init__(self, tls: tuple[str, str] | None = None) -> None:
        super().__init__(tls)
        self.issuer = self.url
        self.keys: list[Any] = [KEY]
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = signed
        self.codes: dict[str, dict[str, str]] = {}
        self.app_tokens: set[str] = set()
        self.routes |= {
            "GET /.well-known/openid-configuration": lambda _: Reply(self.document()),
            "GET /jwks": lambda _: Reply({"keys": [key.as_dict(private=False) for key in self.keys]}),
            "POST /token": self._token,
            "GET /userinfo": lambda _: Reply({"sub": "ada", **self.userinfo}),
        }

    def document(self) -> dict[str, Any]:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "end_session_endpoint": f"{self.url}/end",
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }
        return {name: value for name, value in found.items() if value is not None}

    def authorize(self, url: str) -> dict[str, str]:
        """What the browser brings back of the sign-in page at ``url``."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "iss": self.issuer}

    def identity(self, nonce: str = "", **claims: Any) -> dict[str, Any]:
        """Claims of an ID token as it should be, changed by the test's wishes. ``None`` leaves a claim out."""
        found = {
            "iss": self.issuer,
            "sub": "ada",
            "aud": "stead",
            "iat": now(),
            "exp": now() + 300,
            "nonce": nonce,
            "email": "ada@example.com",
            "email_verified": True,
            **self.claims,
            **claims,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _token(self, request: Request) -> Reply:
        form = request.form
        if form.get("grant_type") == "client_credentials":
            token = secrets.token_urlsafe(16)
            self.app_tokens.add(token)
            return Reply({"access_token": token, "token_type": "Bearer", "expires_in": 3600})
        if form.get("grant_type") == "refresh_token":
            return Reply({"access_token": "fresh", "token_type": "Bearer", **self.tokens})
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or not _proven(asked.get("code_challenge", ""), form.get("code_verifier", "")):
            return Reply({"error": "invalid_grant"}, 400)
        token = self.sign(self.identity(asked["nonce"]))
        return Reply({"access_token": "access", "token_type": "Bearer", "id_token": token, **self.tokens})


def signed(claims: dict[str, Any], key: RSAKey | ECKey | OctKey = KEY, algorithm: str = "RS256", **header: Any) -> str:
    """A token of these claims."""
    named = {"alg": algorithm, "kid": "main", **header}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jws.serialize_compact(
        {name: value for name, value in named.items() if value is not None}, json.dumps(claims), key, registry=registry
    )


def by_hand(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token as only an attacker would make it."""
    parts = [_encoded(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, _encoded(sign(".".join(parts).encode()))])


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _proven(challenge: str, verifier: str) -> bool:
    return bool(challenge) and challenge == _encoded(hashlib.sha256(verifier.encode()).digest())
