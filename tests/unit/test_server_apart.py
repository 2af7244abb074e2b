"""Which requests have the threads of sign-ins."""

from __future__ import annotations

from typing import Any

import pytest

from stead.server.apart import SignInsApart


@pytest.mark.parametrize(
    ("method", "path", "where"),
    [
        ("GET", "/sign-in/corp", "sign-ins"),
        ("GET", "/sign-in/corp/callback", "sign-ins"),
        ("POST", "/sign-in/corp/signed-out", "sign-ins"),
        ("POST", "/login", "sign-ins"),
        ("POST", "/api/v2/login", "sign-ins"),
        ("POST", "/logout", "sign-ins"),
        ("POST", "/identity/corp/test", "sign-ins"),
        ("POST", "/api/v2/identity/providers/corp/check", "sign-ins"),
        ("POST", "/settings/sign-in", "sign-ins"),
        ("GET", "/login", "pages"),
        ("GET", "/api/v2/identity/providers", "pages"),
        ("GET", "/workspaces", "pages"),
        ("POST", "/api/v2/workspaces", "pages"),
        ("POST", "/api/v2/login/device/token", "pages"),
    ],
)
async def test_what_may_wait_for_a_provider_takes_no_thread_of_pages(method: str, path: str, where: str) -> None:
    asked: list[str] = []

    def app(name: str) -> Any:
        async def note(scope: Any, receive: Any, send: Any) -> None:
            asked.append(name)

        return note

    async def nothing(*_: Any) -> Any:
        raise AssertionError("must not be asked")

    apart = SignInsApart(app("pages"), app("sign-ins"))
    await apart({"type": "http", "method": method, "path": path}, nothing, nothing)
    assert asked == [where]
