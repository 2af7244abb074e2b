"""Names against patterns."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns fits; ``*`` is any text, also with slashes in it."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
