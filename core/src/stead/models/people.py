"""Users, their roles and keys, sessions, tokens, failed logins."""

from __future__ import annotations

import peewee

from stead.models.base import BytesField, IdField, Table, TimeField


class UserRow(Table):
    id = IdField(primary_key=True)
    username = peewee.CharField(max_length=64, unique=True)
    email = peewee.CharField(max_length=254, unique=True)
    name = peewee.TextField(default="")
    password_hash = peewee.TextField(null=True)
    status = peewee.CharField(max_length=16)
    login_type = peewee.CharField(max_length=16)
    provider = peewee.CharField(max_length=64, default="")
    created_at = TimeField()
    last_seen_at = TimeField(null=True)

    class Meta:
        table_name = "users"


class UserRoleRow(Table):
    user_id = IdField()
    role = peewee.CharField(max_length=32)

    class Meta:
        table_name = "user_roles"
        primary_key = peewee.CompositeKey("user_id", "role")


class UserKeyRow(Table):
    """The SSH key pair that templates read as the owner's; the private half is sealed."""

    user_id = IdField(primary_key=True)
    public_key = peewee.TextField()
    private_key = BytesField()
    created_at = TimeField()

    class Meta:
        table_name = "user_keys"


class SessionRow(Table):
    id = IdField(primary_key=True)
    user_id = IdField(index=True)
    secret_hash = peewee.CharField(max_length=64)
    address = peewee.CharField(max_length=64, default="")
    user_agent = peewee.TextField(default="")
    created_at = TimeField()
    last_used_at = TimeField()
    expires_at = TimeField(index=True)
    provider = peewee.CharField(max_length=64, default="")
    provider_session = peewee.TextField(null=True)

    class Meta:
        table_name = "sessions"


class TokenRow(Table):
    id = IdField(primary_key=True)
    user_id = IdField(index=True)
    name = peewee.CharField(max_length=64)
    scope = peewee.CharField(max_length=32)
    secret_hash = peewee.CharField(max_length=64)
    created_at = TimeField()
    expires_at = TimeField(null=True, index=True)
    last_used_at = TimeField(null=True)

    class Meta:
        table_name = "tokens"
        indexes = ((("user_id", "name"), True),)


class LoginFailureRow(Table):
    id = peewee.BigAutoField()
    account = peewee.CharField(max_length=254)
    address = peewee.CharField(max_length=64)
    at = TimeField(index=True)

    class Meta:
        table_name = "login_failures"
        indexes = ((("account", "at"), False), (("address", "at"), False))
