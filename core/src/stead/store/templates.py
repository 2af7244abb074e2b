"""Queries on templates, their versions and archives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from stead.domain.records import Job, Parameter, Preset, ProviderChoice, Template, TemplateVersion, Variable
from stead.models import ArchiveRow, TemplateRow, TemplateVersionRow, UserRow, WorkspaceRow
from stead.store import codec, jobs


@dataclass(frozen=True)
class NewVersion:
    id: str
    template_id: str | None
    archive_id: str
    job_id: str
    name: str
    message: str
    sealed_variables: bytes | None
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class VersionSource:
    """What a run of the version needs beside its record."""

    id: str
    template_id: str | None
    name: str
    archive_id: str
    job_id: str
    sealed_variables: bytes | None
    providers: tuple[ProviderChoice, ...]
    graph: str | None
    lock: bytes | None


@dataclass(frozen=True)
class Imported:
    """What an import found.

    :param lock: versions and checksums of the providers that Terraform installed itself.
    """

    readme: str
    parameters: Sequence[Parameter]
    presets: Sequence[Preset]
    variables: Sequence[Variable]
    providers: Sequence[ProviderChoice]
    graph: str | None = None
    lock: bytes | None = None


def archive_id(sha256: str) -> str | None:
    row = ArchiveRow.select(ArchiveRow.id).where(ArchiveRow.sha256 == sha256).tuples().first()
    return row[0] if row else None


def insert_archive(new_id: str, sha256: str, content: bytes, at: datetime) -> str:
    """Store an archive once per content; returns the id that it has."""
    ArchiveRow.insert(
        id=new_id, sha256=sha256, size=len(content), content=content, created_at=at
    ).on_conflict_ignore().execute()
    return archive_id(sha256) or new_id


def archive(wanted: str) -> bytes | None:
    row = ArchiveRow.select(ArchiveRow.content).where(ArchiveRow.id == wanted).tuples().first()
    return bytes(row[0]) if row else None


def insert(template: Template, created_by: str) -> None:
    TemplateRow.insert(
        id=template.id,
        name=template.name,
        display_name=template.display_name,
        description=template.description,
        icon=template.icon,
        active_version_id=template.active_version_id,
        created_by=created_by,
        created_at=template.created_at,
        updated_at=template.updated_at,
    ).execute()


def update(template_id: str, **values: Any) -> None:
    TemplateRow.update(**values).where(TemplateRow.id == template_id).execute()


def by_id(template_id: str) -> Template | None:
    """Also a deleted one: its workspaces, long gone, still name it."""
    found = _templates(TemplateRow.select().where(TemplateRow.id == template_id))
    return found[0] if found else None


def by_ref(ref: str) -> Template | None:
    """By id or name, among those that are not deleted."""
    matches = (TemplateRow.id == ref) | (TemplateRow.name == ref.lower())
    found = _templates(TemplateRow.select().where(matches & TemplateRow.deleted_at.is_null()).limit(1))
    return found[0] if found else None


def page(search: str, limit: int, offset: int) -> tuple[list[Template], int]:
    query = TemplateRow.select().where(TemplateRow.deleted_at.is_null())
    if search:
        query = query.where(TemplateRow.name.contains(search) | TemplateRow.display_name.contains(search))
    return _templates(query.order_by(TemplateRow.name).limit(limit).offset(offset)), query.count()


def names(ids: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """Name and active version of templates by id."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    query = TemplateRow.select(TemplateRow.id, TemplateRow.name, TemplateRow.active_version_id)
    return {row.id: (row.name, row.active_version_id) for row in query.where(TemplateRow.id.in_(wanted))}


def live_workspaces(template_id: str) -> int:
    alive = (WorkspaceRow.template_id == template_id) & WorkspaceRow.deleted_at.is_null()
    return int(WorkspaceRow.select().where(alive).count())


def insert_version(version: NewVersion) -> None:
    values = dict(vars(version))
    values["variable_values"] = values.pop("sealed_variables")
    TemplateVersionRow.insert(**values).execute()


def update_version(version_id: str, **values: Any) -> None:
    TemplateVersionRow.update(**values).where(TemplateVersionRow.id == version_id).execute()


def record_import(version_id: str, found: Imported) -> None:
    update_version(
        version_id,
        readme=found.readme,
        parameters=codec.dump(found.parameters),
        presets=codec.dump(found.presets),
        variables=codec.dump(found.variables),
        providers=codec.dump(found.providers),
        graph=found.graph,
        dependency_lock=found.lock,
    )


def version(version_id: str) -> TemplateVersion | None:
    found = _versions(TemplateVersionRow.select().where(TemplateVersionRow.id == version_id))
    return found[0] if found else None


def version_of_job(job_id: str) -> TemplateVersion | None:
    found = _versions(TemplateVersionRow.select().where(TemplateVersionRow.job_id == job_id))
    return found[0] if found else None


def version_named(template_id: str, name: str) -> TemplateVersion | None:
    matches = (TemplateVersionRow.template_id == template_id) & (TemplateVersionRow.name == name)
    found = _versions(TemplateVersionRow.select().where(matches))
    return found[0] if found else None


def versions(template_id: str, limit: int, offset: int) -> tuple[list[TemplateVersion], int]:
    query = TemplateVersionRow.select().where(TemplateVersionRow.template_id == template_id)
    rows = query.order_by(TemplateVersionRow.created_at.desc(), TemplateVersionRow.id).limit(limit).offset(offset)
    return _versions(rows), query.count()


def version_names(ids: Iterable[str]) -> dict[str, str]:
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    query = TemplateVersionRow.select(TemplateVersionRow.id, TemplateVersionRow.name)
    return {row.id: row.name for row in query.where(TemplateVersionRow.id.in_(wanted))}


def source(version_id: str) -> VersionSource | None:
    row = TemplateVersionRow.get_or_none(TemplateVersionRow.id == version_id)
    if row is None:
        return None
    return VersionSource(
        id=row.id,
        template_id=row.template_id,
        name=row.name,
        archive_id=row.archive_id,
        job_id=row.job_id,
        sealed_variables=row.variable_values,
        providers=codec.PROVIDERS.validate_python(row.providers),
        graph=row.graph,
        lock=None if row.dependency_lock is None else bytes(row.dependency_lock),
    )


def _templates(query: Any) -> list[Template]:
    rows = list(query)
    ids = [row.id for row in rows]
    counts: dict[str, int] = {}
    if ids:
        counting = (
            WorkspaceRow.select(WorkspaceRow.template_id, peewee.fn.COUNT(WorkspaceRow.id))
            .where(WorkspaceRow.template_id.in_(ids) & WorkspaceRow.deleted_at.is_null())
            .group_by(WorkspaceRow.template_id)
        )
        counts = {str(template_id): int(number) for template_id, number in counting.tuples().iterator()}
    authors = usernames(row.created_by for row in rows)
    return [
        Template(
            id=row.id,
            name=row.name,
            display_name=row.display_name,
            description=row.description,
            icon=row.icon,
            active_version_id=row.active_version_id,
            created_by=authors.get(row.created_by, row.created_by),
            created_at=row.created_at,
            updated_at=row.updated_at,
            deprecated=row.deprecated,
            workspace_count=counts.get(row.id, 0),
        )
        for row in rows
    ]


def _versions(query: Any) -> list[TemplateVersion]:
    rows = list(query)
    found = jobs.by_ids(row.job_id for row in rows)
    authors = usernames(row.created_by for row in rows)
    return [_version(row, found[row.job_id], authors.get(row.created_by, row.created_by)) for row in rows]


def _version(row: Any, job: Job, author: str) -> TemplateVersion:
    return TemplateVersion(
        id=row.id,
        template_id=row.template_id,
        name=row.name,
        message=row.message,
        readme=row.readme,
        job=job,
        created_by=author,
        created_at=row.created_at,
        parameters=codec.PARAMETERS.validate_python(row.parameters),
        presets=codec.PRESETS.validate_python(row.presets),
        variables=codec.VARIABLES.validate_python(row.variables),
        providers=codec.PROVIDERS.validate_python(row.providers),
        archived=row.archived,
    )


def usernames(ids: Iterable[str]) -> dict[str, str]:
    """Usernames by id; the system has no row."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    query = UserRow.select(UserRow.id, UserRow.username).where(UserRow.id.in_(wanted))
    return {row.id: row.username for row in query}
