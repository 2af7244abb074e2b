"""Ties of accounts to identity providers, sign-ins under way, their record, device codes."""

from __future__ import annotations

import peewee

from stead.models.base import BytesField, IdField, JsonField, Table, TimeField


class IdentityLinkRow(Table):
    """An account's tie to a provider; ``kept`` is sealed."""

    id = IdField(primary_key=True)
    user_id = IdField(unique=True)
    provider = peewee.CharField(max_length=64)
    issuer = peewee.CharField(max_length=512)
    subject = peewee.CharField(max_length=255)
    username = peewee.TextField(default="")
    email = peewee.TextField(default="")
    session = peewee.TextField(default="")
    kept = BytesField()
    created_at = TimeField()
    signed_in_at = TimeField()
    checked_at = TimeField(index=True)
    problem = peewee.TextField(null=True)

    class Meta:
        table_name = "identity_links"
        indexes = ((("provider", "issuer", "subject"), True),)


class SignInRow(Table):
    """A browser that is on its way to a provider. State and browser are hashes; what is kept is sealed."""

    id = IdField(primary_key=True)
    provider = peewee.CharField(max_length=64)
    state_hash = peewee.CharField(max_length=64)
    browser_hash = peewee.CharField(max_length=64)
    sealed = BytesField()
    address = peewee.CharField(max_length=64, default="")
    created_at = TimeField()
    expires_at = TimeField(index=True)

    class Meta:
        table_name = "sign_ins"
        indexes = ((("address", "created_at"), False),)


class SignInAttemptRow(Table):
    """What became of one attempt to sign in."""

    id = peewee.BigAutoField()
    at = TimeField(index=True)
    provider = peewee.CharField(max_length=64)
    outcome = peewee.CharField(max_length=16)
    user_id = IdField(null=True, index=True)
    account = peewee.CharField(max_length=254, default="")
    address = peewee.CharField(max_length=64, default="")
    user_agent = peewee.TextField(default="")
    detail = peewee.TextField(default="")
    steps = JsonField()
    seconds = peewee.DoubleField(default=0.0)

    class Meta:
        table_name = "sign_in_attempts"


class GroupRow(Table):
    """``source`` is ``local`` or the name of the identity provider that the group came from."""

    id = IdField(primary_key=True)
    name = peewee.CharField(max_length=255, unique=True)
    source = peewee.CharField(max_length=64)
    created_at = TimeField()

    class Meta:
        table_name = "user_groups"


class GroupMemberRow(Table):
    """A membership by who says so: a provider takes only its own away again."""

    group_id = IdField()
    user_id = IdField(index=True)
    source = peewee.CharField(max_length=64)

    class Meta:
        table_name = "group_members"
        primary_key = peewee.CompositeKey("group_id", "user_id", "source")


class DeviceLoginRow(Table):
    """A program that waits for a person to let it in. ``status``: pending, approved, denied or used."""

    id = IdField(primary_key=True)
    secret_hash = peewee.CharField(max_length=64)
    user_code = peewee.CharField(max_length=16, unique=True)
    client = peewee.CharField(max_length=64, default="")
    address = peewee.CharField(max_length=64, default="")
    status = peewee.CharField(max_length=16)
    user_id = IdField(null=True)
    created_at = TimeField()
    expires_at = TimeField(index=True)
    polled_at = TimeField(null=True)

    class Meta:
        table_name = "device_logins"


class SignedOutMessageRow(Table):
    """A sign-out that a provider posted: each is taken once."""

    digest = peewee.CharField(max_length=64, primary_key=True)
    expires_at = TimeField(index=True)

    class Meta:
        table_name = "signed_out_messages"
