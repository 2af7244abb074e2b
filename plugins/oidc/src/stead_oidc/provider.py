"""Sign-in with any OpenID provider: the authorization code flow with PKCE."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from stead.api import (
    Attempt,
    AuthenticationFailed,
    Begun,
    CredentialsReport,
    Directory,
    Link,
    Person,
    RedirectProvider,
    SignedOut,
    Trace,
)
from stead.api.errors import SteadError, Unavailable
from stead_oidc import claims as reading
from stead_oidc.client_auth import client_auth
from stead_oidc.directories import directory_of
from stead_oidc.discovery import Discovery, Metadata
from stead_oidc.exchange import TokenEndpoint, TokenSet
from stead_oidc.keys import Keys
from stead_oidc.people import People, Seen
from stead_oidc.settings import OidcSettings
from stead_oidc.tokens import Rules, Tokens, refused
from stead_oidc.web import Web, host_of

#: An ID token longer than this does not go along to the sign-out page: addresses have bounds.
_MOST_HINT = 3000


class OidcProvider(RedirectProvider, Directory):
    """One configured OpenID provider.

    :param clock: seconds since the epoch.
    """

    def __init__(self, settings: OidcSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        certificate = None
        if settings.tls_certificate_file is not None and settings.tls_key_file is not None:
            certificate = (settings.tls_certificate_file, settings.tls_key_file)
        self._web = web = Web(settings, settings.issuer, certificate)
        patience, lifetime = settings.timeout, settings.metadata_lifetime
        self._discovery = Discovery(web, settings.issuer, lifetime, patience, mutual_tls=certificate is not None)
        self._keys = Keys(
            web, lambda: self._discovery.get().jwks_uri, lifetime, patience, settings.key_refresh_interval
        )
        rules = Rules(
            settings.issuer, settings.client_id, settings.algorithms, settings.leeway, settings.trusted_audiences
        )
        self._tokens = Tokens(self._keys, rules, clock)
        self._endpoint = TokenEndpoint(web, client_auth(settings))
        self._directory = directory_of(settings, web, self._discovery, self._endpoint)
        self._people = People(settings, self._directory)
        max_age = settings.extra_parameters.get("max_age", "")
        self._max_age = float(max_age) if max_age.isdigit() else None

    # Signing in

    def begin(self, attempt: Attempt) -> Begun:
        metadata = self._discovery.get()
        self._web.check_address(metadata.authorization_endpoint)
        verifier, posted = secrets.token_urlsafe(48), self._settings.response_mode == "form_post"
        url = prepare_grant_uri(
            metadata.authorization_endpoint,
            self._settings.client_id,
            "code",
            redirect_uri=attempt.redirect_uri,
            scope=" ".join(self._settings.scopes),
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **({"response_mode": "form_post"} if posted else {}),
            **self._settings.extra_parameters,
        )
        attempt.trace.note(
            "Discovery", f"{metadata.issuer}: sign-in page at {host_of(metadata.authorization_endpoint)}"
        )
        return Begun(url, {"verifier": verifier, "issuer": _fingerprint(metadata.issuer)}, form_post=posted)

    def complete(self, attempt: Attempt, answer: Mapping[str, str], kept: Mapping[str, str]) -> Person:
        metadata = self._discovery.get()
        code = _code(answer, metadata, kept)
        attempt.trace.note("Answer of the browser", "a code, from the right issuer")
        found = self._endpoint.redeem(metadata, code, attempt.redirect_uri, kept.get("verifier", ""))
        attempt.trace.note("Code", f"taken by {host_of(metadata.token_endpoint)}, {_given(found)}")
        identity = self._tokens.identity(
            found.id_token, nonce=attempt.nonce, access_token=found.access_token, max_age=self._max_age
        )
        attempt.trace.note("ID token", "signature, issuer, audience, times and nonce hold")
        userinfo = self._userinfo(metadata, found.access_token, identity["sub"], attempt.trace)
        return self._people.person(identity, userinfo, self._to_keep(found, {}), attempt.trace)

    def _userinfo(self, metadata: Metadata, access_token: str, subject: str, trace: Trace) -> dict[str, Any] | None:
        if not self._settings.userinfo or not metadata.userinfo_endpoint:
            return None
        answer = self._web.get(
            metadata.userinfo_endpoint, token=access_token, accept="application/json, application/jwt"
        )
        if not answer.ok:
            raise Unavailable(
                f"{host_of(answer.url)} answered {answer.status} to the question for userinfo.",
                remedy="Set userinfo = false where the provider has all claims in its ID token.",
            )
        if answer.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/jwt":
            found = self._tokens.signed_userinfo(answer.body.decode("latin-1"))
        else:
            found = answer.fields()
        # Core, 5.3.2: without this, an answer about somebody else could be taken for theirs.
        if found.get("sub") != subject:
            raise refused("userinfo is about another person than the ID token (sub)")
        trace.note("Userinfo", f"{len(found)} claims, of the same person")
        return found

    def _to_keep(self, found: TokenSet, before: Mapping[str, str]) -> dict[str, str]:
        kept = {name: before[name] for name in ("refresh_token", "id_token") if name in before}
        if found.refresh_token:
            kept["refresh_token"] = found.refresh_token
        if 0 < len(found.id_token) <= _MOST_HINT:
            kept["id_token"] = found.id_token
        return kept

    # Later

    def look_up(self, link: Link, trace: Trace) -> Person | None:
        key = Seen.of(link).directory_key
        asks_directory = self._directory is not None and bool(key)
        if self._directory is not None and key:
            if not self._directory.is_there(key):
                trace.note("Directory", "knows nobody of that name any more", ok=False)
                return None
            trace.note("Directory", "the account is there and enabled")
        if link.kept.get("refresh_token"):
            try:
                return self._refreshed(link, trace)
            except AuthenticationFailed as error:
                trace.note("Refresh", error.detail, ok=False)
                if not asks_directory:
                    raise
        if asks_directory:
            return self._people.known(link, trace)
        raise Unavailable(
            "This provider cannot be asked about people who are not there: it gave no refresh token.",
            remedy="Add offline_access to scopes, where the provider knows it.",
        )

    def _refreshed(self, link: Link, trace: Trace) -> Person:
        metadata = self._discovery.get()
        found = self._endpoint.refresh(metadata, link.kept["refresh_token"])
        trace.note("Refresh", f"taken by {host_of(metadata.token_endpoint)}, {_given(found)}")
        identity = None
        if found.id_token:
            identity = self._tokens.identity(found.id_token, nonce=None, access_token=found.access_token)
            if identity["sub"] != link.subject:
                raise refused("the refreshed ID token is of another person (sub)")
        userinfo = self._userinfo(metadata, found.access_token, link.subject, trace)
        if identity is None and userinfo is None:
            return self._people.known(link, trace, self._to_keep(found, link.kept))
        return self._people.person(identity, userinfo, self._to_keep(found, link.kept), trace, link)

    @property
    def can_find(self) -> bool:
        return self._directory is not None and self._directory.can_find

    def find(self, username: str, trace: Trace) -> Person | None:
        if self._directory is None:
            return None
        found = self._directory.find(username)
        trace.note("Directory", "knows them" if found else "knows nobody of that name", ok=found is not None)
        return self._people.person(found, None, {}, trace) if found else None

    # Signing out

    def sign_out_url(self, link: Link, return_to: str, state: str) -> str | None:
        try:
            endpoint = self._discovery.get().end_session_endpoint
            if not endpoint:
                return None
            self._web.check_address(endpoint)
        except Unavailable:
            return None  # signing out here must work where the provider is down
        hint = link.kept.get("id_token", "")
        parameters = {
            "client_id": self._settings.client_id,
            "post_logout_redirect_uri": return_to,
            "state": state,
            **({"id_token_hint": hint} if hint else {"logout_hint": link.username or link.subject}),
        }
        return reading.with_query(endpoint, parameters)

    def signed_out(self, message: Mapping[str, str]) -> SignedOut:
        token = message.get("logout_token", "")
        if not token:
            raise refused("the message has no logout_token")
        found = self._tokens.logout(token)
        return SignedOut(
            issuer=found["iss"],
            once=f"{found['iss']} {found['jti']}",
            until=float(found["exp"]) + self._settings.leeway,
            subject=_text(found, "sub"),
            session=_text(found, "sid"),
        )

    # The whole

    def check(self) -> CredentialsReport:
        try:
            metadata = self._discovery.get()
            count = self._keys.count()
            if self._directory is not None:
                self._directory.check()
        except SteadError as error:
            return CredentialsReport(ok=False, summary=error.message, remedies=(error.remedy,) if error.remedy else ())
        return CredentialsReport(
            ok=True, summary=f"{metadata.issuer} answers, with {count} key{'s' if count > 1 else ''} for signatures."
        )

    def close(self) -> None:
        self._web.close()


def _code(answer: Mapping[str, str], metadata: Metadata, kept: Mapping[str, str]) -> str:
    """The code of the browser's answer, if that is this provider's (RFC 9207).

    Without the check, a provider that an attacker runs could have the code of another one sent to its own token
    endpoint (mix-up).
    """
    named = answer.get("iss")
    if named is None and metadata.names_itself:
        raise refused("the answer does not say whose it is, as this provider's always do (iss)")
    if named is not None and named != metadata.issuer:
        raise refused(f"the answer is of {named[:200]!r}, not of {metadata.issuer!r}")
    if kept.get("issuer") != _fingerprint(metadata.issuer):
        raise refused("the sign-in was begun with another issuer")
    if "error" in answer:
        raise _error(answer)
    code = answer.get("code", "")
    if not code:
        raise refused("the answer has neither a code nor an error")
    return code


def _fingerprint(issuer: str) -> str:
    return hashlib.sha256(issuer.encode()).hexdigest()


def _error(answer: Mapping[str, str]) -> AuthenticationFailed:
    code = answer["error"][:100]
    detail = f"the provider answered {code}: {answer.get('error_description', '')[:300]}".removesuffix(": ")
    if code == "access_denied":
        return AuthenticationFailed("The provider did not let you in, or you cancelled.", detail=detail)
    return AuthenticationFailed("Signing in did not succeed at the provider.", detail=detail, remedy="Try once more.")


def _given(found: TokenSet) -> str:
    given = [name for name, value in (("ID token", found.id_token), ("refresh token", found.refresh_token)) if value]
    return f"which gave: {', '.join(['access token', *given])}"


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
