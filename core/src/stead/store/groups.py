"""Queries on groups and who is in them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import peewee

from stead.domain.records import Group
from stead.models import GroupMemberRow, GroupRow, UserRow

LOCAL = "local"  # the source of what was made by hand
CHUNK = 250  # SQLite takes 999 values in one statement


def by_ref(ref: str) -> Group | None:
    """By id or name."""
    found = _groups((GroupRow.id == ref) | (GroupRow.name == ref))
    return next((group for group in found if group.id == ref), found[0] if found else None)


def by_name(name: str) -> Group | None:
    found = _groups(GroupRow.name == name)
    return found[0] if found else None


def insert(group: Group) -> None:
    GroupRow.insert(id=group.id, name=group.name, source=group.source, created_at=group.created_at).execute()


def update(group_id: str, **values: str) -> None:
    GroupRow.update(**values).where(GroupRow.id == group_id).execute()


def delete(group_id: str) -> None:
    """The group and who is in it."""
    GroupMemberRow.delete().where(GroupMemberRow.group_id == group_id).execute()
    GroupRow.delete().where(GroupRow.id == group_id).execute()


def add(group_id: str, user_id: str, source: str) -> None:
    GroupMemberRow.insert(group_id=group_id, user_id=user_id, source=source).on_conflict_ignore().execute()


def remove(group_id: str, user_id: str) -> None:
    """Take a user out of a group, whoever says that they are in it."""
    GroupMemberRow.delete().where((GroupMemberRow.group_id == group_id) & (GroupMemberRow.user_id == user_id)).execute()


def sources_of(group_id: str, user_id: str) -> frozenset[str]:
    """Who says that a user is in a group."""
    query = GroupMemberRow.select(GroupMemberRow.source).where(
        (GroupMemberRow.group_id == group_id) & (GroupMemberRow.user_id == user_id)
    )
    return frozenset(row[0] for row in query.tuples())


def sources(group_id: str) -> frozenset[str]:
    """Who says of anybody that they are in a group."""
    query = GroupMemberRow.select(GroupMemberRow.source).where(GroupMemberRow.group_id == group_id).distinct()
    return frozenset(row[0] for row in query.tuples())


def page(search: str, limit: int, offset: int) -> tuple[list[Group], int]:
    query = GroupRow.select(GroupRow.id)
    if search:
        query = query.where(GroupRow.name.contains(search))
    rows = query.order_by(GroupRow.name).limit(limit).offset(offset).tuples()
    ids = [row[0] for row in rows]
    return (sorted(_groups(GroupRow.id.in_(ids)), key=lambda group: group.name) if ids else []), int(query.count())


def names_of(user_id: str) -> tuple[str, ...]:
    """Names of the groups that a user is in."""
    query = (
        GroupRow.select(GroupRow.name)
        .join(GroupMemberRow, on=(GroupMemberRow.group_id == GroupRow.id))
        .where(GroupMemberRow.user_id == user_id)
        .distinct()
        .order_by(GroupRow.name)
        .tuples()
    )
    return tuple(row[0] for row in query)


def names_from(user_id: str, source: str) -> frozenset[str]:
    """Names of the groups that this source says the user is in."""
    query = (
        GroupRow.select(GroupRow.name)
        .join(GroupMemberRow, on=(GroupMemberRow.group_id == GroupRow.id))
        .where((GroupMemberRow.user_id == user_id) & (GroupMemberRow.source == source))
        .tuples()
    )
    return frozenset(row[0] for row in query)


def members(group_id: str, limit: int, offset: int) -> tuple[list[tuple[str, str]], int]:
    """Username and source of each membership."""
    query = (
        GroupMemberRow.select(UserRow.username, GroupMemberRow.source)
        .join(UserRow, on=(GroupMemberRow.user_id == UserRow.id))
        .where(GroupMemberRow.group_id == group_id)
        .order_by(UserRow.username, GroupMemberRow.source)
    )
    return [(name, source) for name, source in query.limit(limit).offset(offset).tuples()], int(query.count())


def join(user_id: str, names: Iterable[str], source: str, at: datetime) -> None:
    """Put a user into groups, by name; groups that are not there are made, of this source."""
    for part in _chunks(sorted(set(names))):
        rows = [{"id": str(uuid.uuid4()), "name": name, "source": source, "created_at": at} for name in part]
        GroupRow.insert_many(rows).on_conflict_ignore().execute()
        ids = [row[0] for row in GroupRow.select(GroupRow.id).where(GroupRow.name.in_(part)).tuples()]
        memberships = [{"group_id": group_id, "user_id": user_id, "source": source} for group_id in ids]
        GroupMemberRow.insert_many(memberships).on_conflict_ignore().execute()


def leave(user_id: str, names: Iterable[str], source: str) -> None:
    """Take the user out of groups that this source had put them into."""
    for part in _chunks(sorted(set(names))):
        ids = GroupRow.select(GroupRow.id).where(GroupRow.name.in_(part))
        GroupMemberRow.delete().where(
            (GroupMemberRow.user_id == user_id) & (GroupMemberRow.source == source) & GroupMemberRow.group_id.in_(ids)
        ).execute()


def leave_all(user_id: str, source: str) -> None:
    GroupMemberRow.delete().where((GroupMemberRow.user_id == user_id) & (GroupMemberRow.source == source)).execute()


def delete_empty(names: Sequence[str]) -> None:
    """Forget groups of providers that nobody is in any more."""
    for part in _chunks(sorted(set(names))):
        inside = GroupMemberRow.select(GroupMemberRow.user_id).where(GroupMemberRow.group_id == GroupRow.id)
        GroupRow.delete().where(
            GroupRow.name.in_(part) & (GroupRow.source != LOCAL) & ~peewee.fn.EXISTS(inside)
        ).execute()


def _groups(where: peewee.Expression) -> list[Group]:
    size = peewee.fn.COUNT(GroupMemberRow.user_id.distinct())
    query = (
        GroupRow.select(GroupRow.id, GroupRow.name, GroupRow.source, GroupRow.created_at, size)
        .join(GroupMemberRow, peewee.JOIN.LEFT_OUTER, on=(GroupMemberRow.group_id == GroupRow.id))
        .where(where)
        .group_by(GroupRow.id, GroupRow.name, GroupRow.source, GroupRow.created_at)
    )
    return [
        Group(id=row[0], name=row[1], source=row[2], created_at=row[3], members=int(row[4])) for row in query.tuples()
    ]


def _chunks(items: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(items), CHUNK):
        yield list(items[start : start + CHUNK])
