"""What is asked of GitHub's REST API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stead.api.errors import Unavailable
from stead_oidc.claims import Email, too_many
from stead_oidc.settings import GithubSettings
from stead_oidc.web import Answer, Web, host_of

_ACCEPT = "application/vnd.github+json"


class TokenRefused(Exception):
    """GitHub does not take the person's token (any more)."""


@dataclass(frozen=True)
class Account:
    """An account. ``number`` is its for good; ``login`` may change, and be given to somebody else."""

    number: int
    login: str
    name: str
    email: Email
    token: str = field(repr=False)


class GithubApi:
    """Reads with a person's token."""

    def __init__(self, web: Web, settings: GithubSettings) -> None:
        self._web = web
        self._url = settings.api
        self._page = settings.page_size
        self._most = settings.max_groups

    def account(self, token: str) -> Account:
        """Whose token it is.

        :raises TokenRefused: nobody's.
        """
        found = self._get("/user", token).fields()
        number, login = found.get("id"), found.get("login")
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(login, str):
            raise Unavailable(f"{host_of(self._url)} answered without id and login of the account.")
        name = found.get("name")
        return Account(number, login, name if isinstance(name, str) else "", self._email(token), token)

    def organizations(self, token: str) -> tuple[str, ...]:
        """Names of the organisations that they are active members of: an invitation is no membership."""
        found = []
        for entry in self._all("/user/memberships/orgs", token, state="active"):
            organization = entry.get("organization")
            if entry.get("state") == "active" and isinstance(organization, dict):
                found.append(str(organization.get("login", "")))
        return tuple(filter(None, found))

    def teams(self, token: str) -> tuple[str, ...]:
        """Their teams, as ``ORGANISATION/TEAM``, with the teams above them."""
        found: dict[str, None] = {}
        for entry in self._all("/user/teams", token):
            organization, parent = entry.get("organization"), entry.get("parent")
            if not isinstance(organization, dict):
                continue
            for team in (entry, parent):
                if isinstance(team, dict) and team.get("slug"):
                    found[f"{organization.get('login', '')}/{team['slug']}"] = None
        return tuple(found)

    def check(self) -> None:
        """Whether the API answers, to nobody in particular."""
        answer = self._web.get(f"{self._url}/meta", accept=_ACCEPT)
        # A server in private mode, or a limit on strangers, is an answer too.
        if not answer.ok and answer.status not in {401, 403, 429}:
            raise Unavailable(f"{host_of(self._url)} answered {answer.status}.", remedy="Look at url and api_url.")

    def _email(self, token: str) -> Email:
        """The primary address. What the profile shows may be any, and says nothing of whose it is."""
        for entry in self._all("/user/emails", token):
            if entry.get("primary") is True and isinstance(entry.get("email"), str):
                return Email(entry["email"], entry.get("verified") is True)
        return Email("", verified=False)

    def _all(self, path: str, token: str, **query: str) -> Iterator[dict[str, Any]]:
        """All pages. Numbers are counted up; an address for the next page is not followed."""
        for page in range(1, 2 + self._most // self._page):
            answer = self._get(path, token, **query, per_page=str(self._page), page=str(page))
            entries = answer.json()
            if not isinstance(entries, list):
                raise Unavailable(f"{host_of(self._url)} answered without a list.")
            yield from (entry for entry in entries if isinstance(entry, dict))
            if not entries or 'rel="next"' not in answer.headers.get("link", ""):
                return
        raise too_many(self._most)

    def _get(self, path: str, token: str, **query: str) -> Answer:
        answer = self._web.get(self._url + path, token=token, query=query, accept=_ACCEPT)
        if answer.status == 401 or (answer.status == 403 and b"suspended" in answer.body):
            raise TokenRefused(path)
        if answer.status in {403, 404} and answer.headers.get("x-ratelimit-remaining") != "0":
            raise Unavailable(
                f"{host_of(self._url)} does not let Stead read {path} ({answer.status}).",
                remedy="The app needs the scopes read:user, user:email and read:org, and its organisations' approval.",
            )
        if not answer.ok:
            raise Unavailable(f"{host_of(self._url)} answered {answer.status} to {path}.")
        return answer
