"""Durations as Go writes them: ``10m``, ``1m30s``."""

from __future__ import annotations

import re

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def seconds(text: str) -> float:
    """How long it is; :class:`ValueError` where it is no duration."""
    if not text or PART.sub("", text):
        raise ValueError(f"must be a duration such as 30s, 5m or 1h30m; it is {text!r}")
    return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))


def is_duration(value: str) -> None:
    """A validator."""
    seconds(value)
