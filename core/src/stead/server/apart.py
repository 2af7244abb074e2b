"""Sign-ins have threads of their own: a provider that hangs takes none of those that serve pages."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/sign-in/"
PASSWORDS = frozenset({"/login", "/api/v2/login"})
ADMINISTRATION = ("/identity/", "/api/v2/identity/", "/settings/sign-in")


class SignInsApart:
    """Sends requests that may ask an identity provider to one application, all others to another."""

    def __init__(self, pages: ASGIApp, sign_ins: ASGIApp) -> None:
        self._pages = pages
        self._sign_ins = sign_ins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._sign_ins if scope["type"] == "http" and _may_wait(scope) else self._pages
        await app(scope, receive, send)


def _may_wait(scope: Scope) -> bool:
    path: str = scope["path"]
    if path.startswith(PREFIX):
        return True
    return scope["method"] == "POST" and (path in PASSWORDS or path == "/logout" or path.startswith(ADMINISTRATION))
