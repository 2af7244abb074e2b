"""The base of all tables, and field types that mean the same on SQLite and PostgreSQL.

The tables are bound to whichever database the running thread has opened (:func:`using`): several
deployments may live in one process, as they do in tests, and no query can go to the wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

import peewee

_current: ContextVar[peewee.Database | None] = ContextVar("stead_database", default=None)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _CurrentDatabase(peewee.DatabaseProxy):
    """A peewee proxy that stands for the database of the running context."""

    def __init__(self) -> None:
        object.__setattr__(self, "_callbacks", [])

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def obj(self) -> peewee.Database | None:
        return _current.get()


@contextmanager
def using(database: peewee.Database) -> Iterator[None]:
    """Within this block the tables belong to ``database``."""
    token = _current.set(database)
    try:
        yield
    finally:
        _current.reset(token)


class Table(peewee.Model):
    """Base of all tables."""

    class Meta:
        database = _CurrentDatabase()
        legacy_table_names = False


class IdField(peewee.CharField):
    """A UUID as text; made by the services, so that an id is known before its row."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 36)
        super().__init__(**options)


class TimeField(peewee.BigIntegerField):
    """An aware UTC time, kept as microseconds since the epoch so that both databases compare it alike."""

    def db_value(self, value: datetime | int | None) -> int | None:
        if value is None or isinstance(value, int):
            return value
        return (value - _EPOCH) // timedelta(microseconds=1)

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class JsonField(peewee.TextField):
    """A JSON value as text."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    def python_value(self, value: str | None) -> Any:
        return None if value is None else json.loads(value)


class BytesField(peewee.Field):
    """Bytes; BLOB or BYTEA."""

    field_type = "BLOB"

    def python_value(self, value: Any) -> bytes | None:
        return None if value is None else bytes(value)
