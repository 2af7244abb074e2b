"""What follows from a person, step by step: for those who test a provider before anybody signs in with it."""

from __future__ import annotations

from collections.abc import Iterable

from stead.api.signin import Person, Trace
from stead.domain.membership import usable
from stead.services.core import Core
from stead.services.signin import accounts
from stead.services.signin.accounts import Preview
from stead.services.signin.providers import Configured
from stead.store import signin as store
from stead.store import users as user_store

MOST_SHOWN = 20  # names of one kind; a person may have thousands


def explain(core: Core, configured: Configured, person: Person, trace: Trace) -> Preview:
    """What they would get, and in ``trace`` why; nothing is changed."""
    _account(core, configured, person, trace)
    _groups(configured, person, trace)
    _roles(configured, person, trace)
    found = accounts.preview(core, configured, person)
    trace.note("Let in" if found.enters else "Not let in", found.reason, ok=found.enters)
    return found


def _account(core: Core, configured: Configured, person: Person, trace: Trace) -> None:
    with core.database.read():
        link = store.link_of(configured.name, person.issuer, person.subject)
        user = user_store.by_id(link.user_id) if link else None
        holder = user_store.by_login(person.email) if person.email else None
    if user is not None:
        trace.note("Account", f"{user.username} is tied to this issuer and subject; it is {user.status}")
    else:
        trace.note("Account", "none is tied to this issuer and subject: sign-up decides")
        decision = accounts.admission(configured, person)
        trace.note("Sign-up", f"{configured.settings.sign_up}: {decision.reason}", ok=decision.allowed)
    if not person.email:
        trace.note("E-mail", "the provider named none")
    elif not person.email_verified:
        trace.note("E-mail", f"{person.email} is not verified by the provider, and is not taken", ok=False)
    elif holder is not None and (user is None or holder.id != user.id):
        trace.note("E-mail", f"{person.email} belongs to the account {holder.username}", ok=False)
    else:
        trace.note("E-mail", f"{person.email} is verified by the provider")


def _groups(configured: Configured, person: Person, trace: Trace) -> None:
    settings = configured.settings
    if not settings.sync_groups:
        trace.note("Groups", "not taken over: sync_groups is off")
    elif person.groups is None:
        trace.note("Groups", "the provider was not asked or cannot tell: they stay as they are")
    else:
        names = usable(person.groups)
        everybody = settings.rules.groups_of(())
        taken = {name: settings.rules.groups_of((name,)) for name in names[:MOST_SHOWN]}
        lines = [f"{name} → {', '.join(sorted(here - everybody))}" for name, here in taken.items() if here - everybody]
        left = [name for name, here in taken.items() if here <= everybody and name not in everybody]
        trace.note("Groups", _said(lines, left, everybody, len(names) - len(taken)))


def _roles(configured: Configured, person: Person, trace: Trace) -> None:
    settings = configured.settings
    if not settings.roles:
        trace.note("Roles", "no table roles is set: the provider has no say in them")
        return
    names = (*usable(person.groups or ()), *usable(person.roles))
    everybody = set(settings.rules.roles_of((), ()))
    given = {name: set(settings.rules.roles_of((name,), ())) - everybody for name in names[:MOST_SHOWN]}
    lines = [f"{name} → {', '.join(sorted(role.value for role in here))}" for name, here in given.items() if here]
    trace.note("Roles", _said(lines, (), (role.value for role in everybody), len(names) - len(given)))


def _said(lines: list[str], left: Iterable[str], everybody: Iterable[str], more: int) -> str:
    default, without = ", ".join(sorted(everybody)), ", ".join(left)
    parts = [
        "; ".join(lines) or "none of theirs counts here",
        f"left out: {without}" if without else "",
        f"everybody from here: {default}" if default else "",
        f"and {more} more names, not shown" if more > 0 else "",
    ]
    return "; ".join(part for part in parts if part)
