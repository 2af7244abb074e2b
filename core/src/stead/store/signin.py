"""Queries on ties to identity providers, sign-ins under way, their record, and device codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import peewee

from stead.domain.records import SignInAttempt, SignInStep
from stead.models import (
    DeviceLoginRow,
    IdentityLinkRow,
    SessionRow,
    SignedOutMessageRow,
    SignInAttemptRow,
    SignInRow,
    TokenRow,
    UserRow,
)


@dataclass(frozen=True)
class StoredLink:
    """An account's tie to a provider; ``kept`` is as the keyring sealed it."""

    id: str
    user_id: str
    provider: str
    issuer: str
    subject: str
    username: str
    email: str
    session: str
    kept: bytes = field(repr=False)
    created_at: datetime
    signed_in_at: datetime
    checked_at: datetime
    problem: str | None = None


@dataclass(frozen=True)
class StoredSignIn:
    """A browser on its way to a provider."""

    id: str
    provider: str
    state_hash: str = field(repr=False)
    browser_hash: str = field(repr=False)
    sealed: bytes = field(repr=False)
    address: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class StoredDevice:
    """A program that waits for a person."""

    id: str
    secret_hash: str = field(repr=False)
    user_code: str = field(repr=False)
    client: str
    address: str
    status: str
    user_id: str | None
    created_at: datetime
    expires_at: datetime
    polled_at: datetime | None = None


# Ties -------------------------------------------------------------------------------------------


def link_of(provider: str, issuer: str, subject: str) -> StoredLink | None:
    row = IdentityLinkRow.get_or_none(
        (IdentityLinkRow.provider == provider)
        & (IdentityLinkRow.issuer == issuer)
        & (IdentityLinkRow.subject == subject)
    )
    return _link(row) if row else None


def link_of_user(user_id: str) -> StoredLink | None:
    row = IdentityLinkRow.get_or_none(IdentityLinkRow.user_id == user_id)
    return _link(row) if row else None


def insert_link(link: StoredLink) -> None:
    IdentityLinkRow.insert(**vars(link)).execute()


def update_link(link_id: str, **values: Any) -> bool:
    """Whether the tie is still there."""
    return bool(IdentityLinkRow.update(**values).where(IdentityLinkRow.id == link_id).execute())


def delete_link(user_id: str) -> None:
    IdentityLinkRow.delete().where(IdentityLinkRow.user_id == user_id).execute()


def due_links(
    provider: str, before: datetime, idle_before: datetime, seen_since: datetime, limit: int
) -> list[StoredLink]:
    """Ties to look up again, longest ago first: those in use since ``seen_since``, others after longer.

    Only accounts that have a session or a token have something to lose.
    """
    sessions = SessionRow.select(SessionRow.id).where(SessionRow.user_id == IdentityLinkRow.user_id)
    tokens = TokenRow.select(TokenRow.id).where(TokenRow.user_id == IdentityLinkRow.user_id)
    in_use = UserRow.select(UserRow.id).where(
        (UserRow.id == IdentityLinkRow.user_id) & (UserRow.last_seen_at >= seen_since)
    )
    query = (
        IdentityLinkRow.select()
        .where(
            (IdentityLinkRow.provider == provider)
            & (IdentityLinkRow.checked_at <= before)
            & ((IdentityLinkRow.checked_at <= idle_before) | peewee.fn.EXISTS(in_use))
            & (peewee.fn.EXISTS(sessions) | peewee.fn.EXISTS(tokens))
        )
        .order_by(IdentityLinkRow.checked_at)
        .limit(limit)
    )
    return [_link(row) for row in query]


def count_links() -> dict[str, int]:
    """How many accounts are tied to each provider."""
    count = peewee.fn.COUNT(IdentityLinkRow.id)
    rows = IdentityLinkRow.select(IdentityLinkRow.provider, count).group_by(IdentityLinkRow.provider).tuples()
    return {provider: int(number) for provider, number in rows}


# Sign-ins under way -----------------------------------------------------------------------------


def insert_sign_in(stored: StoredSignIn) -> None:
    SignInRow.insert(**vars(stored)).execute()


def sign_in(sign_in_id: str) -> StoredSignIn | None:
    row = SignInRow.get_or_none(SignInRow.id == sign_in_id)
    return StoredSignIn(**{name: getattr(row, name) for name in StoredSignIn.__dataclass_fields__}) if row else None


def replace_sealed(stored: StoredSignIn, sealed: bytes) -> bool:
    """Whether what is sealed was as it was read; it is the new one now."""
    where = (SignInRow.id == stored.id) & (SignInRow.sealed == stored.sealed)
    return bool(SignInRow.update(sealed=sealed).where(where).execute())


def take_sign_in(sign_in_id: str) -> bool:
    """Use a sign-in up; of several that try, one succeeds."""
    return bool(SignInRow.delete().where(SignInRow.id == sign_in_id).execute())


def sign_ins_from(address: str, since: datetime) -> int:
    return int(SignInRow.select().where((SignInRow.address == address) & (SignInRow.created_at >= since)).count())


# The record -------------------------------------------------------------------------------------


def insert_attempt(attempt: SignInAttempt) -> int:
    number = SignInAttemptRow.insert(
        at=attempt.at,
        provider=attempt.provider,
        outcome=attempt.outcome,
        user_id=attempt.user_id,
        account=attempt.account,
        address=attempt.address,
        user_agent=attempt.user_agent,
        detail=attempt.detail,
        steps=[[step.title, step.detail, step.ok, step.seconds] for step in attempt.steps],
        seconds=attempt.seconds,
    ).execute()
    return int(number)


def attempts(
    *, provider: str, outcome: str, user_id: str | None, search: str, limit: int, offset: int
) -> tuple[list[SignInAttempt], int]:
    """The record, newest first."""
    query = SignInAttemptRow.select()
    if provider:
        query = query.where(SignInAttemptRow.provider == provider)
    if outcome:
        query = query.where(SignInAttemptRow.outcome == outcome)
    if user_id:
        query = query.where(SignInAttemptRow.user_id == user_id)
    if search:
        query = query.where(SignInAttemptRow.account.contains(search) | SignInAttemptRow.address.contains(search))
    rows = query.order_by(SignInAttemptRow.id.desc()).limit(limit).offset(offset)
    return [_attempt(row) for row in rows], int(query.count())


def attempt(number: int) -> SignInAttempt | None:
    row = SignInAttemptRow.get_or_none(SignInAttemptRow.id == number)
    return _attempt(row) if row else None


# Device codes -----------------------------------------------------------------------------------


def insert_device(device: StoredDevice) -> None:
    DeviceLoginRow.insert(**vars(device)).execute()


def device(device_id: str) -> StoredDevice | None:
    return _device(DeviceLoginRow.get_or_none(DeviceLoginRow.id == device_id))


def device_of_code(user_code: str) -> StoredDevice | None:
    return _device(DeviceLoginRow.get_or_none(DeviceLoginRow.user_code == user_code))


def devices_from(address: str, since: datetime) -> int:
    recent = (DeviceLoginRow.address == address) & (DeviceLoginRow.created_at >= since)
    return int(DeviceLoginRow.select().where(recent).count())


def move_device(device_id: str, old: str, new: str, **values: Any) -> bool:
    """Change the status of a device code; of several that try, one succeeds."""
    query = DeviceLoginRow.update(status=new, **values)
    return bool(query.where((DeviceLoginRow.id == device_id) & (DeviceLoginRow.status == old)).execute())


def touch_device(device_id: str, at: datetime) -> None:
    DeviceLoginRow.update(polled_at=at).where(DeviceLoginRow.id == device_id).execute()


# Sign-outs that providers post ------------------------------------------------------------------


def take_message(digest: str, expires_at: datetime) -> bool:
    """Whether this message comes for the first time; within a transaction that holds the lock ``signed-out``."""
    if SignedOutMessageRow.get_or_none(SignedOutMessageRow.digest == digest) is not None:
        return False
    SignedOutMessageRow.insert(digest=digest, expires_at=expires_at).execute()
    return True


def delete_expired(at: datetime, attempts_before: datetime, most_attempts: int) -> None:
    """Forget what is over, and the oldest of a record that has grown beyond its bound."""
    SignInRow.delete().where(SignInRow.expires_at <= at).execute()
    DeviceLoginRow.delete().where(DeviceLoginRow.expires_at <= at).execute()
    SignedOutMessageRow.delete().where(SignedOutMessageRow.expires_at <= at).execute()
    SignInAttemptRow.delete().where(SignInAttemptRow.at < attempts_before).execute()
    beyond = (
        SignInAttemptRow.select(SignInAttemptRow.id)
        .order_by(SignInAttemptRow.id.desc())
        .limit(1)
        .offset(most_attempts)
        .tuples()
        .first()
    )
    if beyond is not None:
        SignInAttemptRow.delete().where(SignInAttemptRow.id <= beyond[0]).execute()


def _link(row: Any) -> StoredLink:
    return StoredLink(**{name: getattr(row, name) for name in StoredLink.__dataclass_fields__})


def _device(row: Any) -> StoredDevice | None:
    return StoredDevice(**{name: getattr(row, name) for name in StoredDevice.__dataclass_fields__}) if row else None


def _attempt(row: Any) -> SignInAttempt:
    steps: Sequence[Sequence[Any]] = row.steps or ()
    return SignInAttempt(
        id=row.id,
        at=row.at,
        provider=row.provider,
        outcome=row.outcome,
        user_id=row.user_id,
        account=row.account,
        address=row.address,
        user_agent=row.user_agent,
        detail=row.detail,
        steps=tuple(SignInStep(*step) for step in steps),
        seconds=row.seconds,
    )
