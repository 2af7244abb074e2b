"""Ready-made validators. Any callable that raises :class:`ValueError` is one (``ipaddress.ip_address`` …)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any


def one_of(*allowed: Any) -> Callable[[Any], None]:
    """The value is one of these."""

    def check(value: Any) -> None:
        if value not in allowed:
            choices = ", ".join(repr(item) if isinstance(item, str) else str(item) for item in allowed)
            raise ValueError(f"must be one of {choices}; it is {value!r}")

    return check


def matches(pattern: str, message: str = "") -> Callable[[Any], None]:
    """The whole value matches the regular expression. ``message`` says so in words: "must be a slug"."""
    compiled = re.compile(pattern)

    def check(value: Any) -> None:
        if not compiled.fullmatch(value):
            raise ValueError(message or f"must match {pattern}; it is {value!r}")

    return check


def between(low: float | None = None, high: float | None = None) -> Callable[[Any], None]:
    """A number from ``low`` to ``high``, both included; ``None`` is no bound."""

    def check(value: Any) -> None:
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"must be {_range(low, high)}; it is {value}")

    return check


def length(low: int = 0, high: int | None = None) -> Callable[[Any], None]:
    """A string, list, set or map of ``low`` to ``high`` characters or elements."""

    def check(value: Any) -> None:
        if len(value) < low or (high is not None and len(value) > high):
            unit = "characters" if isinstance(value, str) else "elements"
            raise ValueError(f"must have {_range(low, high)} {unit}; it has {len(value)}")

    return check


def non_empty(value: Any) -> None:
    """Neither blank nor an empty collection. Used as it stands: ``validators=[non_empty]``."""
    if not (value.strip() if isinstance(value, str) else value):
        raise ValueError("must not be empty")


def each(*validators: Callable[[Any], object]) -> Callable[[Iterable[Any]], None]:
    """Every element of a list or set, or every value of a map, passes these."""

    def check(values: Iterable[Any]) -> None:
        for value in values.values() if isinstance(values, dict) else values:
            for validator in validators:
                validator(value)

    return check


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low}" if high is None else f"at most {high}"
    return f"{low}" if low == high else f"between {low} and {high}"
