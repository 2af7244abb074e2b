"""Templates, their versions, and the archives they came in."""

from __future__ import annotations

import peewee

from stead.models.base import BytesField, IdField, JsonField, Table, TimeField


class ArchiveRow(Table):
    """An uploaded template archive, once per content."""

    id = IdField(primary_key=True)
    sha256 = peewee.CharField(max_length=64, unique=True)
    size = peewee.IntegerField()
    content = BytesField()
    created_at = TimeField()

    class Meta:
        table_name = "archives"


class TemplateRow(Table):
    id = IdField(primary_key=True)
    name = peewee.CharField(max_length=64)
    display_name = peewee.CharField(max_length=64, default="")
    description = peewee.TextField(default="")
    icon = peewee.TextField(default="")
    active_version_id = IdField(null=True)
    created_by = IdField()
    created_at = TimeField()
    updated_at = TimeField()
    deprecated = peewee.TextField(null=True)
    deleted_at = TimeField(null=True)

    class Meta:
        table_name = "templates"


class TemplateVersionRow(Table):
    """``parameters``, ``presets``, ``variables`` and ``providers`` are what the import found."""

    id = IdField(primary_key=True)
    template_id = IdField(null=True, index=True)
    archive_id = IdField()
    job_id = IdField(unique=True)
    name = peewee.CharField(max_length=64)
    message = peewee.TextField(default="")
    readme = peewee.TextField(default="")
    variable_values = BytesField(null=True)
    parameters = JsonField(default=list)
    presets = JsonField(default=list)
    variables = JsonField(default=list)
    providers = JsonField(default=list)
    graph = peewee.TextField(null=True)
    dependency_lock = BytesField(null=True)
    created_by = IdField()
    created_at = TimeField()
    archived = peewee.BooleanField(default=False)

    class Meta:
        table_name = "template_versions"
