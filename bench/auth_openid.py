"""Signing in with OpenID Connect, at npm's oidc-provider. The browser has a session there: nothing is typed."""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
from auth_kind import Kind

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/plugins/oidc/peer"))

from stead_oidc_peer.openid import SECRET, Browser, OpenidPeer, client


@contextmanager
def kind(folder: Path) -> Iterator[Kind]:
    made = OpenidKind(folder)
    try:
        yield made
    finally:
        made.peer.stop()


class OpenidKind(Kind):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._callback = ""
        self.peer = OpenidPeer(folder / "openid")

    def settings(self, stead: str) -> str:
        self._callback = f"{stead}/sign-in/corp/callback"
        self.peer.clients = [client("stead", redirect_uris=[self._callback])]
        self.peer.start()
        secret = self._folder / "corp.secret"
        secret.write_text(SECRET)
        return f"""
            [identity.corp]
            kind = "oidc"
            sign_up = "open"
            sign_ins_at_once = 64
            issuer = "{self.peer.issuer}"
            client_id = "stead"
            client_secret_file = "{secret}"
            scopes = ["openid", "profile", "email", "groups"]
            groups_claim = "groups"
            timeout = 60
            """

    def prepare(self, client: httpx.Client, stead: str) -> None:
        with Browser() as browser:
            browser.client.cookies = client.cookies
            browser.walk(f"{stead}/sign-in/corp", stead, login="ada", password="x")
            client.cookies = browser.client.cookies

    def sign_in(self, client: httpx.Client, stead: str) -> None:
        page = client.get(f"{stead}/sign-in/corp")
        answer = client.get(client.get(page.headers["location"]).headers["location"])
        if not answer.is_redirect or "stead_session" not in str(answer.headers.get_list("set-cookie")):
            raise RuntimeError(f"no session: {answer.status_code} {answer.text[-500:]}")

    def alone(self, client: httpx.Client) -> None:
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": "stead",
            "redirect_uri": self._callback,
            "scope": "openid profile email groups",
            "state": "s",
            "nonce": "n",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        page = client.get(f"{self.peer.issuer}/auth?{urlencode(asked)}")
        back = urlsplit(urljoin(self.peer.issuer, page.headers["location"]))
        form = {
            "grant_type": "authorization_code",
            "code": parse_qs(back.query)["code"][0],
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        own = ("stead", urlencode({"": SECRET})[1:])
        tokens = client.post(f"{self.peer.issuer}/token", data=form, auth=own).raise_for_status().json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        client.get(f"{self.peer.issuer}/me", headers=bearer).raise_for_status()
