"""Groups: made by hand, or brought by identity providers; and who is in them, by who says so.

What a provider brings is the provider's: a change by hand would be undone at the next sign-in, so it is refused and the
provider is named. Groups of a provider that is not configured any more become ours with the first change.
"""

from __future__ import annotations

from collections.abc import Iterable

from stead.api.errors import Conflict, InvalidInput, NotFound
from stead.domain import names, rbac
from stead.domain.membership import LONGEST_GROUP
from stead.domain.records import Actor, Group, GroupMember, Page, User
from stead.services.core import Change, Core, new_id
from stead.services.users import page_bounds
from stead.store import groups as store
from stead.store import users as user_store

LOCAL = store.LOCAL


def list(core: Core, actor: Actor, search: str = "", limit: int = 50, offset: int = 0) -> Page:  # noqa: A001
    rbac.require(actor, rbac.Resource.GROUP, rbac.Action.READ)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        items, total = store.page(search, limit, offset)
    return Page(items=tuple(items), total=total)


def get(core: Core, actor: Actor, ref: str) -> Group:
    """A group by its id or name."""
    rbac.require(actor, rbac.Resource.GROUP, rbac.Action.READ)
    with core.database.read():
        return _found(ref)


def members(core: Core, actor: Actor, ref: str, limit: int = 50, offset: int = 0) -> Page:
    """Who is in a group, and who says so."""
    found = get(core, actor, ref)
    limit, offset = page_bounds(limit, offset)
    with core.database.read():
        items, total = store.members(found.id, limit, offset)
    return Page(items=tuple(GroupMember(username, source) for username, source in items), total=total)


def of_user(core: Core, actor: Actor, user_id: str) -> tuple[str, ...]:
    """Names of the groups that somebody is in; empty for whoever may not read groups."""
    if not rbac.allows(actor, rbac.Resource.GROUP, rbac.Action.READ):
        return ()
    with core.database.read():
        return store.names_of(user_id)


def brought_by(core: Core, group: Group) -> str:
    """The name of the provider that brings a group and keeps it; empty where it is changed by hand."""
    return group.source if group.source in core.identity.trusted else ""


def create(core: Core, actor: Actor, name: str) -> Group:
    """Make a group that nobody is in yet."""
    rbac.require(actor, rbac.Resource.GROUP, rbac.Action.CREATE)
    group = Group(new_id(), _name(name), LOCAL, core.clock.now())
    with core.change(actor) as change:
        core.database.lock("users")
        _refuse_taken(group.name)
        store.insert(group)
        change.record("created", "group", group.id, group.name)
    return group


def rename(core: Core, actor: Actor, ref: str, name: str) -> Group:
    """Give a group another name; its members stay.

    :raises Conflict: a provider knows the group by its name.
    """
    rbac.require(actor, rbac.Resource.GROUP, rbac.Action.UPDATE)
    wanted = _name(name)
    with core.change(actor) as change:
        group = _changeable(core, ref)
        _refuse_fed(core, group)
        if wanted != group.name:
            _refuse_taken(wanted)
            store.update(group.id, name=wanted, source=LOCAL)
            change.record("renamed", "group", group.id, wanted, before={"name": group.name}, after={"name": wanted})
    return get(core, actor, group.id)


def delete(core: Core, actor: Actor, ref: str) -> None:
    """Delete a group; the people stay.

    :raises Conflict: a provider would make it again.
    """
    rbac.require(actor, rbac.Resource.GROUP, rbac.Action.DELETE)
    with core.change(actor) as change:
        group = _changeable(core, ref)
        _refuse_fed(core, group)
        store.delete(group.id)
        change.record("deleted", "group", group.id, group.name, before={"members": group.members})


def add_member(core: Core, actor: Actor, ref: str, user_ref: str) -> GroupMember:
    """Put somebody into a group by hand; nothing happens where they are in it by hand already."""
    rbac.require(actor, rbac.Resource.GROUP, rbac.Action.UPDATE)
    with core.change(actor) as change:
        group, user = _changeable(core, ref), _person(user_ref)
        if LOCAL not in store.sources_of(group.id, user.id):
            store.add(group.id, user.id, LOCAL)
            _take_over(group)
            _record_membership(change, "added to a group", group, user)
    return GroupMember(user.username, LOCAL)


def remove_member(core: Core, actor: Actor, ref: str, user_ref: str) -> None:
    """Take somebody out of a group.

    :raises Conflict: a provider says that they are in it.
    """
    rbac.require(actor, rbac.Resource.GROUP, rbac.Action.UPDATE)
    with core.change(actor) as change:
        group, user = _changeable(core, ref), _person(user_ref)
        sources = store.sources_of(group.id, user.id)
        if not sources:
            raise NotFound(f"{user.username} is not in {group.name}.")
        _refuse_told(core, sources, group, user)
        store.remove(group.id, user.id)
        _take_over(group)
        _record_membership(change, "removed from a group", group, user)


def _found(ref: str) -> Group:
    group = store.by_ref(ref)
    if group is None:
        raise NotFound(f"There is no group {ref}.", remedy="`stead groups list` shows all.")
    return group


def _person(ref: str) -> User:
    user = user_store.by_ref(ref)
    if user is None:
        raise NotFound(f"There is no user {ref}.", field="user")
    return user


def _changeable(core: Core, ref: str) -> Group:
    """Within a transaction: a group that is changed by hand, as it stands until the end."""
    core.database.lock("users")
    group = _found(ref)
    provider = brought_by(core, group)
    if provider:
        raise Conflict(
            f"The group {group.name} comes from {provider}, which says who is in it.",
            remedy=f"Change it there, or make a group of your own and map it in [identity.{provider}].",
        )
    return group


def _refuse_fed(core: Core, group: Group) -> None:
    """Within a transaction: providers put people into groups by name, and would make this one again."""
    feeding = _configured(core, store.sources(group.id))
    if feeding:
        raise Conflict(
            f"{', '.join(feeding)} puts people into {group.name} by this name.",
            remedy=f"Change the groups of [identity.{feeding[0]}] first.",
        )


def _refuse_told(core: Core, sources: Iterable[str], group: Group, user: User) -> None:
    telling = _configured(core, sources)
    if telling:
        raise Conflict(
            f"{', '.join(telling)} says that {user.username} is in {group.name}, and would put them back.",
            remedy=f"Take them out at {telling[0]}, or change the groups of [identity.{telling[0]}].",
        )


def _configured(core: Core, sources: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(source for source in sources if source in core.identity.trusted))


def _take_over(group: Group) -> None:
    if group.source != LOCAL:
        store.update(group.id, source=LOCAL)


def _refuse_taken(name: str) -> None:
    taken = store.by_name(name)
    if taken is not None:
        whose = "" if taken.source == LOCAL else f"; it comes from {taken.source}"
        raise Conflict(f"There is a group {name} already{whose}.", field="name", remedy="Choose another name.")


def _name(name: str) -> str:
    stripped = name.strip()
    if not stripped or not stripped.isprintable():
        raise InvalidInput("A group needs a name of printable characters.", field="name")
    return names.check_text(stripped, "name", LONGEST_GROUP)


def _record_membership(change: Change, action: str, group: Group, user: User) -> None:
    change.record(action, "user", user.id, user.username, after={"group": group.name, "group_id": group.id})
