"""How many questions one provider may be asked at a time, so that a hanging one cannot take all threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stead.api.errors import Unavailable

PATIENCE = 2.0  # seconds: a question that takes longer means that the provider is slow
LONGEST_WAIT = 15.0
LOOK_EVERY = 0.1


class Gate:
    """Lets ``limit`` questions through at once. Others wait, as long as the provider answers quickly.

    :param title: of the provider, for the message.
    """

    def __init__(self, title: str, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._limit = limit
        self._clock = clock
        self._changed = threading.Condition()
        self._running: dict[object, float] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    @contextmanager
    def question(self) -> Iterator[None]:
        """
        :raises Unavailable: too many wait for a provider that is slow.
        """
        ticket = object()
        with self._changed:
            self._wait_for_a_place()
            self._running[ticket] = self._clock()
        try:
            yield
        finally:
            with self._changed:
                del self._running[ticket]
                self._changed.notify()

    def _wait_for_a_place(self) -> None:
        until = self._clock() + LONGEST_WAIT
        while len(self._running) >= self._limit:
            now = self._clock()
            if now >= until or now - min(self._running.values()) > PATIENCE:
                raise Unavailable(
                    f"{self._title} answers slowly, and others are waiting for it.", remedy="Try again in a minute."
                )
            self._changed.wait(LOOK_EVERY)
