"""npm's oidc-provider as a process, and the browser of somebody who signs in there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
from joserfc.jwk import ECKey, RSAKey

from stead.testing.waiting import eventually, find_free_port
from stead_oidc_peer.npm import HERE, node, room

CALLBACK = "https://stead.test/sign-in/corp/callback"
FAREWELL = "https://stead.test/sign-in/corp/farewell"
SECRET = "a secret of the client, with = and : and %"

PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {
        "email": "ada@example.com",
        "email_verified": True,
        "name": "Ada Lovelace",
        "preferred_username": "ada",
        "groups": ["engineering", "everyone"],
        "realm_access": {"roles": ["template-author"]},
        "https://example.com/groups": ["dotted"],
    },
    "eve": {"email": "eve@example.com", "email_verified": False, "name": "Eve", "groups": ["everyone"]},
}


def signing_key(kid: str, kind: str = "RSA") -> dict[str, Any]:
    """A private key as the provider takes it."""
    key = RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key("P-256")
    return {**key.as_dict(private=True), "kid": kid, "use": "sig", "alg": "RS256" if kind == "RSA" else "ES256"}


def client(client_id: str, **more: Any) -> dict[str, Any]:
    """A registered client."""
    return {
        "client_id": client_id,
        "client_secret": SECRET,
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [FAREWELL],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        **more,
    }


@dataclass
class OpenidPeer:
    """One provider. It can be stopped, and started again on the same port with other keys.

    :param folder: for its settings and log.
    :param tls: files of the server's certificate, its key, and the authority of clients.
    """

    folder: Path
    clients: list[dict[str, Any]] = field(default_factory=lambda: [client("stead")])
    people: dict[str, dict[str, Any]] = field(default_factory=lambda: {**PEOPLE})
    keys: list[dict[str, Any]] = field(default_factory=lambda: [signing_key("one")])
    tls: Mapping[str, str] | None = None
    pkce_required: bool = True
    port: int = field(default_factory=find_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "provider.log").read_text(errors="replace")

    def know(self, **people: dict[str, Any] | None) -> None:
        """Change what the provider knows of people; ``None`` removes somebody."""
        for name, claims in people.items():
            self.people.pop(name, None)
            if claims is not None:
                self.people[name] = claims
        fresh = self.folder / "people.new"
        fresh.write_text(json.dumps(self.people))
        fresh.replace(self.folder / "people.json")

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.know()
        settings = {
            "issuer": self.issuer,
            "port": self.port,
            "clients": self.clients,
            "jwks": {"keys": self.keys},
            "people": str(self.folder / "people.json"),
            "tls": self.tls,
            "pkceRequired": self.pkce_required,
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))
        script = room() / HERE.joinpath("openid_provider.mjs").name
        fresh = script.with_suffix(f".{os.getpid()}.mjs")
        shutil.copyfile(HERE / script.name, fresh)  # Node looks for packages beside the script
        fresh.replace(script)
        with (self.folder / "provider.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(node()), str(script), str(self.folder / "settings.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, 120, what="an OpenID provider")
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"the OpenID provider ended:\n{self.log[-3000:]}")
        try:
            httpx.get(f"{self.issuer}/jwks", timeout=5, verify=False)
        except httpx.TransportError:
            return False
        return True


class Browser:
    """Somebody's browser: follows redirects by hand and fills forms, until it is sent to an address of Stead."""

    def __init__(self, ends: tuple[str, ...] = (CALLBACK, FAREWELL)) -> None:
        self.client = httpx.Client(timeout=60, verify=False)
        self._ends = ends

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def sign_in(self, url: str, **typed: str) -> dict[str, str]:
        """The parameters that the browser brings back."""
        return dict(parse_qsl(urlsplit(self.visit(url, **typed)).query, keep_blank_values=True))

    def visit(self, url: str, **typed: str) -> str:
        """The address of Stead that the browser is sent to."""
        answer = self.client.get(url)
        for _ in range(20):
            if answer.is_redirect:
                following = urljoin(str(answer.url), answer.headers["location"])
                if following.startswith(self._ends):
                    return following
                answer = self.client.get(following)
            elif answer.status_code == 200 and "<form" in answer.text:
                answer = self._submit(answer, typed)
            else:
                raise AssertionError(f"{answer.status_code} at {answer.url}: {answer.text[:2000]}")
        raise AssertionError(f"no end of redirects at {answer.url}")

    def walk(self, url: str, home: str, **typed: str) -> httpx.Response:
        """The page at ``home``, a server that really is there, that the way ends on."""
        answer = self.client.get(url)
        for _ in range(30):
            if answer.is_redirect:
                answer = self.client.get(urljoin(str(answer.url), answer.headers["location"]))
            elif str(answer.url).startswith(home):
                return answer
            elif answer.status_code == 200 and "<form" in answer.text:
                answer = self._submit(answer, typed)
            else:
                raise AssertionError(f"{answer.status_code} at {answer.url}: {answer.text[:2000]}")
        raise AssertionError(f"no end of redirects at {answer.url}")

    def _submit(self, page: httpx.Response, typed: Mapping[str, str]) -> httpx.Response:
        form = re.search(r"<form\b(.*?)>(.*?)</form>", page.text, re.DOTALL)
        assert form, page.text[:2000]
        found = re.search(r'action="([^"]*)"', form[1])
        fields = {}
        for tag in re.findall(r"<(?:input|button)\b[^>]*>", form[2]):
            attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
            if name := attributes.get("name"):
                fields[name] = typed.get(name, attributes.get("value", ""))
        outer = re.findall(r'<(?:input|button)\b[^>]*form="[^"]*"[^>]*>', page.text)
        for tag in outer:
            attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
            if name := attributes.get("name"):
                fields.setdefault(name, attributes.get("value", ""))
        action = urljoin(str(page.url), (found[1] if found else "") or str(page.url)).replace("&amp;", "&")
        return self.client.post(action, data=fields)
