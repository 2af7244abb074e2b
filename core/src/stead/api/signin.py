"""How people sign in with what their organisation has: the contract of identity providers.

A plugin is pure protocol. It learns who somebody is, and says so as a :class:`Person`; or says that it does not know
them (``None``: "not mine", the next provider is asked), or that they must not come in (:class:`AuthenticationFailed`:
"mine and bad", nobody else is asked). All that follows is the core's: state and nonce, sessions, accounts, rate limits,
group and role mapping, and the record of every attempt.

Two shapes: :class:`RedirectProvider` sends the browser away and reads the answer that it brings back;
:class:`CredentialsProvider` checks a name and a password. Either may be a :class:`Directory` too, which is asked
from time to time whether somebody is still there and what groups they are in.

Providers are called from many threads at once. Each call that goes out has a deadline of the provider's own settings,
and raises :class:`stead.api.errors.Unavailable` where nobody answers in time.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from stead.api.errors import NotAuthenticated
from stead.api.records import CredentialsReport, NoSettings


class AuthenticationFailed(NotAuthenticated):
    """This provider knows them, or should, and they must not come in.

    :param message: what the person reads: says nothing that an attacker could use. Leave it out where the password is
        wrong: the core then says what it says of a name that nobody knows.
    :param detail: what administrators read in the record of attempts: which check failed, without secrets.
    """

    reason = "authentication_failed"

    unsaid = "Signing in did not succeed."

    def __init__(self, message: str = unsaid, *, detail: str = "", remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.detail = detail or message


@dataclass(frozen=True)
class Step:
    """One thing that happened while somebody signed in. ``seconds`` since the attempt began."""

    title: str
    detail: str
    ok: bool
    seconds: float


class Trace:
    """What happened step by step, for the page and the command that test a provider. Never give it a secret."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self.steps: list[Step] = []

    def note(self, title: str, detail: str = "", *, ok: bool = True) -> None:
        """Record a step: ``trace.note("Signature", "RS256 with key 4f…")``."""
        self.steps.append(Step(title, detail[:2000], ok, self._clock() - self._began))


@dataclass(frozen=True)
class Person:
    """Who signed in, as the provider knows them.

    :param issuer: who says so: an issuer URL, or the address of a directory. With ``subject`` it is the identity for
        good: accounts are linked by these two, and by nothing else.
    :param subject: never given to anybody else by this issuer; an opaque identifier rather than a name.
    :param username: wished for a new account; the core makes it fit and free.
    :param email_verified: the provider vouches that the address is theirs.
    :param groups: names of all groups; ``None`` where the provider cannot say: what the account has stays.
    :param roles: names that the provider has for rights; the core maps them.
    :param session: the provider's own name of this sign-in, to end it from there.
    :param kept: secret; stored encrypted with the link and given back in :class:`Link` (a refresh token, say).
    :param facts: what administrators may see on the test page: claims or attributes, without secrets.
    """

    issuer: str
    subject: str
    username: str = ""
    email: str = ""
    email_verified: bool = False
    name: str = ""
    groups: tuple[str, ...] | None = None
    roles: tuple[str, ...] = ()
    session: str = ""
    kept: Mapping[str, str] = field(default_factory=dict, repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Link:
    """An account's tie to a provider: what :class:`Person` said at the last sign-in or look-up."""

    issuer: str
    subject: str
    username: str
    email: str
    session: str = ""
    kept: Mapping[str, str] = field(default_factory=dict, repr=False)


class IdentityProvider:
    """What the factory of an :class:`IdentityProviderSpec` returns."""

    def check(self) -> CredentialsReport:
        """Ask whether the provider answers and the configuration fits; ``remedies`` say what to do."""
        return CredentialsReport(ok=True, summary="Nothing to check.")

    def close(self) -> None:
        """Let go of connections. Called once, at the end of the server."""


@dataclass(frozen=True)
class Attempt:
    """A sign-in under way. The core makes ``state`` and ``nonce``, ties both to the browser, and uses each once.

    :param redirect_uri: where the provider sends the browser back; of this provider alone.
    :param state: to be sent along, and to come back.
    :param nonce: to be bound into what the provider signs.
    """

    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    trace: Trace = field(default_factory=Trace, repr=False, compare=False)


@dataclass(frozen=True)
class Begun:
    """Where to send the browser.

    :param url: of the provider.
    :param kept: secret; given back to :meth:`RedirectProvider.complete` (a PKCE verifier, say). It never leaves the
        server.
    :param form_post: the provider was asked to have the browser post its answer: the core takes it in no other way.
    """

    url: str
    kept: Mapping[str, str] = field(default_factory=dict, repr=False)
    form_post: bool = False


@dataclass(frozen=True)
class SignedOut:
    """Somebody signed out at the provider. At least one of ``subject`` and ``session`` is given.

    :param once: identifies the message (issuer and ``jti``): the core takes each only once.
    :param until: seconds since the epoch after which the message would be refused anyway.
    """

    issuer: str
    once: str
    until: float
    subject: str = ""
    session: str = ""


class RedirectProvider(IdentityProvider, ABC):
    """Signs people in at a page of its own (OpenID Connect, OAuth, SAML)."""

    @abstractmethod
    def begin(self, attempt: Attempt) -> Begun:
        """Where the browser goes.

        :raises Unavailable: the provider cannot be asked how to begin.
        """

    @abstractmethod
    def complete(self, attempt: Attempt, answer: Mapping[str, str], kept: Mapping[str, str]) -> Person | None:
        """Who came back. The core has checked the state already.

        :param answer: the parameters that the browser brought, each once.
        :param kept: of :class:`Begun`.
        :raises AuthenticationFailed: an error answer, or anything in it that does not hold.
        :raises Unavailable: the provider did not answer a question that decides it.
        """

    def sign_out_url(self, link: Link, return_to: str, state: str) -> str | None:
        """Where a browser signs out at the provider too, on its way to ``return_to``; ``None`` where it has none."""
        del link, return_to, state
        return None

    def signed_out(self, message: Mapping[str, str]) -> SignedOut:
        """Read a sign-out that the provider posted to the server (back-channel logout).

        :raises AuthenticationFailed: not the provider's, not for us, or too old.
        """
        del message
        raise AuthenticationFailed("This provider sends no sign-outs.")


@dataclass(frozen=True)
class Credentials:
    """What somebody typed. The password is never empty: the core refuses that before anybody is asked."""

    username: str
    password: str = field(repr=False)
    trace: Trace = field(default_factory=Trace, repr=False, compare=False)


class CredentialsProvider(IdentityProvider, ABC):
    """Checks a name and a password (LDAP)."""

    @abstractmethod
    def verify(self, credentials: Credentials) -> Person | None:
        """Whose these are; ``None`` where it knows nobody of that name.

        :raises AuthenticationFailed: the password is wrong, or the account must not be used.
        :raises Unavailable: no server answered.
        """


class Directory(ABC):
    """Mixed into a provider that can be asked about people who are not there just now."""

    @property
    def can_find(self) -> bool:
        """Whether :meth:`find` knows people by their name alone; where not, it is not asked."""
        return type(self).find is not Directory.find

    @abstractmethod
    def look_up(self, link: Link, trace: Trace) -> Person | None:
        """How somebody who signed in before stands now; ``None``: they are gone, and their sessions end.

        The person's ``kept`` replaces that of ``link``.

        :raises AuthenticationFailed: they are there and must not come in any more: their sessions end.
        :raises Unavailable: cannot be told now: nothing changes.
        """

    def find(self, username: str, trace: Trace) -> Person | None:
        """Somebody by the name that they would type, without their password; for tests by administrators.

        :raises Unavailable: cannot be told now, or never by this kind of provider (the message says which).
        """
        del username, trace
        return None


@dataclass(frozen=True)
class IdentityProviderSpec:
    """A kind of identity provider. Administrators configure any number of each kind, in ``[identity.NAME]``.

    :param kind: slug, the ``kind`` in ``stead.toml`` (``oidc``, ``github``, ``ldap``).
    :param factory: called once for each configured provider, with an instance of ``settings``. It opens no connection.
    :param settings: pydantic model of what the kind needs to know. The names in :data:`CORE_SETTINGS` are the core's.
    :param form: label of the name field, for kinds that check a password (``"Name or e-mail"``).
    """

    kind: str
    title: str
    factory: Callable[[Any], IdentityProvider]
    settings: type[BaseModel] = NoSettings
    icon: str = ""
    form: str = "Name"


#: Names in ``[identity.NAME]`` that the core reads itself; a kind's settings have none of them.
CORE_SETTINGS = frozenset(
    {
        "kind",
        "title",
        "icon",
        "enabled",
        "when_disabled",
        "order",
        "sign_up",
        "sign_up_domains",
        "sign_up_groups",
        "approval",
        "groups",
        "group_patterns",
        "default_groups",
        "sync_groups",
        "roles",
        "default_roles",
        "sync_roles",
        "sync_interval",
        "sign_ins_at_once",
        "link_by_owner",
    }
)
