"""The directories of Google Workspace and Entra ID, as far as they are asked, and strict about it."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from joserfc import jwt
from joserfc.jwk import RSAKey

from stead_oidc_peer.hostile import Hostile
from stead_oidc_peer.server import Reply, Request, Server, now

ADMIN = "admin@example.com"
ACCOUNT = "stead@project.iam.example"
_GROUP = "https://www.googleapis.com/auth/admin.directory.group.readonly"
_USER = "https://www.googleapis.com/auth/admin.directory.user.readonly"


class GoogleDirectory(Server):
    """The Admin SDK's directory and its token endpoint. ``people`` maps a person's id to their groups."""

    def __init__(self) -> None:
        super().__init__()
        self.key = RSAKey.generate_key(2048)
        self.people: dict[str, list[str]] = {}
        self.suspended: set[str] = set()
        self.tokens: set[str] = set()
        self.delegated = True
        self.routes |= {
            "POST /token": self._token,
            "GET /admin/directory/v1/groups": self._groups,
            "GET /admin/directory/v1/users/*": self._user,
        }

    def settings(self, folder: Path) -> dict[str, Any]:
        """What a provider of the plugin is told of this directory."""
        file = folder / "google.json"
        pem = self.key.as_pem(private=True).decode()
        file.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "client_email": ACCOUNT,
                    "private_key": pem,
                    "token_uri": f"{self.url}/token",
                }
            )
        )
        return {
            "group_lookup": "google",
            "group_lookup_url": f"{self.url}/admin/directory/v1",
            "google_key_file": file,
            "google_admin": ADMIN,
        }

    def _token(self, request: Request) -> Reply:
        form = request.form
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return Reply({"error": "unsupported_grant_type"}, 400)
        claims = jwt.decode(form["assertion"], self.key, algorithms=["RS256"]).claims
        right = (
            claims["iss"] == ACCOUNT
            and claims["sub"] == ADMIN
            and claims["aud"] == f"{self.url}/token"
            and set(claims["scope"].split()) == {_GROUP, _USER}
            and now() - 60 <= claims["iat"] <= now() + 60
            and now() < claims["exp"] <= claims["iat"] + 3600
        )
        if not right or not self.delegated:
            text = "Client is unauthorized to retrieve access tokens using this method."
            return Reply({"error": "unauthorized_client" if right else "invalid_grant", "error_description": text}, 401)
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        return Reply({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _groups(self, request: Request) -> Reply:
        if request.token not in self.tokens:
            return Reply({"error": {"code": 401}}, 401)
        size = int(request.query.get("maxResults", 200))
        if not 1 <= size <= 200 or set(request.query) - {"userKey", "maxResults", "pageToken"}:
            return Reply({"error": {"code": 400}}, 400)
        if request.query["userKey"] not in self.people:
            return Reply({"error": {"code": 404}}, 404)
        found, at = self.people[request.query["userKey"]], int(request.query.get("pageToken", 0))
        page: dict[str, Any] = {"kind": "admin#directory#groups"}
        if found:  # the real one leaves an empty list out
            page["groups"] = [{"email": email, "name": email} for email in found[at : at + size]]
        if at + size < len(found):
            page["nextPageToken"] = str(at + size)
        return Reply(page)

    def _user(self, request: Request) -> Reply:
        if request.token not in self.tokens:
            return Reply({"error": {"code": 401}}, 401)
        key = unquote(request.path.rpartition("/")[2]).removesuffix("@example.com")
        if key not in self.people:
            return Reply({"error": {"code": 404}}, 404)
        named = {"primaryEmail": f"{key}@example.com", "name": {"fullName": key.title()}}
        return Reply({"id": key, "suspended": key in self.suspended, "archived": False, **named})


class Graph(Server):
    """Microsoft Graph, which takes the tokens that ``provider`` gives to clients."""

    def __init__(self, provider: Hostile) -> None:
        super().__init__()
        self._provider = provider
        self.people: dict[str, list[str]] = {}
        self.disabled: set[str] = set()
        self.routes |= {"GET /v1.0/users/*": self._user}

    def settings(self) -> dict[str, Any]:
        return {"group_lookup": "entra", "group_lookup_url": f"{self.url}/v1.0", "groups_claim": "groups"}

    def add(self, oid: str, groups: list[str]) -> None:
        self.people[oid] = groups
        self.routes[f"POST /v1.0/users/{oid}/getMemberObjects"] = lambda request: self._members(oid, request)

    def _members(self, oid: str, request: Request) -> Reply:
        if request.token not in self._provider.app_tokens:
            return Reply({"error": {"code": "InvalidAuthenticationToken"}}, 401)
        if json.loads(request.body) != {"securityEnabledOnly": False}:
            return Reply({"error": {"code": "BadRequest"}}, 400)
        return Reply({"@odata.context": "…#Collection(Edm.String)", "value": self.people[oid]})

    def _user(self, request: Request) -> Reply:
        oid = request.path.rpartition("/")[2]
        if request.token not in self._provider.app_tokens or request.query != {"$select": "id,accountEnabled"}:
            return Reply({"error": {"code": "BadRequest"}}, 400)
        if oid not in self.people:
            return Reply({"error": {"code": "Request_ResourceNotFound"}}, 404)
        return Reply({"id": oid, "accountEnabled": oid not in self.disabled})
