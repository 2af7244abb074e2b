"""Sign-in with GitHub: OAuth, and who somebody is by its API.

GitHub is no OpenID provider for people: there is no ID token and no nonce. What ties an answer to the attempt is the
state, which the core checks, and PKCE.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

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
    Trace,
)
from stead.api.errors import SteadError, Unavailable
from stead_oidc.claims import check_allowed, not_allowed
from stead_oidc.client_auth import secret_of
from stead_oidc.exchange import TokenSet, token_set
from stead_oidc.github_api import Account, GithubApi, TokenRefused
from stead_oidc.settings import GithubSettings
from stead_oidc.tokens import refused
from stead_oidc.web import Web, host_of


class GithubProvider(RedirectProvider, Directory):
    """github.com, or one Enterprise Server."""

    def __init__(self, settings: GithubSettings) -> None:
        self._settings = settings
        self._secret = secret_of(settings)
        self._web = Web(settings, settings.url)
        self._api = GithubApi(self._web, settings)

    # Signing in

    def begin(self, attempt: Attempt) -> Begun:
        verifier = secrets.token_urlsafe(48)
        challenge = {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
        url = prepare_grant_uri(
            f"{self._settings.url}/login/oauth/authorize",
            self._settings.client_id,
            "code",
            redirect_uri=attempt.redirect_uri,
            scope=" ".join(self._scopes()),
            state=attempt.state,
            **(challenge if self._settings.pkce else {}),
        )
        attempt.trace.note("Sign-in page", host_of(url))
        return Begun(url, {"verifier": verifier} if self._settings.pkce else {})

    def complete(self, attempt: Attempt, answer: Mapping[str, str], kept: Mapping[str, str]) -> Person:
        code = self._code(answer)
        form = {"code": code, "redirect_uri": attempt.redirect_uri}
        if self._settings.pkce:
            form["code_verifier"] = kept.get("verifier", "")
        found = self._tokens(form)
        attempt.trace.note("Code", f"taken by {host_of(self._settings.url)}")
        try:
            return self._person(found, self._api.account(found.access_token), attempt.trace)
        except TokenRefused as error:
            raise refused("GitHub does not know the token that it has just given") from error

    def _scopes(self) -> tuple[str, ...]:
        basic = ("read:user", "user:email")
        return (*basic, "read:org") if self._settings.needs_groups else basic

    def _code(self, answer: Mapping[str, str]) -> str:
        named = answer.get("iss")
        if named is not None and urlsplit(named).netloc != urlsplit(self._settings.url).netloc:
            raise refused(f"the answer is of {named[:200]!r}, not of {self._settings.url}")
        if "error" in answer:
            detail = f"GitHub answered {answer['error'][:100]}: {answer.get('error_description', '')[:300]}"
            raise AuthenticationFailed("GitHub did not let you in, or you cancelled.", detail=detail)
        if not answer.get("code"):
            raise refused("the answer has neither a code nor an error")
        return answer["code"]

    def _tokens(self, form: Mapping[str, str]) -> TokenSet:
        own = {"client_id": self._settings.client_id, "client_secret": self._secret}
        return token_set(self._web.post(f"{self._settings.url}/login/oauth/access_token", {**own, **form}))

    def _person(self, found: TokenSet, account: Account, trace: Trace) -> Person:
        trace.note("Account", f"{account.login} ({account.number}) <{account.email.address}>")
        groups = self._groups(account, trace)
        person = Person(
            issuer=self._settings.url,
            subject=str(account.number),
            username=account.login,
            email=account.email.address,
            email_verified=account.email.verified,
            name=account.name,
            groups=groups,
            kept=_to_keep(found),
            facts={
                "login": account.login,
                "id": account.number,
                "name": account.name,
                "email": account.email.address,
                "email_verified": account.email.verified,
            },
        )
        check_allowed(self._settings, account.email, groups, trace)
        return person

    def _groups(self, account: Account, trace: Trace) -> tuple[str, ...] | None:
        """Organisations and teams, after those that somebody must be in were looked for."""
        if not self._settings.needs_groups:
            return None
        organizations = self._api.organizations(account.token)
        teams = self._api.teams(account.token)
        # A team's organisation may be suspended for them while the team still lists them.
        known = {name.lower() for name in organizations}
        counted = tuple(team for team in teams if team.partition("/")[0].lower() in known)
        trace.note("Organisations", ", ".join(organizations[:50]) or "none")
        trace.note("Teams", ", ".join(counted[:50]) or "none")
        _check_member(self._settings.organizations, organizations, "organizations")
        _check_member(self._settings.teams, counted, "teams")
        return (*organizations, *counted) if self._settings.read_groups else None

    # Later

    def look_up(self, link: Link, trace: Trace) -> Person | None:
        if not link.kept.get("access_token"):
            raise Unavailable("GitHub can be asked about them after their next sign-in.")
        tokens = TokenSet(link.kept["access_token"], "", link.kept.get("refresh_token", ""))
        try:
            tokens, account = self._standing(tokens, trace)
            if str(account.number) != link.subject:
                raise refused("the token is of another account")
            return self._person(tokens, account, trace)
        except TokenRefused as error:
            raise AuthenticationFailed(
                "GitHub does not vouch for you any more.",
                detail="the token was revoked, or the account is suspended",
                remedy="Sign in once more.",
            ) from error

    def _standing(self, tokens: TokenSet, trace: Trace) -> tuple[TokenSet, Account]:
        """Tokens of GitHub Apps end after hours and can be renewed; those of OAuth apps last until they are revoked.

        :raises TokenRefused: the person or GitHub revoked it, or the account is suspended.
        """
        try:
            return tokens, self._api.account(tokens.access_token)
        except TokenRefused:
            if not tokens.refresh_token:
                raise
        fresh = self._tokens({"grant_type": "refresh_token", "refresh_token": tokens.refresh_token})
        trace.note("Refresh", "taken")
        return fresh, self._api.account(fresh.access_token)

    @property
    def can_find(self) -> bool:
        return False  # which organisations and teams somebody is in, GitHub tells only them

    # The whole

    def check(self) -> CredentialsReport:
        try:
            self._api.check()
            self._check_own()
        except SteadError as error:
            return CredentialsReport(ok=False, summary=error.message, remedies=(error.remedy,) if error.remedy else ())
        return CredentialsReport(ok=True, summary=f"{self._settings.url} answers and knows Stead's client.")

    def _check_own(self) -> None:
        """Whether client id and secret are right: GitHub looks at them before it looks at the code."""
        try:
            self._tokens({"code": "0" * 20})
        except AuthenticationFailed:
            return

    def close(self) -> None:
        self._web.close()


def _to_keep(found: TokenSet) -> dict[str, str]:
    kept = {"access_token": found.access_token, "refresh_token": found.refresh_token}
    return {name: value for name, value in kept.items() if value}


def _check_member(wanted: tuple[str, ...], found: tuple[str, ...], setting: str) -> None:
    if wanted and not {one.lower() for one in wanted} & {one.lower() for one in found}:
        raise not_allowed(f"an active member of none of {setting} ({', '.join(wanted)[:500]})")
