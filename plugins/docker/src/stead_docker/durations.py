"""Durations as Go writes them: ``1m30s``, ``500ms``."""

from __future__ import annotations

import re

UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def nanoseconds(text: str) -> int:
    """The duration as the engine counts it; :class:`ValueError` where it is none."""
    if text in ("", "0"):
        return 0
    if PART.sub("", text):
        raise ValueError(f"must be a duration such as 500ms, 30s or 1m30s; it is {text!r}")
    return sum(round(float(number) * UNITS[unit]) for number, unit in PART.findall(text))


def text_of(count: int) -> str:
    """The shortest text for so many nanoseconds."""
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        if count and count % UNITS[unit] == 0:
            return f"{count // UNITS[unit]}{unit}"
    return "0s"


def is_duration(value: str) -> None:
    """A validator."""
    nanoseconds(value)
