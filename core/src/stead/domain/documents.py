"""Records and errors as JSON, the same at every door; :mod:`stead.domain.records` says what that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from stead.api.errors import (
    BuildFailure,
    Conflict,
    Forbidden,
    InvalidInput,
    LeaseLost,
    NotAuthenticated,
    NotFound,
    PluginFailure,
    ProviderFailure,
    RateLimited,
    SteadError,
    TemplateInvalid,
    TooLarge,
    Unavailable,
)

STATUS: dict[type[SteadError], int] = {
    InvalidInput: 400,
    TemplateInvalid: 400,
    NotAuthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    LeaseLost: 409,
    TooLarge: 413,
    RateLimited: 429,
    SteadError: 500,
    PluginFailure: 502,
    ProviderFailure: 502,
    BuildFailure: 502,
    Unavailable: 503,
}


def status_of(error: SteadError) -> int:
    """The HTTP status for an error: that of its class, or of the nearest class above it."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error_document(error: SteadError) -> dict[str, Any]:
    """The JSON form of an error."""
    return {
        "error": {
            "reason": error.reason,
            "message": error.message,
            "field": error.field,
            "remedy": error.remedy,
        }
    }


def to_json(value: Any) -> Any:
    """The JSON form of a record, or of anything made of records.

    :raises TypeError: the value has no JSON form; a record must not hold such a thing.
    """
    if value is None or isinstance(value, (bool, int, float)) or type(value) is str:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_json(getattr(value, name)) for name in _field_names(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (UUID, PurePath, str)):
        return str(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__qualname__} has no JSON form")


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: ``2026-01-31T12:00:00.000Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))
