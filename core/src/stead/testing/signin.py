"""Identity providers to test with: one of each shape, which do as the test says.

``FakePage`` signs people in at a page that a real HTTP server shows; ``FakeDirectory`` checks names and passwords.
Both are told who there is with :meth:`add`, can be away, can hang, and can forget people.

::

    page = FakePage()
    core = open_core(settings, plugins=registry_of(page.spec()))
"""

from __future__ import annotations

import html
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, SecretStr

from stead.api import hookimpl
from stead.api.errors import Unavailable
from stead.api.records import CredentialsReport
from stead.api.signin import (
    Attempt,
    AuthenticationFailed,
    Begun,
    Credentials,
    CredentialsProvider,
    Directory,
    IdentityProvider,
    IdentityProviderSpec,
    Link,
    Person,
    RedirectProvider,
    SignedOut,
    Trace,
)
from stead.plugins import PluginRegistry

WAITS = 30.0  # seconds after which what hangs gives up by itself


class FakeSettings(BaseModel, extra="forbid"):
    """What the fakes can be told in ``[identity.NAME]``."""

    issuer: str = "https://id.example.org"
    client_secret: SecretStr | None = None
    scopes: list[str] = []
    broken: bool = False


@dataclass
class _Behaviour:
    """How a fake stands to be asked. ``away`` raises Unavailable, ``defect`` anything else; ``hang`` waits."""

    people: dict[str, Person] = field(default_factory=dict)
    away: bool = False
    defect: bool = False
    asked: int = 0
    held: threading.Event | None = None

    def add(self, person: Person) -> Person:
        """Somebody who is there from now on, by their username."""
        self.people[person.username] = person
        return person

    def remove(self, username: str) -> None:
        """Somebody left."""
        del self.people[username]

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Within this block no question is answered."""
        self.held = threading.Event()
        try:
            yield
        finally:
            held, self.held = self.held, None
            held.set()

    def _meet(self) -> None:
        self.asked += 1
        if self.held is not None:
            self.held.wait(WAITS)
        if self.away:
            raise Unavailable("The provider does not answer.")
        if self.defect:
            raise RuntimeError("a defect of the provider")

    def _known(self, issuer: str, subject: str) -> Person | None:
        return next((one for one in self.people.values() if (one.issuer, one.subject) == (issuer, subject)), None)

    def check(self) -> CredentialsReport:
        self._meet()
        return CredentialsReport(ok=True, summary=f"It knows {len(self.people)} people.")


def _made(provider: Any, settings: FakeSettings) -> IdentityProvider:
    if settings.broken:
        raise ValueError("it was told to be broken")
    provider.settings = settings
    made: IdentityProvider = provider
    return made


@dataclass
class FakeDirectory(_Behaviour, CredentialsProvider, Directory):
    """Checks passwords, and can be asked about people. ``passwords`` are by username."""

    passwords: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    seen_passwords: list[str] = field(default_factory=list)
    settings: FakeSettings = field(default_factory=FakeSettings)

    def spec(self, kind: str = "fake-directory", title: str = "Example Directory") -> IdentityProviderSpec:
        return IdentityProviderSpec(
            kind, title, lambda settings: _made(self, settings), FakeSettings, form="Login name"
        )

    def verify(self, credentials: Credentials) -> Person | None:
        self._meet()
        self.seen_passwords.append(credentials.password)
        person = self.people.get(credentials.username)
        credentials.trace.note("Search", "one entry" if person else "no entry", ok=person is not None)
        if person is None:
            return None
        if credentials.username in self.disabled:
            raise AuthenticationFailed("The account is disabled.", detail="userAccountControl has ACCOUNTDISABLE")
        if self.passwords.get(credentials.username) != credentials.password:
            raise AuthenticationFailed(detail="bind: invalid credentials")
        credentials.trace.note("Bind", "as the entry found")
        return person

    def look_up(self, link: Link, trace: Trace) -> Person | None:
        self._meet()
        person = self._known(link.issuer, link.subject)
        trace.note("Search", "by subject", ok=person is not None)
        if person is not None and person.username in self.disabled:
            raise AuthenticationFailed("The account is disabled.", detail="userAccountControl has ACCOUNTDISABLE")
        return person

    def find(self, username: str, trace: Trace) -> Person | None:
        self._meet()
        trace.note("Search", username, ok=username in self.people)
        return self.people.get(username)


@dataclass
class FakePage(_Behaviour, RedirectProvider, Directory):
    """Signs people in at a page of its own: ``with page.serving(): ...``, or :meth:`approve` without a browser.

    ``posts`` has the browser post the answer.
    """

    settings: FakeSettings = field(default_factory=FakeSettings)
    url: str = "https://id.example.org"
    codes: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    ends_sessions: bool = False
    posts: bool = False

    def spec(self, kind: str = "fake-page", title: str = "Example Corp") -> IdentityProviderSpec:
        return IdentityProviderSpec(kind, title, lambda settings: _made(self, settings), FakeSettings)

    def begin(self, attempt: Attempt) -> Begun:
        self._meet()
        verifier = secrets.token_urlsafe(16)
        attempt.trace.note("Authorization request", self.url)
        asked = {"redirect_uri": attempt.redirect_uri, "state": attempt.state, "nonce": attempt.nonce}
        return Begun(f"{self.url}/authorize?{urlencode(asked)}", {"verifier": verifier}, form_post=self.posts)

    def approve(self, url: str, username: str) -> str:
        """What the page does when somebody says who they are: the address that the browser is sent back to."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = secrets.token_urlsafe(16)
        self.codes[code] = (username, asked["nonce"], asked["redirect_uri"])
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def complete(self, attempt: Attempt, answer: Mapping[str, str], kept: Mapping[str, str]) -> Person | None:
        self._meet()
        if "error" in answer:
            raise AuthenticationFailed("You did not agree to sign in.", detail=f"error={answer['error']}")
        username, nonce, redirect_uri = self.codes.pop(answer.get("code", ""), ("", "", ""))
        attempt.trace.note("Code", "exchanged", ok=bool(username))
        if not username or not kept.get("verifier"):
            raise AuthenticationFailed(detail="the code is not ours, or was used already")
        if nonce != attempt.nonce or redirect_uri != attempt.redirect_uri:
            raise AuthenticationFailed(detail="the nonce or the redirect_uri is that of another sign-in")
        attempt.trace.note("Nonce", "ours")
        return self.people.get(username)

    def look_up(self, link: Link, trace: Trace) -> Person | None:
        self._meet()
        trace.note("User info")
        return self._known(link.issuer, link.subject)

    @property
    def can_find(self) -> bool:
        return False

    def sign_out_url(self, link: Link, return_to: str, state: str) -> str | None:
        del link
        asked = {"post_logout_redirect_uri": return_to, "state": state}
        return f"{self.url}/logout?{urlencode(asked)}" if self.ends_sessions else None

    def signed_out(self, message: Mapping[str, str]) -> SignedOut:
        if message.get("logout_token") != "good":
            raise AuthenticationFailed(detail="the token is not signed by us")
        return SignedOut(
            issuer=message.get("iss", ""),
            once=message.get("jti", ""),
            until=float(message.get("exp", "0")),
            subject=message.get("sub", ""),
            session=message.get("sid", ""),
        )

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Show the page at an address of this machine for the length of the block."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="fake provider", daemon=True)
        thread.start()
        before, self.url = self.url, f"http://127.0.0.1:{server.server_port}"
        try:
            yield
        finally:
            self.url = before
            server.shutdown()
            server.server_close()
            thread.join(10)


def _posting(away: str) -> str:
    """A page that posts the parameters of an address to it, as `response_mode=form_post` wants it."""
    target, _, query = away.partition("?")
    fields = "".join(
        f'<input type=hidden name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in parse_qsl(query)
    )
    script = "<script>document.forms[0].submit()</script>"
    return f'<title>Example Corp</title><form method=post action="{html.escape(target)}">{fields}</form>{script}'


def _handler_of(page: FakePage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/logout":
                self._send_on(parse_qs(parts.query)["post_logout_redirect_uri"][0])
            else:
                buttons = "".join(
                    f"<button name=username value={html.escape(name, quote=True)!r}>{html.escape(name)}</button>"
                    for name in page.people
                )
                self._answer(f"<title>Example Corp</title><h1>Who are you?</h1><form method=post>{buttons}</form>")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            form = dict(parse_qsl(self.rfile.read(length).decode()))
            away = page.approve(self.path, form.get("username", ""))
            if page.posts:
                self._answer(_posting(away))
            else:
                self._send_on(away)

        def _answer(self, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _send_on(self, url: str) -> None:
            self.send_response(303)
            self.send_header("Location", url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            del format, args

    return Handler


class _Plugin:
    def __init__(self, specs: Sequence[IdentityProviderSpec]) -> None:
        self._specs = specs

    @hookimpl
    def stead_identity_providers(self) -> list[IdentityProviderSpec]:
        return list(self._specs)


def registry_of(*specs: IdentityProviderSpec) -> PluginRegistry:
    """A registry whose one plugin brings these kinds."""
    registry = PluginRegistry(builtins={"fakes": _Plugin(specs)})
    registry.load()
    return registry
