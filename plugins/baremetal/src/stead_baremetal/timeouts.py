"""The block ``timeouts`` and the deadline that it gives."""

from __future__ import annotations

import time
from dataclasses import replace

from stead.api.provider import BlockSchema, Context, attribute, is_known
from stead.api.provider.durations import is_duration, seconds


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
