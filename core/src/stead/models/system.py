"""The deployment itself: its values, its SSH authorities, its audit trail."""

from __future__ import annotations

import peewee

from stead.models.base import BytesField, IdField, JsonField, Table, TimeField


class MetaRow(Table):
    name = peewee.CharField(max_length=64, primary_key=True)
    value = peewee.TextField()

    class Meta:
        table_name = "deployment"


class AuthorityRow(Table):
    """An SSH certificate authority, ``user`` or ``host``; the private half is sealed."""

    id = IdField(primary_key=True)
    kind = peewee.CharField(max_length=8, unique=True)
    public_key = peewee.TextField()
    private_key = BytesField()
    created_at = TimeField()

    class Meta:
        table_name = "ssh_authorities"


class AuditRow(Table):
    """One thing that was done. ``digest`` covers the row and the digest before it."""

    number = peewee.BigIntegerField(primary_key=True)
    at = TimeField(index=True)
    actor_id = IdField(index=True)
    actor = peewee.CharField(max_length=64)
    address = peewee.CharField(max_length=64, default="")
    action = peewee.CharField(max_length=64)
    target_type = peewee.CharField(max_length=32)
    target_id = IdField(index=True)
    target = peewee.TextField(default="")
    before = JsonField(null=True)
    after = JsonField(null=True)
    previous = peewee.CharField(max_length=64)
    digest = peewee.CharField(max_length=64)

    class Meta:
        table_name = "audit"
