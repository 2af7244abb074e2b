"""Identity providers as administrators see them: how they stand, and what a given person would get."""

from __future__ import annotations

from dataclasses import dataclass

from stead.api.errors import Conflict, InvalidInput, NotFound, SteadError
from stead.api.signin import Trace
from stead.domain import rbac
from stead.domain.records import Actor
from stead.services.core import Core
from stead.services.signin import explanation, flow, record
from stead.services.signin.flow import Tested
from stead.services.signin.providers import Configured
from stead.store import factors as factor_store
from stead.store import signin as store


@dataclass(frozen=True)
class ProviderStatus:
    """One ``[identity.NAME]``.

    :param shape: ``page`` where people sign in at the provider's own page, ``password`` where Stead asks for it.
    :param can_find: whether somebody can be tested by their name alone.
    :param looks_up: whether it is asked about people who use Stead, every ``sync_interval`` seconds.
    :param accounts: how many accounts are tied to it.
    """

    name: str
    title: str
    kind: str
    icon: str
    shape: str
    can_find: bool
    looks_up: bool
    sign_up: str
    approval: bool
    sync_interval: float
    accounts: int
    redirect_uri: str


@dataclass(frozen=True)
class SecondFactors:
    """Who has to have one, how many accounts with a password there are, and how many of them have none."""

    demanded: str
    accounts: int
    without: int


@dataclass(frozen=True)
class Check:
    """Whether a provider answers, and what to do about it."""

    ok: bool
    summary: str
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """One way to sign in, as the sign-in page and the command line offer it."""

    name: str
    title: str
    shape: str


def providers(core: Core, actor: Actor) -> tuple[ProviderStatus, ...]:
    rbac.require(actor, rbac.Resource.DEPLOYMENT, rbac.Action.READ)
    with core.database.read():
        counts = store.count_links()
    return tuple(_status(core, one, counts.get(one.name, 0)) for one in core.identity)


def second_factors(core: Core, actor: Actor) -> SecondFactors:
    """How the deployment stands, for whoever thinks of demanding them."""
    rbac.require(actor, rbac.Resource.DEPLOYMENT, rbac.Action.READ)
    with core.database.read():
        accounts_, without = factor_store.count_accounts()
    return SecondFactors(core.settings.second_factor, accounts_, without)


def provider(core: Core, actor: Actor, name: str) -> ProviderStatus:
    found = next((one for one in providers(core, actor) if one.name == name), None)
    if found is None:
        raise NotFound("There is no identity provider of this name.")
    return found


def _status(core: Core, one: Configured, count: int) -> ProviderStatus:
    return ProviderStatus(
        name=one.name,
        title=one.title,
        kind=one.spec.kind,
        icon=one.icon,
        shape=_shape(one),
        can_find=_can_find(one),
        looks_up=one.directory is not None,
        sign_up=one.settings.sign_up,
        approval=one.settings.approval,
        sync_interval=one.settings.sync_interval,
        accounts=count,
        redirect_uri=flow.redirect_uri(core, one.name) if one.redirect is not None else "",
    )


def _can_find(one: Configured) -> bool:
    return one.directory is not None and one.directory.can_find


def _shape(one: Configured) -> str:
    return "page" if one.redirect is not None else "password"


def methods(core: Core) -> tuple[Method, ...]:
    """Ways to sign in, for whoever is not signed in yet."""
    return tuple(Method(one.name, one.title, _shape(one)) for one in core.identity)


def check(core: Core, actor: Actor, name: str) -> Check:
    """Ask a provider whether it answers and its configuration fits."""
    rbac.require(actor, rbac.Resource.DEPLOYMENT, rbac.Action.UPDATE)
    configured = core.identity.get(name)
    try:
        report = configured.ask(configured.provider.check)
    except SteadError as error:
        return Check(False, error.message, (error.remedy,) if error.remedy else ())
    return Check(report.ok, report.summary, tuple(report.remedies))


def test(core: Core, actor: Actor, name: str, username: str) -> Tested:
    """What somebody would get, by the name that they would type; nobody is signed in, nothing is changed.

    :raises Conflict: this provider knows people only while they sign in.
    """
    rbac.require(actor, rbac.Resource.DEPLOYMENT, rbac.Action.UPDATE)
    configured = core.identity.get(name)
    if not username.strip():
        raise InvalidInput("Whom?", field="username", remedy="Write the name that they would type.")
    if configured.directory is None or not configured.directory.can_find:
        raise _only_while_signing_in(core, configured)
    trace = Trace(core.clock.monotonic)
    try:
        person = configured.ask_person(configured.directory.find, username.strip()[:254], trace)
    except SteadError as error:
        return Tested(record.steps_of(trace.steps), None, None, _with_remedy(error))
    if person is None:
        return Tested(record.steps_of(trace.steps), None, None, f"{configured.title} knows nobody of this name.")
    preview = explanation.explain(core, configured, person, trace)
    return Tested(record.steps_of(trace.steps), person, preview)


def _only_while_signing_in(core: Core, configured: Configured) -> Conflict:
    page = f"{core.settings.access_url}/identity/{configured.name}"
    remedy = "Give it an account that reads the directory: its settings say how."
    if configured.redirect is not None:
        remedy = f"Sign in there yourself at {page}/try: that shows each step, signs nobody in and changes nothing."
    return Conflict(f"{configured.title} knows people only while they sign in.", remedy=remedy)


def _with_remedy(error: SteadError) -> str:
    detail = record.detail_of(error)
    if not error.remedy or error.remedy in detail:
        return detail
    return f"{detail.rstrip('.')}. {error.remedy}"
