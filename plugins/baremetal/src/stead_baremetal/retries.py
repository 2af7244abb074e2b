"""Trying again, after pauses that grow and differ."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from stead.api.errors import PlatformUnreachable
from stead.api.provider import Context

T = TypeVar("T")
FIRST_PAUSE = 0.3  # seconds
LONGEST_PAUSE = 5.0


def with_retries(context: Context, call: Callable[[], T], patience: float = 5.0) -> T:
    """Call until it does not raise :class:`PlatformUnreachable`, for ``patience`` seconds and at least once."""
    until, pause = time.monotonic() + patience, FIRST_PAUSE
    while True:
        context.check()
        try:
            return call()
        except PlatformUnreachable:
            left = until - time.monotonic()
            if left <= 0 or context.remaining == 0.0:
                raise
            context.wait(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, LONGEST_PAUSE)
