"""How long to wait before the next attempt."""

from __future__ import annotations

import random


class Backoff:
    """Doubling with full jitter: each wait is anywhere between zero and the current bound."""

    def __init__(self, first: float = 0.2, limit: float = 4.0) -> None:
        self._first = first
        self._limit = limit
        self._attempts = 0

    def next(self) -> float:
        """Seconds to wait now; the bound doubles with each call up to the limit."""
        bound = min(self._limit, self._first * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 16)
        return random.uniform(0, bound)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        self._attempts = 0
