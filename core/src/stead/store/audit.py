"""The audit trail: rows chained by hash, appended in the transaction of what they tell of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stead.models import AuditRow

GENESIS = "0" * 64
_BATCH = 1000


@dataclass(frozen=True)
class NewEntry:
    at: datetime
    actor_id: str
    actor: str
    address: str
    action: str
    target_type: str
    target_id: str
    target: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass(frozen=True)
class AuditEntry(NewEntry):
    number: int = 0
    digest: str = ""


@dataclass(frozen=True)
class AuditFilter:
    """``None`` matches everything. Times are half open: ``since`` ≤ at < ``until``."""

    actor_id: str | None = None
    action: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def digest_of(number: int, entry: NewEntry, previous: str) -> str:
    """SHA-256 over the digest before it and every field of the row, in a canonical form."""
    fields = [
        previous,
        number,
        int(entry.at.timestamp() * 1_000_000),
        entry.actor_id,
        entry.actor,
        entry.address,
        entry.action,
        entry.target_type,
        entry.target_id,
        entry.target,
        entry.before,
        entry.after,
    ]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def append(entries: Sequence[NewEntry]) -> None:
    """Add rows to the end of the chain. The caller holds the lock ``audit``."""
    last = AuditRow.select(AuditRow.number, AuditRow.digest).order_by(AuditRow.number.desc()).tuples().first()
    number, previous = last or (0, GENESIS)
    for entry in entries:
        number += 1
        digest = digest_of(number, entry, previous)
        AuditRow.insert(number=number, previous=previous, digest=digest, **vars(entry)).execute()
        previous = digest


def page(wanted: AuditFilter, limit: int, offset: int) -> tuple[list[AuditEntry], int]:
    """Newest first, and the number of all that match."""
    query = AuditRow.select()
    for name in ("actor_id", "action", "target_type", "target_id"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(getattr(AuditRow, name) == value)
    if wanted.since is not None:
        query = query.where(AuditRow.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditRow.at < wanted.until)
    rows = query.order_by(AuditRow.number.desc()).limit(limit).offset(offset)
    return [_entry(row) for row in rows], query.count()


def chain() -> Iterator[tuple[AuditEntry, str]]:
    """All rows in order, each with the digest that it names as the one before it."""
    after = 0
    while True:
        rows = list(AuditRow.select().where(AuditRow.number > after).order_by(AuditRow.number).limit(_BATCH))
        for row in rows:
            yield _entry(row), row.previous
            after = row.number
        if len(rows) < _BATCH:
            return


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        at=row.at,
        actor_id=row.actor_id,
        actor=row.actor,
        address=row.address,
        action=row.action,
        target_type=row.target_type,
        target_id=row.target_id,
        target=row.target,
        before=row.before,
        after=row.after,
        number=row.number,
        digest=row.digest,
    )
