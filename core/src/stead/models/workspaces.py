"""Workspaces, builds, Terraform states."""

from __future__ import annotations

import peewee

from stead.models.base import BytesField, IdField, JsonField, Table, TimeField


class WorkspaceRow(Table):
    """``name_key`` is the name in lower case: unique per owner among workspaces that are not deleted."""

    id = IdField(primary_key=True)
    name = peewee.CharField(max_length=64)
    name_key = peewee.CharField(max_length=64)
    owner_id = IdField()
    template_id = IdField(index=True)
    latest_build_id = IdField(null=True)
    created_at = TimeField()
    updated_at = TimeField()
    last_used_at = TimeField(null=True)
    deleted_at = TimeField(null=True)

    class Meta:
        table_name = "workspaces"


class BuildRow(Table):
    """``recorded`` is false until its resources are stored; ``orphan`` deletes without touching the platform."""

    id = IdField(primary_key=True)
    workspace_id = IdField()
    number = peewee.IntegerField()
    transition = peewee.CharField(max_length=16)
    template_version_id = IdField(index=True)
    initiator_id = IdField()
    reason = peewee.CharField(max_length=32)
    job_id = IdField(unique=True)
    created_at = TimeField()
    deadline = TimeField(null=True)
    daily_cost = peewee.IntegerField(default=0)
    parameters = JsonField(default=dict)
    orphan = peewee.BooleanField(default=False)

    class Meta:
        table_name = "builds"
        indexes = ((("workspace_id", "number"), True),)


class StateRow(Table):
    """The Terraform state that a build left behind, compressed and sealed; one per build."""

    build_id = IdField(primary_key=True)
    content = BytesField()
    created_at = TimeField()

    class Meta:
        table_name = "states"
