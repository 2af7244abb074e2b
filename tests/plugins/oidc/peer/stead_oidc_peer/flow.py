"""Sign-ins as the core makes them, straight at a provider of the plugin."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stead.api import Attempt, Begun, Link, Person, RedirectProvider
from stead_oidc.settings import OidcSettings
from stead_oidc_peer.openid import CALLBACK, SECRET, Browser


@dataclass
class Flow:
    """One sign-in of the core's making: state and nonce, and what the browser brought back."""

    provider: RedirectProvider
    attempt: Attempt = field(
        default_factory=lambda: Attempt(CALLBACK, secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    )
    begun: Begun | None = None

    def begin(self) -> str:
        self.begun = self.provider.begin(self.attempt)
        return self.begun.url

    def answer(self, **typed: str) -> dict[str, str]:
        with Browser() as browser:
            answer = browser.sign_in(self.begin(), **typed)
        assert answer.pop("state") == self.attempt.state
        return answer

    def complete(self, answer: Mapping[str, str]) -> Person:
        assert self.begun is not None
        person = self.provider.complete(self.attempt, answer, self.begun.kept)
        assert person is not None
        return person

    def sign_in(self, **typed: str) -> Person:
        return self.complete(self.answer(**typed))


def oidc_settings(issuer: str, **more: Any) -> OidcSettings:
    return OidcSettings.model_validate(
        {"issuer": issuer, "client_id": "stead", "client_secret": SECRET, "timeout": 60, **more}
    )


def link_of(person: Person) -> Link:
    """What the core keeps of a person."""
    return Link(person.issuer, person.subject, person.username, person.email, person.session, person.kept)
