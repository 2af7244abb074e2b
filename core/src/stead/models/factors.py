"""Second factors of accounts with a password of Stead's own, and steps that wait for one."""

from __future__ import annotations

import peewee

from stead.models.base import BytesField, IdField, Table, TimeField


class FactorRow(Table):
    """``secret`` is sealed: the key of one-time codes, or the public key of a passkey.

    ``counter`` is the last time step that was accepted, or the passkey's count of signatures.
    """

    id = IdField(primary_key=True)
    user_id = IdField(index=True)
    kind = peewee.CharField(max_length=16)
    name = peewee.CharField(max_length=64)
    secret = BytesField()
    credential = peewee.CharField(max_length=1400, null=True, unique=True)
    counter = peewee.BigIntegerField(default=0)
    verifies_user = peewee.BooleanField(default=False)
    created_at = TimeField()
    last_used_at = TimeField(null=True)

    class Meta:
        table_name = "factors"


class RecoveryCodeRow(Table):
    """Codes that were not used yet, as hashes."""

    user_id = IdField()
    digest = peewee.CharField(max_length=64)

    class Meta:
        table_name = "recovery_codes"
        primary_key = peewee.CompositeKey("user_id", "digest")


class FactorStepRow(Table):
    """Somebody who has to show something more. The browser holds the secret; what waits is sealed."""

    id = IdField(primary_key=True)
    purpose = peewee.CharField(max_length=16)
    secret_hash = peewee.CharField(max_length=64)
    user_id = IdField(null=True)
    sealed = BytesField()
    tries = peewee.BigIntegerField(default=0)
    created_at = TimeField()
    expires_at = TimeField(index=True)

    class Meta:
        table_name = "factor_steps"
