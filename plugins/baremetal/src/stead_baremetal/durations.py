"""Durations as Go writes them: ``1h30m``, ``90s``."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from stead.api.provider import BlockSchema, Context, attribute, is_known

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


class Timeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For claim and preparation.")
    update: str | None = attribute(optional=True, validators=[is_duration], description="For a change.")
    delete: str | None = attribute(optional=True, validators=[is_duration], description="For the release.")


def limited(context: Context, timeouts: Timeouts | None, name: str) -> Context:
    """The context with the deadline that the ``timeouts`` block gives, where it is nearer."""
    wanted = getattr(timeouts, name, None)
    if not wanted or not is_known(wanted):
        return context
    deadline = time.monotonic() + seconds(wanted)
    return replace(context, deadline=deadline if context.deadline is None else min(deadline, context.deadline))
