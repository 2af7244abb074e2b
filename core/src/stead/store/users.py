"""Queries on users, their roles and their keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import peewee

from stead.domain.records import User
from stead.domain.states import Role
from stead.models import UserKeyRow, UserRoleRow, UserRow


@dataclass(frozen=True)
class KeyPair:
    """A user's SSH keys; ``sealed`` is the private one as the keyring sealed it."""

    public_key: str
    sealed: bytes = field(repr=False)


def any_exists() -> bool:
    return bool(UserRow.select(UserRow.id).limit(1).exists())


def insert(user: User, password_hash: str | None) -> None:
    UserRow.insert(
        id=user.id,
        username=user.username,
        email=user.email,
        name=user.name,
        password_hash=password_hash,
        status=user.status,
        login_type=user.login_type,
        provider=user.provider,
        created_at=user.created_at,
    ).execute()
    replace_roles(user.id, user.roles)


def replace_roles(user_id: str, roles: Iterable[Role]) -> None:
    UserRoleRow.delete().where(UserRoleRow.user_id == user_id).execute()
    for role in sorted(set(roles)):
        UserRoleRow.insert(user_id=user_id, role=role.value).execute()


def by_id(user_id: str) -> User | None:
    return _one(UserRow.id == user_id)


def by_login(login: str) -> User | None:
    """By username or e-mail address, whatever its case."""
    folded = login.lower()
    return _one((peewee.fn.LOWER(UserRow.username) == folded) | (UserRow.email == folded))


def by_ref(ref: str) -> User | None:
    """By id, username or e-mail address."""
    return by_id(ref) or by_login(ref)


def by_ids(ids: Iterable[str]) -> dict[str, User]:
    wanted = sorted(set(ids))
    return {user.id: user for user in _users(UserRow.select().where(UserRow.id.in_(wanted)))} if wanted else {}


def page(search: str, limit: int, offset: int) -> tuple[list[User], int]:
    query = UserRow.select()
    if search:
        query = query.where(
            UserRow.username.contains(search) | UserRow.email.contains(search) | UserRow.name.contains(search)
        )
    rows = query.order_by(UserRow.username).limit(limit).offset(offset)
    return _users(rows), query.count()


def password_hash(user_id: str) -> str | None:
    row = UserRow.select(UserRow.password_hash).where(UserRow.id == user_id).tuples().first()
    return row[0] if row else None


def update(user_id: str, **values: Any) -> None:
    UserRow.update(**values).where(UserRow.id == user_id).execute()


def touch(user_id: str, at: datetime, before: datetime) -> None:
    """Note that the user was seen, unless that was noted since ``before``."""
    stale = UserRow.last_seen_at.is_null() | (UserRow.last_seen_at < before)
    UserRow.update(last_seen_at=at).where((UserRow.id == user_id) & stale).execute()


def other_owner_with_a_way_in(user_id: str, providers: Iterable[str], *, local: bool = False) -> bool:
    """Whether somebody else is an active owner with a password, or of one of these providers.

    :param local: only a password counts.
    """
    way_in = UserRow.password_hash.is_null(False)
    if not local:
        way_in |= UserRow.provider.in_(sorted(providers))
    query = (
        UserRow.select(UserRow.id)
        .join(UserRoleRow, on=(UserRoleRow.user_id == UserRow.id))
        .where((UserRoleRow.role == Role.OWNER.value) & (UserRow.status == "active") & (UserRow.id != user_id) & way_in)
    )
    return bool(query.limit(1).exists())


def any_password(*, but_owners: bool) -> bool:
    """Whether an active account has a password; ``but_owners`` asks for others than owners."""
    query = UserRow.select(UserRow.id).where((UserRow.status == "active") & UserRow.password_hash.is_null(False))
    if but_owners:
        owners = UserRoleRow.select(UserRoleRow.user_id).where(UserRoleRow.role == Role.OWNER.value)
        query = query.where(UserRow.id.not_in(owners))
    return bool(query.limit(1).exists())


def key_pair(user_id: str) -> KeyPair | None:
    row = UserKeyRow.get_or_none(UserKeyRow.user_id == user_id)
    return KeyPair(row.public_key, row.private_key) if row else None


def insert_key_pair(user_id: str, pair: KeyPair, at: datetime) -> None:
    UserKeyRow.insert(
        user_id=user_id, public_key=pair.public_key, private_key=pair.sealed, created_at=at
    ).on_conflict_ignore().execute()


def _one(condition: Any) -> User | None:
    found = _users(UserRow.select().where(condition).limit(1))
    return found[0] if found else None


def _users(query: Any) -> list[User]:
    rows = list(query)
    roles = _roles([row.id for row in rows])
    return [
        User(
            id=row.id,
            username=row.username,
            email=row.email,
            name=row.name,
            roles=tuple(roles.get(row.id, ())),
            status=row.status,
            login_type=row.login_type,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            provider=row.provider,
        )
        for row in rows
    ]


def _roles(ids: Sequence[str]) -> dict[str, list[Role]]:
    found: dict[str, list[Role]] = {}
    if ids:
        for row in UserRoleRow.select().where(UserRoleRow.user_id.in_(ids)):
            found.setdefault(row.user_id, []).append(Role(row.role))
    order = list(Role)
    return {user_id: sorted(roles, key=order.index) for user_id, roles in found.items()}
