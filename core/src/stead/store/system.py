"""Queries on the deployment's own values and its SSH authorities."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from stead.models import AuthorityRow, MetaRow


def value(name: str) -> str | None:
    row = MetaRow.select(MetaRow.value).where(MetaRow.name == name).tuples().first()
    return row[0] if row else None


def value_or_insert(name: str, fallback: str) -> str:
    """The stored value; ``fallback`` is stored if there is none, unless another server was first."""
    MetaRow.insert(name=name, value=fallback).on_conflict_ignore().execute()
    return value(name) or fallback


@dataclass(frozen=True)
class Authority:
    """An SSH certificate authority; ``sealed`` is its private key as the keyring sealed it."""

    id: str
    kind: str
    public_key: str
    sealed: bytes = field(repr=False)


def authority(kind: str) -> Authority | None:
    row = AuthorityRow.get_or_none(AuthorityRow.kind == kind)
    return Authority(row.id, row.kind, row.public_key, row.private_key) if row else None


def insert_authority(new: Authority, at: datetime) -> None:
    """Store an authority, unless there is one of that kind already."""
    AuthorityRow.insert(
        id=new.id, kind=new.kind, public_key=new.public_key, private_key=new.sealed, created_at=at
    ).on_conflict_ignore().execute()
