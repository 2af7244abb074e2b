"""Jobs, their leases, their logs, and the journal of what they created."""

from __future__ import annotations

import peewee

from stead.models.base import BytesField, IdField, Table, TimeField


class JobRow(Table):
    """``lease`` is the token of who runs the job now; without it nothing about the job can be written."""

    id = IdField(primary_key=True)
    kind = peewee.CharField(max_length=32)
    status = peewee.CharField(max_length=16)
    stage = peewee.CharField(max_length=16)
    initiator_id = IdField()
    created_at = TimeField()
    started_at = TimeField(null=True)
    finished_at = TimeField(null=True)
    error = peewee.TextField(null=True)
    reason = peewee.CharField(max_length=64, null=True)
    attempt = peewee.IntegerField(default=0)
    provisioner = peewee.CharField(max_length=128, null=True)
    lease = peewee.CharField(max_length=64, null=True)
    lease_expires_at = TimeField(null=True)
    cancel_requested_at = TimeField(null=True)

    class Meta:
        table_name = "jobs"
        indexes = ((("status", "created_at"), False), (("status", "lease_expires_at"), False))


class JobLogRow(Table):
    job_id = IdField()
    number = peewee.BigIntegerField()
    at = TimeField()
    level = peewee.CharField(max_length=8)
    source = peewee.CharField(max_length=64)
    text = peewee.TextField()

    class Meta:
        table_name = "job_logs"
        primary_key = peewee.CompositeKey("job_id", "number")


class JournalRow(Table):
    """A resource that a provider meant to create, did create, or removed."""

    key = peewee.CharField(max_length=128, primary_key=True)
    workspace_id = IdField(null=True, index=True)
    build_id = IdField(null=True)
    job_id = IdField(index=True)
    provider = peewee.CharField(max_length=255)
    type_name = peewee.CharField(max_length=128)
    address = peewee.TextField(default="")
    status = peewee.CharField(max_length=16)
    identity = peewee.TextField(null=True)
    state = BytesField(null=True)
    created_at = TimeField()
    updated_at = TimeField()

    class Meta:
        table_name = "journal"


class ProvisionerRow(Table):
    id = peewee.CharField(max_length=128, primary_key=True)
    version = peewee.CharField(max_length=32)
    started_at = TimeField()
    seen_at = TimeField()

    class Meta:
        table_name = "provisioners"
