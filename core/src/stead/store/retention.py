"""Queries for what is old enough to go: states that newer ones replaced, logs of builds that newer ones followed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import fn

from stead.domain.states import BuildStatus, Transition
from stead.models import (
    AgentLogRow,
    AgentRow,
    BuildRow,
    JobLogRow,
    JobRow,
    StateRow,
    TemplateRow,
    TemplateVersionRow,
    WorkspaceRow,
)

REMOVED = "retention"
"""The source of the line that stands where a log was."""


def replaced_states(before: datetime, most: int) -> list[str]:
    """Builds whose state was replaced by a newer one, or lost its workspace, before then.

    The newest state of a workspace that is there is never among them, however old.
    """
    later_build, later_state = BuildRow.alias(), StateRow.alias()
    later = (
        later_build.select(later_build.id)
        .join(later_state, on=(later_state.build_id == later_build.id))
        .where(
            (later_build.workspace_id == BuildRow.workspace_id)
            & (later_build.number > BuildRow.number)
            & (later_state.created_at < before)
        )
    )
    query = (
        StateRow.select(StateRow.build_id)
        .join(BuildRow, on=(BuildRow.id == StateRow.build_id))
        .join(WorkspaceRow, on=(WorkspaceRow.id == BuildRow.workspace_id))
        .where((WorkspaceRow.deleted_at < before) | fn.EXISTS(later))
        .limit(most)
    )
    return _first_column(query)


def delete_states(build_ids: Sequence[str]) -> None:
    StateRow.delete().where(StateRow.build_id.in_(build_ids)).execute()


def old_job_logs(before: datetime, most: int) -> list[str]:
    """Jobs that ended before then and still have their log.

    Never the last build of a workspace that is there, nor the import of a version that a template uses.
    """
    last = (
        BuildRow.select(BuildRow.job_id)
        .join(WorkspaceRow, on=(WorkspaceRow.latest_build_id == BuildRow.id))
        .where(WorkspaceRow.deleted_at.is_null() | (WorkspaceRow.deleted_at >= before))
    )
    in_use = (
        TemplateVersionRow.select(TemplateVersionRow.job_id)
        .join(TemplateRow, on=(TemplateRow.active_version_id == TemplateVersionRow.id))
        .where(TemplateRow.deleted_at.is_null())
    )
    logged = JobLogRow.select(JobLogRow.number).where((JobLogRow.job_id == JobRow.id) & (JobLogRow.source != REMOVED))
    query = (
        JobRow.select(JobRow.id)
        .where((JobRow.finished_at < before) & JobRow.id.not_in(last) & JobRow.id.not_in(in_use) & fn.EXISTS(logged))
        .limit(most)
    )
    return _first_column(query)


def delete_job_logs(job_ids: Sequence[str], at: datetime, text: str) -> None:
    """Leave one line with this text in place of each log."""
    JobLogRow.delete().where(JobLogRow.job_id.in_(job_ids)).execute()
    lines = [
        {"job_id": job_id, "number": 1, "at": at, "level": "info", "source": REMOVED, "text": text}
        for job_id in job_ids
    ]
    JobLogRow.insert_many(lines).on_conflict_ignore().execute()


def old_agent_logs(before: datetime, most: int) -> list[str]:
    """Agents that still have a log although a newer start of their workspace succeeded, or it went, before then."""
    later = BuildRow.alias()
    followed = (
        later.select(later.id)
        .join(JobRow, on=(JobRow.id == later.job_id))
        .where(
            (later.workspace_id == BuildRow.workspace_id)
            & (later.number > BuildRow.number)
            & (later.transition == Transition.START.value)
            & (JobRow.status == BuildStatus.SUCCEEDED.value)
            & (JobRow.finished_at < before)
        )
    )
    logged = AgentLogRow.select(AgentLogRow.number).where(AgentLogRow.agent_id == AgentRow.id)
    query = (
        AgentRow.select(AgentRow.id)
        .join(BuildRow, on=(BuildRow.id == AgentRow.build_id))
        .join(WorkspaceRow, on=(WorkspaceRow.id == BuildRow.workspace_id))
        .where(((WorkspaceRow.deleted_at < before) | fn.EXISTS(followed)) & fn.EXISTS(logged))
        .limit(most)
    )
    return _first_column(query)


def delete_agent_logs(agent_ids: Sequence[str]) -> None:
    AgentLogRow.delete().where(AgentLogRow.agent_id.in_(agent_ids)).execute()


def _first_column(query: Any) -> list[str]:
    return [row[0] for row in query.tuples()]
