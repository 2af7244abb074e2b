"""Durations as Go writes them and templates give them in ``timeouts``: ``1h30m``, ``90s``."""

from __future__ import annotations

import re

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def seconds(text: str) -> float:
    """The duration in seconds; :class:`ValueError` where it is none."""
    if not text or PART.sub("", text):
        raise ValueError(f"must be a duration such as 90s, 10m or 1h30m; it is {text!r}")
    return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))


def is_duration(value: str) -> None:
    """A validator."""
    seconds(value)
