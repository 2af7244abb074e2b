"""The engine's journal, written to the database."""

from __future__ import annotations

from stead.services import jobs
from stead.services.core import Core
from stead.services.work import BuildWork
from stead.store.journal import EntryStatus, JournalEntry


class DatabaseJournal:
    """Commits every call before it returns; see :class:`stead.terraform.journal.Journal`."""

    def __init__(self, core: Core, work: BuildWork) -> None:
        self._core = core
        self._work = work

    def intend(self, key: str, provider: str, type_name: str, address_hint: str) -> None:
        entry = JournalEntry(
            key=key,
            job_id=self._work.claim.job.id,
            workspace_id=self._work.workspace_id,
            build_id=self._work.build_id,
            provider=provider,
            type_name=type_name,
            address=address_hint,
            status=EntryStatus.INTENDED,
        )
        jobs.journal_intend(self._core, self._work.claim, entry)

    def created(self, key: str, identity: str, state_json: str) -> None:
        jobs.journal_created(self._core, self._work.workspace_id, key, identity, state_json)

    def failed(self, key: str) -> None:
        jobs.journal_failed(self._core, self._work.workspace_id, key)

    def deleted(self, key: str) -> None:
        jobs.journal_deleted(self._core, self._work.workspace_id, key)
