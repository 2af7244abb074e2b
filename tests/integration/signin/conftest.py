"""A Stead with two identity providers that have pages and one that checks passwords, behind the real web app."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from stead.api.signin import Person
from stead.config import Settings
from stead.domain.records import Actor, SignInAttempt, User
from stead.services import authentication, deployment, users
from stead.services.clock import Clock, ManualClock
from stead.services.core import SYSTEM, Core, close_core, open_core
from stead.services.signin import record
from stead.testing.signin import FakeDirectory, FakePage, registry_of
from stead.web.app import create_app

PASSWORD = "correct horse battery"
URL = "http://stead.test"
ISSUER = "https://id.example.org"


def somebody(username: str = "bob", subject: str = "", **values: Any) -> Person:
    given = {"email": f"{username}@example.org", "email_verified": True, "groups": ("staff",), **values}
    return Person(
        issuer=given.pop("issuer", ISSUER), subject=subject or f"id-of-{username}", username=username, **given
    )


@dataclass
class Browser:
    """One person's browser."""

    world: World
    client: FlaskClient

    def get(self, path: str) -> TestResponse:
        return self.client.get(path.removeprefix(URL), base_url=URL)

    def post(self, path: str, referring: str = "/device", **fields: str) -> TestResponse:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get(referring).text)
        assert token is not None
        return self.client.post(path, data={**fields, "csrf_token": token[1]}, base_url=URL)

    def begin(self, name: str = "corp", target: str = "") -> str:
        """Set out for a provider; the address that the browser is sent to."""
        response = self.get(f"/sign-in/{name}{target}")
        assert response.status_code == 303, response.text
        return str(response.location)

    def sign_in(self, username: str = "bob", name: str = "corp", target: str = "") -> TestResponse:
        page = self.world.other if name == "other" else self.world.page
        return self.get(page.approve(self.begin(name, target), username))

    def whoami(self) -> dict[str, Any] | None:
        response = self.client.get("/api/v2/users/me", base_url=URL)
        return response.json if response.status_code == 200 else None


@dataclass
class World:
    core: Core
    app: Flask
    clock: Clock
    owner: User
    page: FakePage
    other: FakePage
    directory: FakeDirectory
    actors: dict[str, Actor] = field(default_factory=dict)

    def browser(self, user: User | None = None) -> Browser:
        client = self.app.test_client()
        if user is not None:
            client.set_cookie(
                "stead_session", authentication.open_session(self.core, user.id, "", ""), domain="stead.test"
            )
        return Browser(self, client)

    def actor(self, user: User) -> Actor:
        return authentication.actor_for_user(self.core, user.id)

    def user(self, username: str) -> User:
        return users.get(self.core, SYSTEM, username)

    def local(self, username: str, *roles: Any) -> User:
        """Somebody with a password of Stead's own."""
        return users.create(self.core, SYSTEM, username, f"{username}@stead.example", PASSWORD, roles=roles)

    def login(self, login: str, password: str, provider: str = "", address: str = "192.0.2.1") -> TestResponse:
        body = {"login": login, "password": password, "provider": provider}
        return self.app.test_client().post("/api/v2/login", json=body, environ_overrides={"REMOTE_ADDR": address})

    def last_attempt(self) -> SignInAttempt:
        return record.list(self.core, SYSTEM, limit=1).items[0]  # type: ignore[no-any-return]


SECTIONS: dict[str, dict[str, Any]] = {
    "corp": {"kind": "fake-page", "sign_up": "open"},
    "other": {"kind": "other-page", "sign_up": "open"},
    "dir": {"kind": "fake-directory", "sign_up": "open"},
}


@pytest.fixture
def make_world(tmp_path: Path, database_url: str) -> Iterator[Callable[..., World]]:
    """A world whose providers are set as given: ``make_world(corp={"sign_up": "closed"})``."""
    opened: list[Core] = []

    def make(
        *, access_url: str = URL, login_attempts: int = 5, clock: Clock | None = None, **changes: dict[str, Any]
    ) -> World:
        page, other, directory = FakePage(), FakePage(url="https://other.example.org"), FakeDirectory()
        sections = {name: {**section, **changes.get(name, {})} for name, section in SECTIONS.items()}
        values: dict[str, Any] = {"pg_connection_url": database_url} if "postgresql" in database_url else {}
        settings = Settings(
            data_dir=tmp_path / "data",
            access_url=access_url,
            login_attempts=login_attempts,
            identity={"sections": sections},
            **values,
        )
        clock = clock or ManualClock(datetime(2026, 5, 1, 12, tzinfo=UTC))
        kinds = registry_of(page.spec(), other.spec("other-page", "Other Corp"), directory.spec())
        core = open_core(settings, clock=clock, plugins=kinds)
        opened.append(core)
        owner = deployment.create_first_owner(core, "ada", "ada@stead.example", PASSWORD)
        return World(core, create_app(core), clock, owner, page, other, directory)

    yield make
    for core in opened:
        close_core(core)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world()
    made.page.add(somebody())
    return made


@pytest.fixture
def make_person() -> Callable[..., Person]:
    return somebody
