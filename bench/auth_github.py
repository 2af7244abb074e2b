"""Signing in with GitHub, at a stand-in in this process that looks at every parameter."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from auth_kind import Kind

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/plugins/oidc/peer"))

from stead_oidc_peer.github import API, CLIENT_ID, SECRET, GithubPeer


@contextmanager
def kind(folder: Path) -> Iterator[Kind]:
    with GithubPeer() as peer:
        peer.checks = False
        yield GithubKind(folder, peer)


class GithubKind(Kind):
    def __init__(self, folder: Path, peer: GithubPeer) -> None:
        self._folder = folder
        self._peer = peer

    def settings(self, stead: str) -> str:
        self._peer.redirect_uri = f"{stead}/sign-in/corp/callback"
        secret = self._folder / "corp.secret"
        secret.write_text(SECRET)
        return f"""
            [identity.corp]
            kind = "github"
            sign_up = "open"
            sign_ins_at_once = 64
            url = "{self._peer.url}"
            client_id = "{CLIENT_ID}"
            client_secret_file = "{secret}"
            timeout = 60
            """

    def prepare(self, client: httpx.Client, stead: str) -> None:
        self.sign_in(client, stead)

    def sign_in(self, client: httpx.Client, stead: str) -> None:
        page = client.get(f"{stead}/sign-in/corp")
        back = client.post(page.headers["location"], data={"login": "octocat"})
        answer = client.get(back.headers["location"])
        if not answer.is_redirect or "stead_session" not in str(answer.headers.get_list("set-cookie")):
            raise RuntimeError(f"no session: {answer.status_code} {answer.text[-500:]}")

    def alone(self, client: httpx.Client) -> None:
        url = self._peer.url
        scope = "read:user user:email read:org"
        asked = {"client_id": CLIENT_ID, "redirect_uri": self._peer.redirect_uri, "scope": scope, "state": "s"}
        back = client.post(f"{url}/login/oauth/authorize?{urlencode(asked)}", data={"login": "octocat"})
        code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
        form = {"client_id": CLIENT_ID, "client_secret": SECRET, "code": code}
        tokens = client.post(f"{url}/login/oauth/access_token", data=form).raise_for_status().json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        for path in ("/user", "/user/emails", "/user/memberships/orgs", "/user/teams"):
            client.get(f"{url}{API}{path}", headers=bearer).raise_for_status()
