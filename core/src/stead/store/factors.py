"""Queries on second factors, recovery codes, and steps that wait for one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import peewee

from stead.domain.records import Factor
from stead.models import FactorRow, FactorStepRow, RecoveryCodeRow, UserRow


@dataclass(frozen=True)
class StoredFactor:
    """``credential`` is a passkey's id as unpadded base64url; empty for one-time codes."""

    factor: Factor
    secret: bytes = field(repr=False)
    credential: str
    counter: int
    verifies_user: bool


@dataclass(frozen=True)
class StoredStep:
    id: str
    purpose: str
    secret_hash: str = field(repr=False)
    user_id: str | None
    sealed: bytes = field(repr=False)
    tries: int
    created_at: datetime
    expires_at: datetime


def insert(stored: StoredFactor) -> bool:
    """False where the passkey is somebody's already."""
    factor = stored.factor
    row = {
        "id": factor.id,
        "user_id": factor.user_id,
        "kind": factor.kind,
        "name": factor.name,
        "secret": stored.secret,
        "credential": stored.credential or None,
        "counter": stored.counter,
        "verifies_user": stored.verifies_user,
        "created_at": factor.created_at,
    }
    if stored.credential and FactorRow.select().where(FactorRow.credential == stored.credential).exists():
        return False
    FactorRow.insert(**row).execute()
    return True


def of(user_id: str) -> list[StoredFactor]:
    """All factors of a user, oldest first."""
    rows = FactorRow.select().where(FactorRow.user_id == user_id).order_by(FactorRow.created_at, FactorRow.id)
    return [_stored(row) for row in rows]


def has_one(user_id: str) -> bool:
    return bool(FactorRow.select(FactorRow.id).where(FactorRow.user_id == user_id).limit(1).exists())


def count_accounts() -> tuple[int, int]:
    """Active accounts with a password of Stead's own: how many, and how many of them have no factor."""
    local = UserRow.select(UserRow.id).where((UserRow.status == "active") & UserRow.password_hash.is_null(False))
    without = local.where(UserRow.id.not_in(FactorRow.select(FactorRow.user_id)))
    return int(local.count()), int(without.count())


def delete_steps_of(user_id: str) -> None:
    FactorStepRow.delete().where(FactorStepRow.user_id == user_id).execute()


def by_credential(credential: str) -> StoredFactor | None:
    row = FactorRow.get_or_none(FactorRow.credential == credential)
    return _stored(row) if row else None


def advance(factor_id: str, counter: int, at: datetime, *, beyond: int | None = None) -> bool:
    """Note a use; with ``beyond`` only where the counter still is that one: whoever is second gets False."""
    where = FactorRow.id == factor_id
    if beyond is not None:
        where &= FactorRow.counter == beyond
    return bool(FactorRow.update(counter=counter, last_used_at=at).where(where).execute())


def delete(factor_id: str) -> None:
    FactorRow.delete().where(FactorRow.id == factor_id).execute()


def delete_all(user_id: str) -> int:
    """Factors, recovery codes and waiting steps of a user; returns how many factors there were."""
    replace_codes(user_id, ())
    delete_steps_of(user_id)
    return int(FactorRow.delete().where(FactorRow.user_id == user_id).execute())


def replace_codes(user_id: str, digests: Iterable[str]) -> None:
    RecoveryCodeRow.delete().where(RecoveryCodeRow.user_id == user_id).execute()
    rows = [{"user_id": user_id, "digest": digest} for digest in digests]
    if rows:
        RecoveryCodeRow.insert_many(rows).execute()


def use_code(user_id: str, digest: str) -> bool:
    """Whether the code was there; it is not any more."""
    where = (RecoveryCodeRow.user_id == user_id) & (RecoveryCodeRow.digest == digest)
    return bool(RecoveryCodeRow.delete().where(where).execute())


def codes_left(user_id: str) -> int:
    return int(RecoveryCodeRow.select().where(RecoveryCodeRow.user_id == user_id).count())


def insert_step(step: StoredStep) -> None:
    FactorStepRow.insert(
        id=step.id,
        purpose=step.purpose,
        secret_hash=step.secret_hash,
        user_id=step.user_id,
        sealed=step.sealed,
        tries=step.tries,
        created_at=step.created_at,
        expires_at=step.expires_at,
    ).execute()


def step(step_id: str) -> StoredStep | None:
    row = FactorStepRow.get_or_none(FactorStepRow.id == step_id)
    if row is None:
        return None
    return StoredStep(
        row.id, row.purpose, row.secret_hash, row.user_id, row.sealed, row.tries, row.created_at, row.expires_at
    )


def count_try(step_id: str, most: int) -> bool:
    """Whether one more try was free; it is taken."""
    where = (FactorStepRow.id == step_id) & (FactorStepRow.tries < most)
    return bool(FactorStepRow.update(tries=FactorStepRow.tries + 1).where(where).execute())


def take_step(step_id: str) -> bool:
    """End a step; False where somebody else has."""
    return bool(FactorStepRow.delete().where(FactorStepRow.id == step_id).execute())


def waiting(user_id: str | None, purpose: str) -> int:
    where = (FactorStepRow.purpose == purpose) & _is(FactorStepRow.user_id, user_id)
    return int(FactorStepRow.select().where(where).count())


def delete_expired(at: datetime) -> None:
    FactorStepRow.delete().where(FactorStepRow.expires_at <= at).execute()


def _is(column: peewee.Field, value: str | None) -> Any:
    return column.is_null() if value is None else column == value


def _stored(row: Any) -> StoredFactor:
    factor = Factor(row.id, row.user_id, row.kind, row.name, row.created_at, row.last_used_at)
    return StoredFactor(factor, row.secret, row.credential or "", row.counter, bool(row.verifies_user))
