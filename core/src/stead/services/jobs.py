"""The provisioner's side of a job: claim it, keep it, tell how it goes, end it.

Every call after :func:`claim` proves with the claim's token that the job is still the caller's; whoever
lost the lease gets :class:`LeaseLost` and has written nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from stead import VERSION
from stead.api.errors import BuildCanceled, Conflict, LeaseLost, SteadError
from stead.domain import statefile
from stead.domain.records import Job
from stead.domain.states import BuildStatus, JobKind
from stead.domain.transitions import advance_build
from stead.services import builds, states
from stead.services.core import SYSTEM, Change, Core
from stead.store import jobs as store
from stead.store import journal, templates, workspaces
from stead.store.jobs import HeldJob, Lease, NewLine
from stead.store.journal import EntryStatus, JournalEntry

log = logging.getLogger(__name__)

HELD = (BuildStatus.RUNNING, BuildStatus.CANCELING)
LONGEST_LINE = 16 * 1024


@dataclass(frozen=True)
class Claim:
    """A job that is the holder's until the lease runs out."""

    job: Job
    lease: Lease


def claim(core: Core, provisioner_id: str, kinds: Sequence[JobKind] = tuple(JobKind)) -> Claim | None:
    """The oldest waiting job, if there is one."""
    with core.database.read():
        if not store.pending_exists(kinds):
            return None
    now = core.clock.now()
    expires = now + timedelta(seconds=core.settings.job_lease)
    lease = Lease("", secrets.token_hex(16), expires, provisioner_id)
    with core.change(SYSTEM) as change:
        job = store.claim_oldest(kinds, lease, now)
        if job is None:
            return None
        _announce(change, job.id)
    return Claim(job, Lease(job.id, lease.token, expires, provisioner_id))


def heartbeat(core: Core, claim: Claim) -> bool:
    """Prolong the lease; true where the job was asked to stop.

    :raises LeaseLost: somebody else has the job now, or it is over.
    """
    expires = core.clock.now() + timedelta(seconds=core.settings.job_lease)
    lease = Lease(claim.lease.job_id, claim.lease.token, expires, claim.lease.provisioner)
    with core.database.write():
        held = store.extend_lease(lease)
    if held is None:
        raise _lost()
    return held.cancel_requested_at is not None


def stage(core: Core, claim: Claim, stage: str) -> None:
    """Note how far the job is."""
    with core.change(SYSTEM) as change:
        _hold(claim)
        store.update(claim.job.id, stage=stage)
        _announce(change, claim.job.id)


def append_logs(core: Core, claim: Claim, lines: Sequence[NewLine]) -> None:
    if not lines:
        return
    with core.change(SYSTEM) as change:
        _hold(claim)
        last = store.append_log(claim.job.id, [_bounded(line) for line in lines])
        change.announce(f"job:{claim.job.id}", log=last)


def _bounded(line: NewLine) -> NewLine:
    text = line.text.replace("\x00", "")
    return NewLine(line.at, line.level[:8], line.source[:64], text[:LONGEST_LINE])


def release(core: Core, claim: Claim, state: bytes | None = None) -> None:
    """Give the job back unfinished: another provisioner takes it up. For a shutdown."""
    with core.change(SYSTEM) as change:
        held = _hold(claim)
        if state is not None:
            _keep_state(core, claim, state)
        # An orderly stop is no attempt that failed: however often it happens, the job stays in the queue.
        store.update(claim.job.id, attempt=held.job.attempt - 1)
        _retry_or_end(change, replace(held, job=replace(held.job, attempt=held.job.attempt - 1)), "It was stopped.")


def fail(core: Core, claim: Claim, error: SteadError, state: bytes | None = None) -> None:
    """End the job with an error.

    :param state: the Terraform state as far as it got; what it holds is not lost.
    """
    with core.change(SYSTEM) as change:
        held = _hold(claim)
        if state is not None:
            _keep_state(core, claim, state)
        canceled = isinstance(error, BuildCanceled)
        status = BuildStatus.CANCELED if canceled else BuildStatus.FAILED
        _end(change, held, status, error=str(error), reason=error.reason)


def _keep_state(core: Core, claim: Claim, state: bytes) -> None:
    if statefile.serial(state) is None:  # torn: in the place of a whole one it would lose what that one knows
        log.warning("The job %s hands in a state that is none; the one that was known stays.", claim.job.id)
        return
    source = workspaces.build_of_job(claim.job.id)
    if source is not None:
        workspaces.put_state(source.id, states.seal_state(core, source.id, state), core.clock.now())
        settle_journal(source.workspace_id, state)


def settle_journal(workspace_id: str, state: bytes) -> None:
    """Within the transaction that stores ``state``: forget what it holds, and what is gone."""
    known = states.journal_keys(state)
    entries = journal.entries(workspace_id)
    settled = [e.key for e in entries if e.key in known or e.status is EntryStatus.DELETED]
    journal.forget([workspace_id], settled)


def require(core: Core, claim: Claim) -> None:
    """Nothing, if the claim holds.

    :raises LeaseLost: somebody else has the job now, or it is over.
    """
    with core.database.read():
        _hold(claim, lock=False)


def _hold(claim: Claim, *, lock: bool = True) -> HeldJob:
    held = store.get(claim.job.id, lock=lock)
    if held is None or held.lease != claim.lease.token or held.job.status not in HELD:
        raise _lost()
    return held


def _lost() -> LeaseLost:
    return LeaseLost("The job is run by another provisioner now, or it is over.")


def end(change: Change, claim: Claim) -> None:
    """Within a transaction: the job came to its good end.

    :raises BuildCanceled: it was asked to stop before this, and who asked was told that it would.
    """
    held = _hold(claim)
    if held.job.status is BuildStatus.CANCELING:
        raise BuildCanceled("It was canceled.")
    _end(change, held, BuildStatus.SUCCEEDED)


def hold(claim: Claim) -> None:
    """Within a transaction: nothing, if the claim still holds."""
    _hold(claim)


def _end(
    change: Change,
    held: HeldJob,
    status: BuildStatus,
    *,
    error: str | None = None,
    reason: str | None = None,
) -> None:
    store.update(
        held.job.id,
        status=advance_build(held.job.status, status).value,
        stage="finishing",
        finished_at=change.core.clock.now(),
        error=error,
        reason=reason,
        lease=None,
        lease_expires_at=None,
    )
    _announce(change, held.job.id)
    _tell_plugins(change, held.job.id, held.job.kind, status, reason)


def _tell_plugins(change: Change, job_id: str, kind: JobKind, status: BuildStatus, reason: str | None) -> None:
    if kind is JobKind.TEMPLATE_IMPORT:
        change.announce("templates")
        change.event(f"template.import.{status.value}", job=job_id, reason=reason)
        return
    source = workspaces.build_of_job(job_id)
    if source is not None:
        change.event(
            f"workspace.build.{status.value}",
            workspace=source.workspace_id,
            build=source.id,
            transition=source.transition.value,
            reason=reason,
        )


def _announce(change: Change, job_id: str) -> None:
    change.announce(f"job:{job_id}", status=True)
    source = workspaces.build_of_job(job_id)
    if source is not None:
        builds.announce(change, source.workspace_id, workspaces.owner_of(source.workspace_id) or "")


def journal_intend(core: Core, claim: Claim, entry: JournalEntry) -> None:
    """Committed when it returns: the resource is about to be created under the key.

    :raises Conflict: the journal has the key for another workspace.
    """
    with core.database.write():
        _hold(claim)
        if journal.workspace_of(entry.key) not in (None, entry.workspace_id):
            raise Conflict("The journal has this key for something of another workspace.")
        journal.intend(entry, core.clock.now())


def journal_created(core: Core, workspace_id: str, key: str, identity: str, state_json: str) -> None:
    """Committed when it returns: the resource exists. Written even if the lease was lost: it is a fact."""
    sealed = core.keyring.seal(f"journal:{key}", state_json.encode())
    with core.database.write():
        journal.created(workspace_id, key, identity, sealed, core.clock.now())


def journal_failed(core: Core, workspace_id: str, key: str) -> None:
    with core.database.write():
        journal.mark(workspace_id, key, EntryStatus.FAILED, core.clock.now())


def journal_deleted(core: Core, workspace_id: str, key: str) -> None:
    with core.database.write():
        journal.mark(workspace_id, key, EntryStatus.DELETED, core.clock.now())


def reap(core: Core) -> int:
    """End or requeue jobs whose provisioner has not been heard of; returns how many there were."""
    with core.database.read():
        if not store.any_expired(core.clock.now()):
            return 0
    with core.change(SYSTEM) as change:
        expired = store.expired(core.clock.now())
        for held in expired:
            _retry_or_end(change, held, "The provisioner that ran it was not heard of any more.")
    return len(expired)


def reap_provisioner(core: Core, provisioner_id: str) -> int:
    """The same, at once, for one provisioner that is known to be dead."""
    with core.change(SYSTEM) as change:
        held_jobs = store.held_by(provisioner_id)
        for held in held_jobs:
            _retry_or_end(change, held, "The provisioner that ran it died.")
        store.forget_provisioner(provisioner_id)
    return len(held_jobs)


def _retry_or_end(change: Change, held: HeldJob, why: str) -> None:
    if held.job.status is BuildStatus.CANCELING:
        _end(change, held, BuildStatus.CANCELED, error=f"It was canceled. {why}", reason="canceled")
    elif held.job.attempt >= change.core.settings.job_attempts:
        error = f"{why} It was tried {held.job.attempt} times."
        _end(change, held, BuildStatus.FAILED, error=error, reason="lease_lost")
    else:
        status = advance_build(held.job.status, BuildStatus.PENDING)
        store.update(held.job.id, status=status.value, stage="queued", lease=None, lease_expires_at=None)
        _announce(change, held.job.id)
        change.announce("jobs", kind=held.job.kind.value)


def provisioner_seen(core: Core, provisioner_id: str) -> None:
    with core.database.write():
        store.provisioner_seen(provisioner_id, VERSION, core.clock.now())


def provisioner_gone(core: Core, provisioner_id: str) -> None:
    with core.database.write():
        store.forget_provisioner(provisioner_id)


def provisioners(core: Core) -> list[str]:
    """Ids of the provisioners that were heard of and did not say goodbye."""
    with core.database.read():
        return store.provisioners()


def complete_import(core: Core, claim: Claim, found: templates.Imported) -> None:
    """The template version is imported: store what was found."""
    with core.change(SYSTEM) as change:
        end(change, claim)
        version = templates.version_of_job(claim.job.id)
        if version is not None:
            templates.record_import(version.id, found)
            change.record("imported", "template_version", version.id, version.name)
