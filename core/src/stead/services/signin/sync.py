"""Groups and roles of an account, brought to what its provider says."""

from __future__ import annotations

from stead.api.signin import Person, Trace
from stead.domain.records import User
from stead.domain.states import Role
from stead.services.core import Change, Core
from stead.services.signin.providers import Configured
from stead.store import groups as group_store
from stead.store import users as user_store


def groups_for(configured: Configured, person: Person) -> frozenset[str] | None:
    """Names of the groups here; ``None`` where the provider cannot say, or nobody wants it to."""
    if not configured.settings.sync_groups or person.groups is None:
        return None
    return configured.settings.rules.groups_of(person.groups)


def roles_for(configured: Configured, person: Person, *, first: bool) -> tuple[Role, ...] | None:
    """Roles here; ``None`` where what the account has stays."""
    settings = configured.settings
    if not first and not (settings.sync_roles and settings.roles):
        return None
    if not first and person.groups is None and not person.roles:
        return None
    return settings.rules.roles_of(person.groups or (), person.roles)


def apply(core: Core, change: Change, configured: Configured, user: User, person: Person, trace: Trace) -> User:
    """Within a transaction that holds the lock ``users``: bring groups and roles up to date."""
    _apply_groups(core, change, configured, user, person, trace)
    return _apply_roles(core, change, configured, user, person, trace)


def _apply_groups(core: Core, change: Change, configured: Configured, user: User, person: Person, trace: Trace) -> None:
    wanted = groups_for(configured, person)
    if wanted is None:
        return
    known = group_store.names_from(user.id, configured.name)
    joined, left = wanted - known, known - wanted
    group_store.join(user.id, joined, configured.name, core.clock.now())
    group_store.leave(user.id, left, configured.name)
    group_store.delete_empty(sorted(left))
    trace.note("Groups", f"{len(wanted)} in all, {len(joined)} joined, {len(left)} left")
    if joined or left:
        change.record(
            "changed groups",
            "user",
            user.id,
            user.username,
            before={"left": sorted(left)[:50], "count": len(known)},
            after={"joined": sorted(joined)[:50], "count": len(wanted)},
        )


def _apply_roles(core: Core, change: Change, configured: Configured, user: User, person: Person, trace: Trace) -> User:
    wanted = roles_for(configured, person, first=False)
    if wanted is None or set(wanted) == set(user.roles):
        return user
    if Role.OWNER in user.roles and Role.OWNER not in wanted and is_last_owner(core, user):
        trace.note("Roles", "The last active owner stays one, whatever the provider says.", ok=False)
        wanted = tuple(role for role in Role if role in {*wanted, Role.OWNER})
        if set(wanted) == set(user.roles):
            return user
    user_store.replace_roles(user.id, wanted)
    trace.note("Roles", ", ".join(role.value for role in wanted))
    change.record(
        "changed roles",
        "user",
        user.id,
        user.username,
        before={"roles": [role.value for role in user.roles]},
        after={"roles": [role.value for role in wanted]},
    )
    return user_store.by_id(user.id) or user


def is_last_owner(core: Core, user: User) -> bool:
    """Whether nobody else is an active owner who has a way in: a password, or a provider that is configured."""
    names = [one.name for one in core.identity]
    return not user_store.other_owner_with_a_way_in(user.id, names)
