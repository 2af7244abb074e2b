"""Directories that say which groups somebody is in, where the provider's tokens do not.

Google's tokens carry no groups at all. Entra ID leaves them out where they are more than 200, and says so by a pointer
(``_claim_names``) to a service that no longer exists; Microsoft Graph has them.
"""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from stead.api import AuthenticationFailed
from stead.api.errors import InvalidInput, Unavailable
from stead_oidc.claims import too_many
from stead_oidc.client_auth import read_file
from stead_oidc.discovery import Discovery
from stead_oidc.exchange import TokenEndpoint, TokenSet, token_set
from stead_oidc.settings import OidcSettings, require_https
from stead_oidc.web import Answer, Web, host_of

GRAPH = "https://graph.microsoft.com/v1.0"
GOOGLE = "https://admin.googleapis.com/admin/directory/v1"
GOOGLE_SCOPES = (
    "https://www.googleapis.com/auth/admin.directory.group.readonly "
    "https://www.googleapis.com/auth/admin.directory.user.readonly"
)
_EARLY = 60.0


class GroupDirectory(ABC):
    """A directory beside the provider."""

    @abstractmethod
    def key(self, claims: Mapping[str, Any]) -> str:
        """What the directory knows the person of these claims by; empty where the claims do not say it."""

    @abstractmethod
    def groups(self, key: str) -> tuple[str, ...]:
        """All groups of a person.

        :raises Unavailable: the directory did not say.
        """

    @abstractmethod
    def is_there(self, key: str) -> bool:
        """Whether the person still exists.

        :raises AuthenticationFailed: they do, and may not sign in.
        :raises Unavailable: the directory did not say.
        """

    @property
    def can_find(self) -> bool:
        """Whether it can say by which subject the provider would name somebody."""
        return False

    def find(self, username: str) -> dict[str, Any] | None:
        """Claims that somebody of this name would come with, as far as the directory knows them.

        :raises Unavailable: it did not say.
        """
        del username
        return None

    @abstractmethod
    def check(self) -> None:
        """Ask for a token.

        :raises Unavailable: there is none.
        """


class OwnToken:
    """A token of Stead's own, fetched again shortly before it ends."""

    def __init__(self, fetch: Callable[[], TokenSet], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def get(self) -> str:
        with self._lock:
            if self._clock() >= self._until:
                found = self._fetch()
                self._token, self._until = found.access_token, self._clock() + max(found.expires_in - _EARLY, 1.0)
            return self._token


class Entra(GroupDirectory):
    """Microsoft Graph. Wants the application permissions ``GroupMember.Read.All`` and ``User.Read.All``."""

    def __init__(self, settings: OidcSettings, web: Web, discovery: Discovery, endpoint: TokenEndpoint) -> None:
        self._web = web
        self._url = (settings.group_lookup_url or GRAPH).rstrip("/")
        self._most = settings.max_groups
        root = self._url.removesuffix("/v1.0")
        self._token = OwnToken(lambda: endpoint.own(discovery.get(), f"{root}/.default"))

    def key(self, claims: Mapping[str, Any]) -> str:
        return str(claims.get("oid") or "")

    def groups(self, key: str) -> tuple[str, ...]:
        answer = self._web.post_json(
            f"{self._url}/users/{quote(key, safe='')}/getMemberObjects",
            {"securityEnabledOnly": False},
            token=self._token.get(),
        )
        found = _good(answer).get("value")
        if not isinstance(found, list):
            raise Unavailable("Microsoft Graph answered without the groups.")
        if len(found) > self._most:
            raise too_many(self._most)
        return tuple(str(one) for one in found)

    def is_there(self, key: str) -> bool:
        answer = self._web.get(
            f"{self._url}/users/{quote(key, safe='')}",
            token=self._token.get(),
            query={"$select": "id,accountEnabled"},
        )
        if answer.status == 404:
            return False
        if _good(answer).get("accountEnabled") is False:
            raise _disabled()
        return True

    def check(self) -> None:
        self._token.get()


class Google(GroupDirectory):
    """Google Workspace's Admin SDK, read by a service account in an administrator's name (domain-wide delegation)."""

    def __init__(self, settings: OidcSettings, web: Web, clock: Callable[[], float] = time.time) -> None:
        self._web = web
        self._url = (settings.group_lookup_url or GOOGLE).rstrip("/")
        self._most = settings.max_groups
        self._admin = settings.google_admin
        self._clock = clock
        self._account, self._token_uri, self._key = _service_account(settings)
        self._token = OwnToken(self._fetch_token)

    def key(self, claims: Mapping[str, Any]) -> str:
        return str(claims.get("sub") or "")

    def groups(self, key: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        query = {"userKey": key, "maxResults": "200"}
        for _ in range(2 + self._most // 100):
            page = _good(self._web.get(f"{self._url}/groups", token=self._token.get(), query=query))
            entries = page.get("groups", [])
            found |= {str(entry["email"]): None for entry in entries if isinstance(entry, dict) and "email" in entry}
            if len(found) > self._most:
                raise too_many(self._most)
            following = page.get("nextPageToken")
            if not following or not entries:
                return tuple(found)
            query["pageToken"] = str(following)
        raise Unavailable("Google's list of somebody's groups does not end.")

    def is_there(self, key: str) -> bool:
        return self._user(key) is not None

    @property
    def can_find(self) -> bool:
        return True

    def find(self, username: str) -> dict[str, Any] | None:
        found = self._user(username)
        if found is None:
            return None
        # Google's tokens name people by the same id, and vouch for the primary address of an organisation's account.
        email, name = found.get("primaryEmail", ""), found.get("name")
        full = name.get("fullName", "") if isinstance(name, dict) else ""
        return {"sub": str(found["id"]), "email": email, "email_verified": True, "name": full}

    def _user(self, key: str) -> dict[str, Any] | None:
        answer = self._web.get(f"{self._url}/users/{quote(key, safe='')}", token=self._token.get())
        if answer.status in {400, 404}:  # 400: what was typed cannot be anybody's key
            return None
        found = _good(answer)
        if found.get("suspended") is True or found.get("archived") is True:
            raise _disabled()
        return found

    def check(self) -> None:
        self._token.get()

    def _fetch_token(self) -> TokenSet:
        assertion = sign_jwt_bearer_assertion(
            self._key,
            self._account,
            self._token_uri,
            subject=self._admin,
            issued_at=int(self._clock()),
            claims={"scope": GOOGLE_SCOPES},
            alg="RS256",
            expires_in=600,
        )
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        try:
            return token_set(self._web.post(self._token_uri, form))
        except AuthenticationFailed as error:
            raise Unavailable(
                f"{host_of(self._token_uri)} gives the service account no token: {error.detail}.",
                remedy="Look at the domain-wide delegation (client id and both scopes) and at google_admin.",
            ) from error


def directory_of(
    settings: OidcSettings, web: Web, discovery: Discovery, endpoint: TokenEndpoint
) -> GroupDirectory | None:
    """The directory that the settings name.

    :raises InvalidInput: its key cannot be read.
    """
    if settings.group_lookup == "entra":
        return Entra(settings, web, discovery, endpoint)
    if settings.group_lookup == "google":
        return Google(settings, web)
    return None


def _service_account(settings: OidcSettings) -> tuple[str, str, RSAKey]:
    content = read_file(settings.google_key_file, "google_key_file")
    try:
        found = json.loads(content)
        account, token_uri, key = found["client_email"], found["token_uri"], RSAKey.import_key(found["private_key"])
        require_https(token_uri, "token_uri", settings.allow_http)
    except (ValueError, KeyError, TypeError, JoseError) as error:
        message = f"{settings.google_key_file} is not the key of a service account, as Google gives it in JSON."
        raise InvalidInput(message, field="google_key_file") from error
    return str(account), str(token_uri), key


def _good(answer: Answer) -> dict[str, Any]:
    if answer.ok:
        return answer.fields()
    host = host_of(answer.url)
    if answer.status in {401, 403}:
        raise Unavailable(
            f"{host} does not let Stead read the directory ({answer.status}).",
            remedy="Give the client the permissions that the documentation names.",
        )
    raise Unavailable(f"{host} answered {answer.status} to a question about somebody's groups.")


def _disabled() -> AuthenticationFailed:
    return AuthenticationFailed(
        "Your account there has been disabled.", detail="the directory says that the account is disabled"
    )
