"""Queries on jobs: the queue, leases, logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stead.domain.records import Job, LogLine
from stead.domain.states import BuildStatus, JobKind
from stead.models import JobLogRow, JobRow, ProvisionerRow

_HELD = (BuildStatus.RUNNING.value, BuildStatus.CANCELING.value)


@dataclass(frozen=True)
class Lease:
    """The right to run a job until ``expires_at``."""

    job_id: str
    token: str = field(repr=False)
    expires_at: datetime
    provisioner: str


@dataclass(frozen=True)
class HeldJob:
    """A job with what its holder does not get to see."""

    job: Job
    initiator_id: str
    lease: str | None = field(repr=False)
    lease_expires_at: datetime | None = None
    cancel_requested_at: datetime | None = None


@dataclass(frozen=True)
class NewLine:
    at: datetime
    level: str
    source: str
    text: str


def insert(job: Job, initiator_id: str) -> None:
    JobRow.insert(
        id=job.id,
        kind=job.kind.value,
        status=job.status.value,
        stage=job.stage,
        initiator_id=initiator_id,
        created_at=job.created_at,
    ).execute()


def get(job_id: str, *, lock: bool = False) -> HeldJob | None:
    """A job; with ``lock`` its row stays this transaction's until the end."""
    row = _locked(JobRow.select().where(JobRow.id == job_id), lock=lock).first()
    return _held(row) if row else None


def by_ids(ids: Iterable[str]) -> dict[str, Job]:
    wanted = sorted(set(ids))
    return {row.id: as_job(row) for row in JobRow.select().where(JobRow.id.in_(wanted))} if wanted else {}


def claim_oldest(kinds: Sequence[JobKind], lease: Lease, at: datetime) -> Job | None:
    """Take the oldest pending job that no other transaction is taking. ``lease.job_id`` is ignored."""
    query = (
        JobRow.select()
        .where((JobRow.status == BuildStatus.PENDING.value) & JobRow.kind.in_([kind.value for kind in kinds]))
        .order_by(JobRow.created_at, JobRow.id)
        .limit(1)
    )
    row = _locked(query, lock=True, skip=True).first()
    if row is None:
        return None
    changes = {
        "status": BuildStatus.RUNNING.value,
        "stage": "preparing",
        "started_at": row.started_at or at,
        "attempt": row.attempt + 1,
        "provisioner": lease.provisioner,
        "lease": lease.token,
        "lease_expires_at": lease.expires_at,
    }
    JobRow.update(**changes).where(JobRow.id == row.id).execute()
    return as_job(JobRow.get_by_id(row.id))


def pending_exists(kinds: Sequence[JobKind]) -> bool:
    values = [kind.value for kind in kinds]
    return bool(
        JobRow.select(JobRow.id).where((JobRow.status == BuildStatus.PENDING.value) & JobRow.kind.in_(values)).exists()
    )


def extend_lease(lease: Lease) -> HeldJob | None:
    """Prolong a lease; ``None`` where it is not held any more."""
    held = (JobRow.id == lease.job_id) & (JobRow.lease == lease.token) & JobRow.status.in_(_HELD)
    if not JobRow.update(lease_expires_at=lease.expires_at).where(held).execute():
        return None
    return get(lease.job_id)


def update(job_id: str, **values: Any) -> None:
    JobRow.update(**values).where(JobRow.id == job_id).execute()


def any_expired(at: datetime) -> bool:
    """Whether :func:`expired` would find something, without a lock."""
    condition = JobRow.status.in_(_HELD) & (JobRow.lease_expires_at <= at)
    return bool(JobRow.select(JobRow.id).where(condition).exists())


def expired(at: datetime) -> list[HeldJob]:
    """Jobs whose holder has not been heard of in time."""
    query = JobRow.select().where(JobRow.status.in_(_HELD) & (JobRow.lease_expires_at <= at))
    return [_held(row) for row in _locked(query, lock=True, skip=True)]


def held_by(provisioner_id: str) -> list[HeldJob]:
    """Jobs that a provisioner holds."""
    query = JobRow.select().where(JobRow.status.in_(_HELD) & (JobRow.provisioner == provisioner_id))
    return [_held(row) for row in _locked(query, lock=True)]


def append_log(job_id: str, lines: Sequence[NewLine]) -> int:
    """Add lines; returns the id of the last. Only one writer per job exists: its lease holder."""
    last = JobLogRow.select(JobLogRow.number).where(JobLogRow.job_id == job_id)
    row = last.order_by(JobLogRow.number.desc()).tuples().first()
    number = row[0] if row else 0
    rows = []
    for line in lines:
        number += 1
        rows.append({"job_id": job_id, "number": number, **vars(line)})
    for start in range(0, len(rows), 100):
        JobLogRow.insert_many(rows[start : start + 100]).execute()
    return int(number)


def log(job_id: str, after: int, limit: int) -> list[LogLine]:
    query = (
        JobLogRow.select()
        .where((JobLogRow.job_id == job_id) & (JobLogRow.number > after))
        .order_by(JobLogRow.number)
        .limit(limit)
    )
    return [LogLine(row.number, row.at, row.level, row.source, row.text) for row in query]


def provisioner_seen(provisioner_id: str, version: str, at: datetime) -> None:
    updated = ProvisionerRow.update(seen_at=at).where(ProvisionerRow.id == provisioner_id).execute()
    if not updated:
        ProvisionerRow.insert(
            id=provisioner_id, version=version, started_at=at, seen_at=at
        ).on_conflict_ignore().execute()


def provisioners() -> list[str]:
    return [row.id for row in ProvisionerRow.select(ProvisionerRow.id)]


def forget_provisioner(provisioner_id: str) -> None:
    ProvisionerRow.delete().where(ProvisionerRow.id == provisioner_id).execute()


def forget_provisioners(before: datetime) -> None:
    ProvisionerRow.delete().where(ProvisionerRow.seen_at < before).execute()


def as_job(row: Any) -> Job:
    return Job(
        id=row.id,
        kind=JobKind(row.kind),
        status=BuildStatus(row.status),
        stage=row.stage,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=row.error,
        reason=row.reason,
        attempt=row.attempt,
        provisioner=row.provisioner,
    )


def _held(row: Any) -> HeldJob:
    return HeldJob(as_job(row), row.initiator_id, row.lease, row.lease_expires_at, row.cancel_requested_at)


def _locked(query: Any, *, lock: bool, skip: bool = False) -> Any:
    """The query with a row lock on PostgreSQL; on SQLite the transaction is the only writer anyway."""
    if not lock or not JobRow._meta.database.for_update:
        return query
    return query.for_update(skip_locked=True) if skip else query.for_update()
