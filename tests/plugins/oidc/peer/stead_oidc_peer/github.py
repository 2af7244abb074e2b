"""A GitHub Enterprise Server as far as sign-in needs one, strict about everything that is asked of it.

Each answer of the API is checked against GitHub's published schema, and so are the parameters of each question.
"""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

from stead_oidc_peer import github_schema
from stead_oidc_peer.server import Reply, Request, Server, now

CLIENT_ID = "Iv1.0123456789abcdef"
SECRET = "0123456789abcdef0123456789abcdef01234567"
API = "/api/v3"
_CODE_SECONDS = 600
_SCOPES = {"/user/memberships/orgs": "read:org", "/user/teams": "read:org", "/user/emails": "user:email"}


@dataclass
class Someone:
    """An account. ``teams`` are ``organisation/team``."""

    number: int
    login: str
    emails: list[dict[str, Any]] = field(default_factory=list)
    organizations: dict[str, str] = field(default_factory=dict)
    teams: list[str] = field(default_factory=list)
    suspended: bool = False

    @classmethod
    def usual(cls, number: int = 583231, login: str = "octocat") -> Someone:
        address = {"email": f"{login}@example.com", "primary": True, "verified": True, "visibility": "private"}
        public = {"email": "elsewhere@example.net", "primary": False, "verified": False, "visibility": None}
        return cls(number, login, [public, address], {"example-corp": "active"}, ["example-corp/engineering"])


class GithubPeer(Server):
    """``people`` by login; ``problems`` is what a test must find empty."""

    def __init__(self, tls: tuple[str, str] | None = None) -> None:
        super().__init__(tls)
        self.people: dict[str, Someone] = {"octocat": Someone.usual()}
        self.redirect_uri = "https://stead.test/sign-in/corp/callback"
        self.codes: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, tuple[str, set[str]]] = {}
        self.problems: list[str] = []
        self.knows_pkce = True
        self.checks = True
        self.filters = True
        self.routes |= {
            "GET /login/oauth/authorize": self._page,
            "POST /login/oauth/authorize": self._approve,
            "POST /login/oauth/access_token": self._access_token,
            f"GET {API}/meta": lambda request: self._checked(
                "/meta", request, {"verifiable_password_authentication": False}
            ),
            f"GET {API}/user": self._user,
            f"GET {API}/user/emails": self._emails,
            f"GET {API}/user/memberships/orgs": self._memberships,
            f"GET {API}/user/teams": self._teams,
        }

    # OAuth

    def _page(self, request: Request) -> Reply:
        if error := self._wrong(request.query):
            return Reply(error, 404, {"content-type": "text/html"})
        action = html.escape(f"/login/oauth/authorize?{urlencode(request.query)}")
        page = f"""<!doctype html><title>Sign in to GitHub</title><h1>Sign in to GitHub</h1>
            <form method="post" action="{action}"><label>Username <input name="login" value=""></label>
            <button name="authorize" value="1">Authorize</button></form>"""
        return Reply(page, 200, {"content-type": "text/html"})

    def _wrong(self, query: dict[str, str]) -> str:
        if query.get("client_id") != CLIENT_ID:
            return "client_id"
        if not query.get("redirect_uri", "").startswith(self.redirect_uri):
            return "redirect_uri"
        if self.knows_pkce and query.get("code_challenge_method", "S256") != "S256":
            return "code_challenge_method"
        return "" if query.get("state") else "state"

    def _approve(self, request: Request) -> Reply:
        login = request.form.get("login", "")
        sent = {"state": request.query["state"]}
        if login not in self.people:
            sent |= {"error": "access_denied", "error_description": "The user has denied your application access."}
        else:
            code = secrets.token_hex(10)
            self.codes[code] = {**request.query, "login": login, "until": now() + _CODE_SECONDS}
            sent["code"] = code
        return Reply(b"", 302, {"location": f"{request.query['redirect_uri']}?{urlencode(sent)}"})

    def _access_token(self, request: Request) -> Reply:
        form = request.form
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != SECRET:
            return _error("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or asked["until"] < now():
            return _error("bad_verification_code", "The code passed is incorrect or expired.")
        if form.get("redirect_uri", asked["redirect_uri"]) != asked["redirect_uri"]:
            return _error("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL.")
        challenge = asked.get("code_challenge", "") if self.knows_pkce else ""
        if challenge and challenge != _challenge(form.get("code_verifier", "")):
            return _error("bad_verification_code", "The code passed is incorrect or expired.")
        token = self.issue(asked["login"], asked.get("scope", ""))
        return Reply({"access_token": token, "token_type": "bearer", "scope": asked.get("scope", "").replace(" ", ",")})

    def issue(self, login: str, scope: str) -> str:
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens[token] = (login, set(scope.replace(",", " ").split()))
        return token

    # API

    def _who(self, request: Request) -> Someone | Reply:
        if not request.headers.get("user-agent"):
            return Reply({"message": "Request forbidden by administrative rules."}, 403)
        login, scopes = self.tokens.get(request.token, ("", set()))
        if login not in self.people:
            return Reply({"message": "Bad credentials"}, 401)
        if self.people[login].suspended:
            return Reply({"message": "Sorry. Your account was suspended."}, 403)
        needed = _SCOPES.get(request.path.removeprefix(API))
        if needed and needed not in scopes:
            return Reply({"message": "Not Found" if needed == "user:email" else "Must have read:org"}, 404)
        return self.people[login]

    def _user(self, request: Request) -> Reply:
        who = self._who(request)
        if isinstance(who, Reply):
            return who
        body = github_schema.example("/user")
        # What a profile shows may be anybody's address; whoever reads it here gets a wrong one.
        body |= {
            "user_view_type": "private",
            "id": who.number,
            "login": who.login,
            "name": f"The {who.login}",
            "email": "profile@example.org",
        }
        return self._checked("/user", request, body)

    def _emails(self, request: Request) -> Reply:
        who = self._who(request)
        return who if isinstance(who, Reply) else self._paged("/user/emails", request, who.emails)

    def _memberships(self, request: Request) -> Reply:
        who = self._who(request)
        if isinstance(who, Reply):
            return who
        wanted = request.query.get("state") if self.filters else None
        found = [(login, state) for login, state in who.organizations.items() if wanted in {None, state}]
        return self._paged("/user/memberships/orgs", request, found, _membership)

    def _teams(self, request: Request) -> Reply:
        who = self._who(request)
        return who if isinstance(who, Reply) else self._paged("/user/teams", request, who.teams, _team)

    def _paged(
        self, path: str, request: Request, found: list[Any], make: Callable[[Any], Any] = lambda one: one
    ) -> Reply:
        size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
        if not 1 <= size <= 100:
            self.problems.append(f"per_page={size}")
        body = [make(one) for one in found[(page - 1) * size : page * size]]
        # To another host: whoever follows it gives a person's token away.
        following = f'<https://evil.example{path}?page={page + 1}>; rel="next"'
        headers = {"link": following} if page * size < len(found) else {}
        return self._checked(path, request, body, headers)

    def _checked(self, path: str, request: Request, body: Any, headers: dict[str, str] | None = None) -> Reply:
        # A full page is checked by its first entries: they are all made the same way.
        if not self.checks:  # for those who measure
            return Reply(body, 200, headers or {})
        sample = body[:2] if isinstance(body, list) else body
        self.problems += github_schema.violations(path, request.query, sample)
        return Reply(body, 200, headers or {})


def _membership(found: tuple[str, str]) -> dict[str, Any]:
    usual = _usual("/user/memberships/orgs")
    login, state = found
    return {**usual, "state": state, "organization": {**usual["organization"], "login": login}}


def _team(name: str) -> dict[str, Any]:
    usual = _usual("/user/teams")
    login, slug = name.split("/")
    # GitHub's own example lacks what its schema demands.
    organization = {**usual["organization"], "archived_at": None, "login": login}
    return {**usual, "type": "organization", "slug": slug, "organization": organization}


@cache
def _usual(path: str) -> dict[str, Any]:
    found: dict[str, Any] = github_schema.example(path)[0]
    return found


def _error(code: str, text: str) -> Reply:
    """GitHub answers 200 to errors, too."""
    return Reply({"error": code, "error_description": text, "error_uri": "https://docs.github.com"})


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
