"""Identity providers, what they bring, and signing in without a password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from stead.domain.records import Page, Session, SignInAttempt, SignInStep, User
from stead.services import sessions
from stead.services.signin import administration, conversion, devices, flow, passwords, record, terminals
from stead.services.signin.accounts import Preview
from stead.services.signin.administration import Check, Method, ProviderStatus
from stead.services.signin.devices import DeviceCode
from stead.web.auth import current_actor
from stead.web.context import client_address, current_core
from stead.web.rest.common import Password, SearchPaging
from stead.web.rest.parsing import Input
from stead.web.rest.routing import Api, PageOf
from stead.web.rest.users import LoggedIn, logged_in

api = Api("identity")


@dataclass(frozen=True)
class Methods:
    """``password``: whether anything here takes a name and a password. ``terminal_url`` is the page that a terminal
    opens in a browser of its own machine, with ``port``, ``state``, ``challenge`` and ``client``."""

    password: bool
    providers: tuple[Method, ...]
    terminal_url: str


class BeginDevice(Input):
    """``client`` is what the person reads of the program that asks."""

    client: Annotated[str, Field(max_length=48)] = "api"


class RedeemDevice(Input):
    device_code: Annotated[str, Field(min_length=1, max_length=256)]


class RedeemTerminal(Input):
    """``code`` is what the browser brought, ``verifier`` what the page was given the challenge of (RFC 7636, S256)."""

    code: Annotated[str, Field(min_length=1, max_length=256)]
    verifier: Annotated[str, Field(min_length=43, max_length=128)]


class TestUser(Input):
    """``username`` is the name that the person would type."""

    __test__ = False

    username: Annotated[str, Field(min_length=1, max_length=254)]


class AttemptsQuery(SearchPaging):
    provider: Annotated[str, Field(max_length=64)] = ""
    outcome: Annotated[str, Field(max_length=16)] = ""


class NewPassword(Input):
    password: Password


@dataclass(frozen=True)
class TerminalLogin:
    """``token`` is shown here and never again; ``page`` tells the browser that the terminal has it."""

    token: str
    user: User
    page: str


@dataclass(frozen=True)
class TestedPerson:
    """Somebody as the provider knows them; ``facts`` is all that it says, without secrets."""

    __test__ = False

    issuer: str
    subject: str
    username: str
    email: str
    email_verified: bool
    name: str
    groups: tuple[str, ...] | None
    roles: tuple[str, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class TestResult:
    """What happened, step by step, and what the person would get. ``problem`` says why there is nobody."""

    __test__ = False

    steps: tuple[SignInStep, ...]
    person: TestedPerson | None
    preview: Preview | None
    problem: str


@api.get("/login/methods", "List the ways to sign in", public=True, returns=Methods)
def login_methods() -> Methods:
    core = current_core()
    takes = bool(passwords.takers(core)) or passwords.has_local(core)
    return Methods(takes, administration.methods(core), terminals.page_url(core))


@api.post("/login/device", "Ask for a code to sign in with", public=True, body=BeginDevice, returns=DeviceCode)
def begin_device(body: BeginDevice) -> DeviceCode:
    """The program shows the code, and its person confirms it in a browser where they are signed in."""
    return devices.begin(current_core(), body.client, client_address())


@api.post("/login/device/token", "Exchange a confirmed code", public=True, body=RedeemDevice, returns=LoggedIn)
def redeem_device(body: RedeemDevice) -> LoggedIn:
    """Refused as `authorization_pending` until somebody confirms, and as `slow_down` if asked too often."""
    proof, client = devices.redeem(current_core(), body.device_code)
    return logged_in(proof, client)


@api.post(
    "/login/terminal/token", "Exchange a code of a browser", public=True, body=RedeemTerminal, returns=TerminalLogin
)
def redeem_terminal(body: RedeemTerminal) -> TerminalLogin:
    """The code is good for a minute and for one try. Programs without a browser on their machine ask for a code."""
    core = current_core()
    proof, client = terminals.redeem(core, body.code, body.verifier)
    made = logged_in(proof, client)
    return TerminalLogin(made.token, made.user, terminals.done_url(core, made.token))


@api.get("/identity/providers", "List identity providers", returns=PageOf(ProviderStatus))
def list_providers() -> Page:
    found = administration.providers(current_core(), current_actor())
    return Page(items=found, total=len(found))


@api.post("/identity/providers/<ref:ref>/check", "Check an identity provider", returns=Check)
def check_provider(ref: str) -> Check:
    return administration.check(current_core(), current_actor(), ref)


@api.post("/identity/providers/<ref:ref>/test", "Show what a person would get", body=TestUser, returns=TestResult)
def test_provider(ref: str, body: TestUser) -> TestResult:
    """Nobody is signed in, and nothing is changed."""
    return _result(administration.test(current_core(), current_actor(), ref, body.username))


test_provider.__test__ = False  # type: ignore[attr-defined]  # for pytest: it is no test


def _result(tested: flow.Tested) -> TestResult:
    person = tested.person
    shown = None
    if person is not None:
        shown = TestedPerson(
            issuer=person.issuer,
            subject=person.subject,
            username=person.username,
            email=person.email,
            email_verified=person.email_verified,
            name=person.name,
            groups=person.groups,
            roles=person.roles,
            facts={key: str(value)[:500] for key, value in list(person.facts.items())[:100]},
        )
    return TestResult(tested.steps, shown, tested.preview, tested.problem)


@api.get("/identity/attempts", "List attempts to sign in", query=AttemptsQuery, returns=PageOf(SignInAttempt))
def list_attempts(query: AttemptsQuery) -> Page:
    return record.list(
        current_core(),
        current_actor(),
        provider=query.provider,
        outcome=query.outcome,
        search=query.q,
        limit=query.limit,
        offset=query.offset,
    )


@api.get("/users/<ref:ref>/sessions", "List where somebody is signed in", returns=PageOf(Session))
def list_sessions(ref: str) -> Page:
    found = sessions.list(current_core(), current_actor(), ref)
    return Page(items=found, total=len(found))


@api.delete("/users/<ref:ref>/sessions/<session_id>", "Sign a browser out")
def end_session(ref: str, session_id: str) -> None:
    sessions.end(current_core(), current_actor(), session_id, ref)


@api.post("/users/<ref:ref>/password-account", "Give a federated account a password", body=NewPassword, returns=User)
def to_password(ref: str, body: NewPassword) -> User:
    """The account is no longer tied to its identity provider, and what it has open ends."""
    return conversion.to_password(current_core(), current_actor(), ref, body.password)
