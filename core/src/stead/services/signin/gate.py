"""How much may go on at a time: questions to one provider, and tries of one account."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stead.api.errors import RateLimited, Unavailable

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


class Turns:
    """Lets those who try the same thing at once do no more than one after the other could."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def turn(self, name: str, fits: Callable[[int], bool]) -> Iterator[None]:
        """
        :param fits: whether one more may try, while so many others do; may refuse by an exception.
        :raises RateLimited: the others took too long.
        """
        self._take(name, fits)
        try:
            yield
        finally:
            self._give_back(name)

    def _take(self, name: str, fits: Callable[[int], bool]) -> None:
        until = self._clock() + LONGEST_WAIT
        while not self._try(name, fits):
            with self._changed:
                if self._clock() >= until:
                    raise RateLimited("Too many sign in with this name just now.", remedy="Try again in a minute.")
                self._changed.wait(LOOK_EVERY)

    def _try(self, name: str, fits: Callable[[int], bool]) -> bool:
        with self._changed:
            others = self._under_way[name]
            self._under_way[name] += 1
        fitting = False
        try:
            fitting = fits(others)
        finally:
            if not fitting:
                self._give_back(name)
        return fitting

    def _give_back(self, name: str) -> None:
        with self._changed:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]
            self._changed.notify_all()
