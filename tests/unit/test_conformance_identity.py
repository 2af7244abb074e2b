"""The identity suites: what is right passes them, and what is wrong in a way does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pydantic import BaseModel, SecretStr

from stead.api import (
    Attempt,
    AuthenticationFailed,
    Begun,
    Credentials,
    CredentialsProvider,
    IdentityProviderSpec,
    Person,
    RedirectProvider,
)
from stead.testing.conformance import CredentialsConformance, RedirectConformance

EXAMPLE = Path(__file__).parents[2] / "docs" / "plugins" / "stead-passfile"
sys.path.insert(0, str(EXAMPLE))
import stead_passfile  # noqa: E402

PASSWORD = "correct horse battery"


def _line(number: int, name: str, password: str) -> str:
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
    return f"{number}:{name}:{salt.hex()}:{digest.hex()}\n"


class TestPassFile(CredentialsConformance):
    """The example of the documentation."""

    plugin = stead_passfile
    good = ("ada", PASSWORD)

    @pytest.fixture
    def settings(self, tmp_path: Path) -> BaseModel:
        file = tmp_path / "people"
        file.write_text(_line(1, "ada", PASSWORD) + _line(2, "bob", "something else"))
        return stead_passfile.Settings(file=file)

    @pytest.fixture(autouse=True)
    def importable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", str(EXAMPLE))


def test_the_example_has_forty_lines() -> None:
    assert len((EXAMPLE / "stead_passfile.py").read_text().splitlines()) <= 40


# A provider to be sent to, in memory

PROVIDER = "https://corp.example.test/authorize"


class CorpSettings(BaseModel):
    client_secret: SecretStr = SecretStr("a-client-secret")


class Corp(RedirectProvider):
    """Tickets that the provider signs, bound to the nonce."""

    lenient: ClassVar[bool] = False

    def __init__(self, settings: CorpSettings) -> None:
        self._key = settings.client_secret.get_secret_value().encode()

    def begin(self, attempt: Attempt) -> Begun:
        asked = {"redirect_uri": attempt.redirect_uri, "state": attempt.state, "nonce": attempt.nonce}
        return Begun(f"{PROVIDER}?{urlencode(asked)}", {"verifier": secrets.token_urlsafe(16)})

    def complete(self, attempt: Attempt, answer: Mapping[str, str], kept: Mapping[str, str]) -> Person | None:
        body, _, signature = answer.get("ticket", "").partition(".")
        good = hmac.new(self._key, body.encode(), "sha256").hexdigest()
        if "error" in answer or not hmac.compare_digest(good, signature):
            raise AuthenticationFailed(detail="the ticket's signature is wrong")
        found = json.loads(base64.urlsafe_b64decode(body))
        if found["nonce"] != attempt.nonce and not self.lenient:
            raise AuthenticationFailed(detail="the ticket is of another attempt")
        return Person("https://corp.example.test", found["sub"], email="ada@corp.example.test")


def _module(provider: type, settings: type[BaseModel]) -> Any:
    made = ModuleType("json")  # something that can be imported
    made.stead_identity_providers = lambda: [IdentityProviderSpec("corp", "Corp", provider, settings)]  # type: ignore[attr-defined]
    return made


class TestRedirect(RedirectConformance):
    plugin = _module(Corp, CorpSettings)

    def walk(self, url: str) -> Mapping[str, str]:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        body = base64.urlsafe_b64encode(json.dumps({"sub": "7", "nonce": asked["nonce"]}).encode()).decode()
        signature = hmac.new(b"a-client-secret", body.encode(), "sha256").hexdigest()
        return {"state": asked["state"], "ticket": f"{body}.{signature}"}


class Lenient(Corp):
    lenient = True


def test_a_provider_that_takes_tickets_of_other_attempts_is_caught() -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        TestRedirect().test_an_answer_to_another_beginning_is_refused(Lenient(CorpSettings()))


class Careless(CredentialsProvider):
    """Knows everybody by anything, and says what was typed."""

    def verify(self, credentials: Credentials) -> Person | None:
        if credentials.password == PASSWORD:
            return Person("careless", credentials.username)
        raise AuthenticationFailed(f"{credentials.password} is wrong")


def test_a_provider_that_tells_passwords_and_knows_anybody_is_caught() -> None:
    with pytest.raises(AssertionError, match="the password that was typed is told"):
        TestPassFile().test_a_wrong_password_is_refused_and_not_told(Careless())
    with pytest.raises(AssertionError):
        TestPassFile().test_a_hostile_name_is_nobody(Careless(), "*")


class Talkative(CredentialsProvider):
    """Says of a password what only somebody who has an account can be told."""

    def verify(self, credentials: Credentials) -> Person | None:
        raise AuthenticationFailed("Your password is not this one.")


def test_a_provider_that_tells_strangers_whose_name_it_knows_is_caught() -> None:
    with pytest.raises(AssertionError, match="a stranger is told that the name is known"):
        TestPassFile().test_a_wrong_password_is_refused_and_not_told(Talkative())
