"""Queries on workspaces, builds and Terraform states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from stead.domain.records import Build, Job, Workspace
from stead.domain.states import BuildStatus, Transition, WorkspaceStatus
from stead.domain.transitions import builds_with_status, workspace_status
from stead.models import AgentRow, BuildRow, JobRow, StateRow, WorkspaceRow
from stead.store import jobs, resources, templates


@dataclass(frozen=True)
class NewWorkspace:
    id: str
    name: str
    owner_id: str
    template_id: str
    created_at: datetime


@dataclass(frozen=True)
class NewBuild:
    id: str
    workspace_id: str
    number: int
    transition: Transition
    template_version_id: str
    initiator_id: str
    reason: str
    job_id: str
    created_at: datetime
    parameters: dict[str, str]
    orphan: bool = False
    deadline: datetime | None = None


@dataclass(frozen=True)
class BuildSource:
    """What a run of the build needs."""

    id: str
    workspace_id: str
    number: int
    transition: Transition
    template_version_id: str
    initiator_id: str
    parameters: dict[str, str]
    orphan: bool


@dataclass(frozen=True)
class WorkspaceFilter:
    """``None`` and empty text match everything. ``owner_id`` is where the actor may see only their own."""

    search: str = ""
    owner_id: str | None = None
    template_id: str | None = None
    status: WorkspaceStatus | None = None


def insert(new: NewWorkspace) -> None:
    WorkspaceRow.insert(**vars(new), name_key=new.name.lower(), updated_at=new.created_at).execute()


def update(workspace_id: str, **values: Any) -> None:
    if "name" in values:
        values["name_key"] = values["name"].lower()
    WorkspaceRow.update(**values).where(WorkspaceRow.id == workspace_id).execute()


def lock(workspace_id: str) -> None:
    """Keep other transactions from giving this workspace a build until the end of this one."""
    query = WorkspaceRow.select(WorkspaceRow.id).where(WorkspaceRow.id == workspace_id)
    if WorkspaceRow._meta.database.for_update:
        query = query.for_update()
    list(query)


def name_taken(owner_id: str, name: str) -> bool:
    same = (WorkspaceRow.owner_id == owner_id) & (WorkspaceRow.name_key == name.lower())
    return bool(WorkspaceRow.select(WorkspaceRow.id).where(same & WorkspaceRow.deleted_at.is_null()).exists())


def count_others(owner_id: str, name: str) -> int:
    """How many workspaces an owner has, without the one of this name."""
    others = (WorkspaceRow.owner_id == owner_id) & (WorkspaceRow.name_key != name.lower())
    return int(WorkspaceRow.select().where(others & WorkspaceRow.deleted_at.is_null()).count())


def by_id(workspace_id: str) -> Workspace | None:
    """Also a deleted one."""
    found = _workspaces(WorkspaceRow.select().where(WorkspaceRow.id == workspace_id))
    return found[0] if found else None


def by_name(owner_id: str, name: str) -> Workspace | None:
    same = (WorkspaceRow.owner_id == owner_id) & (WorkspaceRow.name_key == name.lower())
    found = _workspaces(WorkspaceRow.select().where(same & WorkspaceRow.deleted_at.is_null()))
    return found[0] if found else None


def page(wanted: WorkspaceFilter, limit: int, offset: int) -> tuple[list[Workspace], int]:
    query = WorkspaceRow.select().where(WorkspaceRow.deleted_at.is_null())
    if wanted.search:
        query = query.where(WorkspaceRow.name_key.contains(wanted.search.lower()))
    if wanted.owner_id is not None:
        query = query.where(WorkspaceRow.owner_id == wanted.owner_id)
    if wanted.template_id is not None:
        query = query.where(WorkspaceRow.template_id == wanted.template_id)
    if wanted.status is not None:
        query = query.where(WorkspaceRow.latest_build_id.in_(_builds_in(wanted.status)))
    rows = query.order_by(WorkspaceRow.name_key, WorkspaceRow.id).limit(limit).offset(offset)
    return _workspaces(rows), query.count()


def _builds_in(status: WorkspaceStatus) -> Any:
    matching = builds_with_status(status)
    condition = None
    for transition, build_status in matching:
        one = (BuildRow.transition == transition.value) & (JobRow.status == build_status.value)
        condition = one if condition is None else condition | one
    return BuildRow.select(BuildRow.id).join(JobRow, on=(JobRow.id == BuildRow.job_id)).where(condition)


def insert_build(new: NewBuild) -> None:
    values = dict(vars(new))
    values["transition"] = new.transition.value
    BuildRow.insert(**values).execute()
    update(new.workspace_id, latest_build_id=new.id, updated_at=new.created_at)


def update_build(build_id: str, **values: Any) -> None:
    BuildRow.update(**values).where(BuildRow.id == build_id).execute()


def build(build_id: str) -> Build | None:
    found = _builds(BuildRow.select().where(BuildRow.id == build_id))
    return found[0] if found else None


def build_numbered(workspace_id: str, number: int) -> Build | None:
    same = (BuildRow.workspace_id == workspace_id) & (BuildRow.number == number)
    found = _builds(BuildRow.select().where(same))
    return found[0] if found else None


def build_of_job(job_id: str) -> BuildSource | None:
    row = BuildRow.get_or_none(BuildRow.job_id == job_id)
    if row is None:
        return None
    return BuildSource(
        id=row.id,
        workspace_id=row.workspace_id,
        number=row.number,
        transition=Transition(row.transition),
        template_version_id=row.template_version_id,
        initiator_id=row.initiator_id,
        parameters=dict(row.parameters),
        orphan=row.orphan,
    )


def builds(workspace_id: str, limit: int, offset: int) -> tuple[list[Build], int]:
    query = BuildRow.select().where(BuildRow.workspace_id == workspace_id)
    rows = query.order_by(BuildRow.number.desc()).limit(limit).offset(offset)
    return _builds(rows), query.count()


def parameters_before(workspace_id: str, number: int) -> dict[str, str] | None:
    """Parameters of the newest build before ``number``; ``None`` where there is none."""
    query = (
        BuildRow.select()
        .where((BuildRow.workspace_id == workspace_id) & (BuildRow.number < number))
        .order_by(BuildRow.number.desc())
    )
    row = query.first()
    return dict(row.parameters) if row else None


def ever_succeeded(workspace_id: str) -> bool:
    """Whether any build reached its end: only then do immutable parameters bind."""
    query = (
        BuildRow.select(BuildRow.id)
        .join(JobRow, on=(JobRow.id == BuildRow.job_id))
        .where((BuildRow.workspace_id == workspace_id) & (JobRow.status == BuildStatus.SUCCEEDED.value))
    )
    return bool(query.exists())


def running_build(workspace_id: str) -> str | None:
    """The build whose agents are (or are about to be) alive; ``None`` where the workspace is stopped or gone.

    While a stop or delete runs, and after one that failed, that is still the start before it.
    """
    return running_builds([workspace_id]).get(workspace_id)


def running_builds(workspace_ids: Iterable[str]) -> dict[str, str]:
    """The same for many workspaces; those that are stopped or gone are not in it."""
    wanted = sorted(set(workspace_ids))
    ended = (BuildRow.transition != Transition.START.value) & (JobRow.status == BuildStatus.SUCCEEDED.value)
    over = (
        BuildRow.select(BuildRow.id)
        .join(JobRow, on=(JobRow.id == BuildRow.job_id))
        .where((BuildRow.id == WorkspaceRow.latest_build_id) & ended)
    )
    alive = WorkspaceRow.select(WorkspaceRow.id).where(
        WorkspaceRow.id.in_(wanted) & WorkspaceRow.deleted_at.is_null() & ~fn.EXISTS(over)
    )
    with_agents = AgentRow.select(AgentRow.build_id).where(AgentRow.workspace_id.in_(alive))
    newest = (
        BuildRow.select(BuildRow.workspace_id.alias("workspace"), fn.MAX(BuildRow.number).alias("number"))
        .where((BuildRow.transition == Transition.START.value) & BuildRow.id.in_(with_agents))
        .group_by(BuildRow.workspace_id)
    )
    same = (BuildRow.workspace_id == newest.c.workspace) & (BuildRow.number == newest.c.number)
    found: Any = BuildRow.select(BuildRow.workspace_id, BuildRow.id).join(newest, on=same).tuples()
    return dict(found)


def put_state(build_id: str, sealed: bytes, at: datetime) -> None:
    """Store the state of a build, instead of an earlier one of the same build."""
    StateRow.delete().where(StateRow.build_id == build_id).execute()
    StateRow.insert(build_id=build_id, content=sealed, created_at=at).execute()


def state(build_id: str) -> bytes | None:
    row = StateRow.get_or_none(StateRow.build_id == build_id)
    return row.content if row else None


def newest_state(workspace_id: str) -> tuple[str, bytes] | None:
    """Build and state of the newest build that left one."""
    query = (
        StateRow.select(StateRow.build_id, StateRow.content)
        .join(BuildRow, on=(BuildRow.id == StateRow.build_id))
        .where(BuildRow.workspace_id == workspace_id)
        .order_by(BuildRow.number.desc())
    )
    row = query.first()
    return (row.build_id, row.content) if row else None


def owner_of(workspace_id: str) -> str | None:
    row = WorkspaceRow.select(WorkspaceRow.owner_id).where(WorkspaceRow.id == workspace_id).tuples().first()
    return row[0] if row else None


def _workspaces(query: Any) -> list[Workspace]:
    rows = list(query)
    latest_ids = [row.latest_build_id for row in rows if row.latest_build_id]
    latest = {b.id: b for b in _builds(BuildRow.select().where(BuildRow.id.in_(latest_ids)))} if latest_ids else {}
    owners = templates.usernames(row.owner_id for row in rows)
    named = templates.names(row.template_id for row in rows)
    return [_workspace(row, latest[row.latest_build_id], owners, named) for row in rows if row.latest_build_id]


def _workspace(row: Any, latest: Build, owners: dict[str, str], named: dict[str, tuple[str, str | None]]) -> Workspace:
    template, active = named.get(row.template_id, ("", None))
    return Workspace(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        owner=owners.get(row.owner_id, row.owner_id),
        template_id=row.template_id,
        template=template,
        status=workspace_status(latest.transition, latest.job.status),
        ready=False,
        outdated=active is not None and active != latest.template_version_id,
        latest_build=latest,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_used_at=row.last_used_at,
    )


def _builds(query: Any) -> list[Build]:
    rows: Sequence[Any] = list(query)
    found_jobs = jobs.by_ids(row.job_id for row in rows)
    versions = templates.version_names(row.template_version_id for row in rows)
    initiators = templates.usernames(row.initiator_id for row in rows)
    made = resources.of_builds(row.id for row in rows)
    return [_build(row, found_jobs[row.job_id], versions, initiators, made.get(row.id, ())) for row in rows]


def _build(row: Any, job: Job, versions: dict[str, str], initiators: dict[str, str], made: Iterable[Any]) -> Build:
    return Build(
        id=row.id,
        workspace_id=row.workspace_id,
        number=row.number,
        transition=Transition(row.transition),
        template_version_id=row.template_version_id,
        template_version_name=versions.get(row.template_version_id, ""),
        initiator=initiators.get(row.initiator_id, row.initiator_id),
        reason=row.reason,
        job=job,
        created_at=row.created_at,
        deadline=row.deadline,
        daily_cost=row.daily_cost,
        parameters=dict(row.parameters),
        resources=tuple(made),
    )
