"""The value that a plan does not know yet."""

from __future__ import annotations

from typing import Any, Final


class UnknownType:
    """Type of :data:`Unknown`: one instance, equal only to itself, and without a truth value."""

    _instance: UnknownType | None = None

    def __new__(cls) -> UnknownType:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "Unknown"

    def __bool__(self) -> bool:
        raise TypeError("An unknown value is neither true nor false; ask is_known(value) first.")

    def __copy__(self) -> UnknownType:
        return self

    def __deepcopy__(self, memo: object) -> UnknownType:
        return self

    def __reduce__(self) -> str:
        return "Unknown"


Unknown: Final[Any] = UnknownType()


def is_known(value: object) -> bool:
    """Whether ``value`` itself is known. Elements of a known collection may still be unknown."""
    return value is not Unknown


def is_wholly_known(value: object) -> bool:
    """Whether ``value`` and everything inside it is known."""
    if isinstance(value, dict):
        return all(is_wholly_known(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return all(is_wholly_known(item) for item in value)
    fields = getattr(type(value), "__stead_fields__", None)
    if fields is not None:
        return all(is_wholly_known(getattr(value, name)) for name in fields)
    return is_known(value)
