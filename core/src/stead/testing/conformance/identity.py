"""What every identity provider must do: see ``docs/development/identity-api.md``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import BaseModel

from stead.api.errors import Unavailable
from stead.api.signin import (
    CORE_SETTINGS,
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
    Trace,
)
from stead.testing.conformance.rig import secrets_of
from stead.testing.conformance.weight import weigh

AT_ONCE = 8
HOSTILE = (
    "*",
    ")(uid=*",
    "*)(|(uid=*",
    "admin'--",
    "\\2a",
    "a\x00b",
    "\n",
    " ",
    "\u202eecila",
    "x" * 10_000,
    "../../etc/passwd",
    "${jndi:x}",
)

REFUSALS: tuple[dict[str, str], ...] = ({}, {"error": "access_denied"}, {"error": "server_error", "code": "x"})


class IdentityConformance:
    """Inherit :class:`CredentialsConformance` or :class:`RedirectConformance`, not this.

    :cvar plugin: the module with the plugin's hooks.
    :cvar kind: of the provider to test, where the plugin brings several.
    :cvar sdk_modules: names of packages that importing the plugin must not import.
    """

    plugin: ClassVar[ModuleType]
    kind: ClassVar[str] = ""
    sdk_modules: ClassVar[tuple[str, ...]] = ()

    # What an author overrides

    @pytest.fixture
    def settings(self, identity_spec: IdentityProviderSpec) -> BaseModel:
        """Settings that lead to a provider which answers."""
        return identity_spec.settings()

    @pytest.fixture
    def unreachable_settings(self) -> BaseModel | None:
        """The same where nobody answers. ``None``: the kind asks nobody."""
        return None

    # What the suite makes of it

    @pytest.fixture
    def identity_spec(self) -> IdentityProviderSpec:
        found = [spec for spec in self.plugin.stead_identity_providers() if self.kind in ("", spec.kind)]
        assert len(found) == 1, f"{self.plugin.__name__} brings {len(found)} kinds: set `kind` to the one to test"
        spec: IdentityProviderSpec = found[0]
        return spec

    @pytest.fixture
    def provider(
        self, identity_spec: IdentityProviderSpec, settings: BaseModel, caplog: pytest.LogCaptureFixture
    ) -> Iterator[Any]:
        """A provider for one test; at the end no secret of its settings stood in a log."""
        caplog.set_level("DEBUG")
        made = identity_spec.factory(settings)
        yield made
        made.close()
        shown = caplog.text + repr(made) + repr(settings)
        assert not [secret for secret in secrets_of(settings) if secret in shown], "a secret of the settings is shown"

    # The suite

    def test_the_settings_leave_the_cores_names_alone(self, identity_spec: IdentityProviderSpec) -> None:
        assert identity_spec.kind.replace("-", "").isalnum()
        assert identity_spec.kind == identity_spec.kind.lower()
        assert identity_spec.title
        taken = CORE_SETTINGS & set(identity_spec.settings.model_fields)
        assert not taken, f"these names belong to the core: {sorted(taken)}"

    def test_importing_the_plugin_imports_no_sdk(self) -> None:
        weight = weigh(self.plugin.__name__, runs=1)
        heavy = [name for name in weight.modules if {name, name.partition(".")[0]} & set(self.sdk_modules)]
        assert not heavy, f"importing {self.plugin.__name__} imports {heavy[:5]}"

    def test_a_check_of_what_answers_is_good(self, provider: IdentityProvider) -> None:
        report = provider.check()
        assert report.ok, (report.summary, report.remedies)
        assert report.summary

    def test_a_check_of_what_does_not_answer_says_what_to_do(
        self, identity_spec: IdentityProviderSpec, unreachable_settings: BaseModel | None
    ) -> None:
        if unreachable_settings is None:
            return
        made = identity_spec.factory(unreachable_settings)  # opens no connection
        report = made.check()
        assert not report.ok
        assert report.remedies
        made.close()

    def _directory(self, provider: IdentityProvider, person: Person) -> None:
        """What a directory says of somebody who has signed in, and of nobody."""
        if not isinstance(provider, Directory):
            return
        link = link_of(person)
        again = provider.look_up(link, Trace())
        assert again is not None
        assert (again.issuer, again.subject) == (person.issuer, person.subject)
        # Who asks with what it keeps (a refresh token) can say nothing of people who never signed in.
        assert person.kept or _gone(provider, Link(person.issuer, secrets.token_hex(8), "gone", ""))


class CredentialsConformance(IdentityConformance):
    """For a provider that checks a name and a password.

    :cvar good: a name and its password.
    :cvar refused: names and passwords of accounts that must not come in although the password is right.
    """

    good: ClassVar[tuple[str, str]]
    refused: ClassVar[tuple[tuple[str, str], ...]] = ()

    def test_the_right_password_says_who_it_is(self, provider: CredentialsProvider) -> None:
        person, again = (provider.verify(Credentials(*self.good)) for _ in range(2))
        assert person is not None
        assert again is not None
        proper(person)
        assert (again.issuer, again.subject) == (person.issuer, person.subject), "the identity is for good"
        assert self.good[1] not in repr(person) + str(dict(person.facts)), "the password is in what administrators see"
        self._directory(provider, person)

    def test_a_wrong_password_is_refused_and_not_told(self, provider: CredentialsProvider) -> None:
        name, password = self.good
        for wrong in (password + "x", password[:-1], password + "\x00x", "*", "\x00x", "x" * 5000):
            trace = Trace()
            with pytest.raises(AuthenticationFailed) as caught:
                provider.verify(Credentials(name, wrong, trace))
            told = str(caught.value) + caught.value.detail + str(trace.steps)
            assert len(wrong) < 4 or wrong not in told, "the password that was typed is told"
            assert password not in told
            assert caught.value.message == AuthenticationFailed.unsaid, "a stranger is told that the name is known"

    def test_nobody_of_that_name_is_not_mine(self, provider: CredentialsProvider) -> None:
        assert provider.verify(Credentials(f"nobody-{secrets.token_hex(4)}", "a password")) is None

    @pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:20])
    def test_a_hostile_name_is_nobody(self, provider: CredentialsProvider, name: str) -> None:
        try:
            found = provider.verify(Credentials(name, self.good[1]))
        except AuthenticationFailed:
            return
        assert found is None

    def test_who_must_not_come_in_does_not(self, provider: CredentialsProvider) -> None:
        for name, password in self.refused:
            with pytest.raises(AuthenticationFailed):
                provider.verify(Credentials(name, password))

    def test_many_sign_in_at_once(self, provider: CredentialsProvider) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(lambda _: provider.verify(Credentials(*self.good)), range(AT_ONCE * 2)))
        assert len({person.subject for person in found if person is not None}) == 1
        assert None not in found

    def test_nobody_answers(self, identity_spec: IdentityProviderSpec, unreachable_settings: BaseModel | None) -> None:
        if unreachable_settings is None:
            return
        made: Any = identity_spec.factory(unreachable_settings)
        with pytest.raises(Unavailable):
            made.verify(Credentials(*self.good))
        made.close()


class RedirectConformance(IdentityConformance):
    """For a provider that sends the browser away.

    :cvar redirect_uri: where the provider sends it back.
    """

    redirect_uri: ClassVar[str] = "https://stead.example.test/sign-in/corp/callback"

    # What an author overrides

    def walk(self, url: str) -> Mapping[str, str]:
        """Sign in at the provider as the browser that was sent to ``url``; the parameters with which it comes back."""
        raise NotImplementedError("walk() says what the browser brings back")

    # The suite

    def attempt(self) -> Attempt:
        return Attempt(self.redirect_uri, secrets.token_urlsafe(24), secrets.token_urlsafe(24))

    def test_who_comes_back_is_known(self, provider: RedirectProvider) -> None:
        attempt = self.attempt()
        begun = provider.begin(attempt)
        answer = self.walk(begun.url)
        assert answer.get("state") == attempt.state, "the state comes back as it was sent"
        person = provider.complete(attempt, answer, begun.kept)
        assert person is not None
        proper(person)
        shown = repr(person) + str(dict(person.facts)) + str(attempt.trace.steps)
        kept = (*begun.kept.values(), *person.kept.values())
        assert not [text for text in kept if text in shown], "what is kept is shown"
        self._directory(provider, person)

    def test_each_beginning_is_its_own(self, provider: RedirectProvider) -> None:
        one, other = provider.begin(self.attempt()), provider.begin(self.attempt())
        assert one.url != other.url
        assert not one.kept or one.kept != other.kept, "what is kept is made anew each time"
        assert not [text for text in one.kept.values() if text in one.url], "what is kept never leaves the server"

    def test_the_beginning_carries_state_and_address(self, provider: RedirectProvider) -> None:
        attempt = self.attempt()
        begun = provider.begin(attempt)
        assert isinstance(begun, Begun)
        given = parse_qs(urlsplit(begun.url).query)
        if "request_uri" in given:  # the provider was told beforehand
            return
        assert given.get("state") == [attempt.state]
        assert self.redirect_uri in [value for values in given.values() for value in values]

    @pytest.mark.parametrize("answer", REFUSALS, ids=str)
    def test_an_answer_that_is_none_is_refused(self, provider: RedirectProvider, answer: Mapping[str, str]) -> None:
        attempt = self.attempt()
        begun = provider.begin(attempt)
        with pytest.raises(AuthenticationFailed):
            provider.complete(attempt, {"state": attempt.state, **answer}, begun.kept)

    def test_an_altered_answer_is_refused(self, provider: RedirectProvider) -> None:
        attempt = self.attempt()
        begun = provider.begin(attempt)
        answer = self.walk(begun.url)
        for name in set(answer) & {"code", "id_token", "token", "ticket", "SAMLResponse"}:
            with pytest.raises(AuthenticationFailed):
                provider.complete(attempt, {**answer, name: answer[name][::-1] + "x"}, begun.kept)

    def test_an_answer_to_another_beginning_is_refused(self, provider: RedirectProvider) -> None:
        attempt, other = self.attempt(), self.attempt()
        begun, begun_other = provider.begin(attempt), provider.begin(other)
        answer = self.walk(begun.url)
        with pytest.raises(AuthenticationFailed):
            provider.complete(other, {**answer, "state": other.state}, begun_other.kept)

    def test_a_sign_out_that_is_none_is_refused(self, provider: RedirectProvider) -> None:
        for message in ({}, {"logout_token": "a.b.c"}, {"logout_token": ""}):
            with pytest.raises(AuthenticationFailed):
                provider.signed_out(message)

    def test_nobody_answers(self, identity_spec: IdentityProviderSpec, unreachable_settings: BaseModel | None) -> None:
        if unreachable_settings is None:
            return
        made: Any = identity_spec.factory(unreachable_settings)
        attempt = self.attempt()
        with pytest.raises(Unavailable):
            _there_and_back(made, attempt)
        made.close()


def _there_and_back(provider: RedirectProvider, attempt: Attempt) -> None:
    """A provider may notice only at the end that nobody answers: then its address is all that beginning needs."""
    begun = provider.begin(attempt)
    provider.complete(attempt, {"state": attempt.state, "code": "a-code"}, begun.kept)


def link_of(person: Person) -> Link:
    return Link(person.issuer, person.subject, person.username, person.email, person.session, person.kept)


def proper(person: Person) -> None:
    """Whether a person is told as the contract says."""
    assert person.issuer
    assert person.subject
    assert person.groups is None or isinstance(person.groups, tuple), "groups are a tuple, or None where unknown"
    assert isinstance(person.roles, tuple)
    assert not person.email_verified or person.email, "an address that is verified is there"


def _gone(directory: Directory, link: Link) -> bool:
    try:
        return directory.look_up(link, Trace()) is None
    except AuthenticationFailed:
        return True
