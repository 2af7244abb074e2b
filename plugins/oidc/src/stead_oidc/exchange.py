"""The token endpoint: a code, a refresh token or nothing but Stead's own proof, for tokens (RFC 6749)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stead.api import AuthenticationFailed
from stead.api.errors import Unavailable
from stead_oidc.client_auth import ClientAuth
from stead_oidc.discovery import Metadata
from stead_oidc.tokens import refused
from stead_oidc.web import Answer, Web, host_of

#: Answers that mean Stead's own registration is wrong: an administrator's matter, and no verdict on the person.
OWN_FAULT = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})


@dataclass(frozen=True)
class TokenSet:
    """What the token endpoint gave."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: float = 0.0


class TokenEndpoint:
    """Asks the token endpoint of one provider."""

    def __init__(self, web: Web, auth: ClientAuth) -> None:
        self._web = web
        self._auth = auth

    def redeem(self, metadata: Metadata, code: str, redirect_uri: str, verifier: str) -> TokenSet:
        """The tokens for a code.

        :raises AuthenticationFailed: the provider does not take it: used, too old, or of another sign-in.
        """
        found = self._ask(
            metadata,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            },
        )
        if not found.id_token:
            raise refused("the provider gave no ID token: is openid among the scopes that the client may have?")
        return found

    def refresh(self, metadata: Metadata, refresh_token: str) -> TokenSet:
        """Fresh tokens.

        :raises AuthenticationFailed: the person's grant has ended.
        """
        return self._ask(metadata, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def own(self, metadata: Metadata, scope: str) -> TokenSet:
        """A token for Stead itself, to ask the provider's directory with."""
        try:
            return self._ask(metadata, {"grant_type": "client_credentials", "scope": scope})
        except AuthenticationFailed as error:
            raise Unavailable(f"{host_of(metadata.token_endpoint)} gives Stead no token: {error.detail}.") from error

    def _ask(self, metadata: Metadata, form: Mapping[str, str]) -> TokenSet:
        proof = self._auth(metadata)
        answer = self._web.post(metadata.token_endpoint, {**form, **proof.form}, proof.headers)
        return token_set(answer)


def token_set(answer: Answer) -> TokenSet:
    """Read an answer of a token endpoint. GitHub's says 200 to errors, too.

    :raises AuthenticationFailed: the code or the refresh token is not good.
    :raises Unavailable: anything else.
    """
    host = host_of(answer.url)
    if answer.status >= 500 or answer.status == 429:
        raise Unavailable(f"{host} answered {answer.status} to the question for tokens.")
    found = answer.fields()
    if "error" in found or not answer.ok:
        raise _failed(host, answer.status, found)
    access_token = found.get("access_token")
    if not isinstance(access_token, str) or not access_token:
        raise Unavailable(f"{host} gave no access token.")
    if str(found.get("token_type", "bearer")).lower() != "bearer":
        raise Unavailable(f"{host} gave a token of a type that is not known here.")
    return TokenSet(access_token, _text(found, "id_token"), _text(found, "refresh_token"), _seconds(found))


def _failed(host: str, status: int, found: Mapping[str, Any]) -> AuthenticationFailed | Unavailable:
    code = str(found.get("error", status))[:100]
    said = f"{code}: {str(found.get('error_description', ''))[:300]}".removesuffix(": ")
    if code in OWN_FAULT or code == "incorrect_client_credentials":
        return Unavailable(
            f"{host} does not take Stead's own credentials ({said}).",
            remedy="An administrator must look at client_id and the client's secret, key or certificate.",
        )
    return AuthenticationFailed(
        "Signing in did not succeed: the provider does not take the sign-in any more.",
        detail=f"the token endpoint answered {said}",
        remedy="Begin once more.",
    )


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _seconds(found: Mapping[str, Any]) -> float:
    value = found.get("expires_in")
    if isinstance(value, str) and value.isdigit():
        return float(value[:9])
    return float(value) if isinstance(value, int | float) and 0 < value < 1e9 else 0.0
