"""Queries on the journal of what providers create."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from stead.domain.transitions import ACTIVE
from stead.models import BuildRow, JobRow, JournalRow


class EntryStatus(StrEnum):
    INTENDED = "intended"
    CREATED = "created"
    FAILED = "failed"
    DELETED = "deleted"


@dataclass(frozen=True)
class JournalEntry:
    """``sealed`` is the resource's state as the provider gave it, sealed under the key's purpose."""

    key: str
    job_id: str
    workspace_id: str | None
    build_id: str | None
    provider: str
    type_name: str
    address: str
    status: EntryStatus
    identity: str | None = None
    sealed: bytes | None = field(default=None, repr=False)
    updated_at: datetime | None = None


def intend(entry: JournalEntry, at: datetime) -> None:
    """Write that a resource is about to be created; a repeated key begins anew."""
    JournalRow.delete().where(JournalRow.key == entry.key).execute()
    JournalRow.insert(
        key=entry.key,
        job_id=entry.job_id,
        workspace_id=entry.workspace_id,
        build_id=entry.build_id,
        provider=entry.provider,
        type_name=entry.type_name,
        address=entry.address,
        status=EntryStatus.INTENDED.value,
        created_at=at,
        updated_at=at,
    ).execute()


def workspace_of(key: str) -> str | None:
    """The workspace whose entry has this key."""
    row = JournalRow.select(JournalRow.workspace_id).where(JournalRow.key == key).first()
    return row.workspace_id if row else None


def created(workspace_id: str, key: str, identity: str, sealed: bytes, at: datetime) -> None:
    JournalRow.update(status=EntryStatus.CREATED.value, identity=identity, state=sealed, updated_at=at).where(
        (JournalRow.key == key) & (JournalRow.workspace_id == workspace_id)
    ).execute()


def mark(workspace_id: str, key: str, status: EntryStatus, at: datetime) -> None:
    JournalRow.update(status=status.value, updated_at=at).where(
        (JournalRow.key == key) & (JournalRow.workspace_id == workspace_id)
    ).execute()


def entries(workspace_id: str) -> list[JournalEntry]:
    """Everything about the workspace that no stored state covers, oldest first."""
    query = JournalRow.select().where(JournalRow.workspace_id == workspace_id)
    return [_entry(row) for row in query.order_by(JournalRow.created_at, JournalRow.key)]


def idle_workspaces() -> list[str]:
    """Workspaces with entries for which no job waits or runs."""
    busy = (
        BuildRow.select(BuildRow.workspace_id)
        .join(JobRow, on=(JobRow.id == BuildRow.job_id))
        .where(JobRow.status.in_([status.value for status in ACTIVE]))
    )
    named = JournalRow.workspace_id.is_null(False)
    query = JournalRow.select(JournalRow.workspace_id).distinct().where(named & JournalRow.workspace_id.not_in(busy))
    return [str(row.workspace_id) for row in query]


def forget(workspaces: Sequence[str], keys: Sequence[str]) -> None:
    """Remove entries of these workspaces whose resource is gone, or is known from a stored state."""
    if keys and workspaces:
        within = JournalRow.workspace_id.in_(list(workspaces))
        JournalRow.delete().where(JournalRow.key.in_(list(keys)) & within).execute()


def _entry(row: Any) -> JournalEntry:
    return JournalEntry(
        key=row.key,
        job_id=row.job_id,
        workspace_id=row.workspace_id,
        build_id=row.build_id,
        provider=row.provider,
        type_name=row.type_name,
        address=row.address,
        status=EntryStatus(row.status),
        identity=row.identity,
        sealed=row.state,
        updated_at=row.updated_at,
    )
