"""Questions to code that may never answer: each in a thread of its own, and only so many at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Exception):
    """No answer came in time. The thread that waits for it goes on, and holds its place until it ends."""


class Answer(Generic[T]):
    """What will come of a question."""

    def __init__(self) -> None:
        self._there = threading.Event()
        self._value: list[T] = []
        self._error: Exception | None = None

    def get(self, until: float) -> T:
        """What the question returned, or raised.

        :param until: of :func:`time.monotonic`.
        :raises Late: it is not there by then.
        """
        if not self._there.wait(max(0.0, until - time.monotonic())):
            raise Late
        if self._error is not None:
            raise self._error
        return self._value[0]

    def settle(self, question: Callable[[], T]) -> None:
        """Ask; in whatever thread this is called."""
        try:
            self._value.append(question())
        except Exception as error:  # noqa: BLE001 - boundary: it is raised where the answer is asked for
            self._error = error
        except BaseException as error:  # noqa: BLE001 - sys.exit in a plugin ends its own thread only
            self._error = RuntimeError(f"{type(error).__name__} was raised")
        self._there.set()


class Bounded:
    """Asks at most ``most`` questions at a time: what hangs for good cannot use up the process's threads."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._places = threading.BoundedSemaphore(most)

    def ask(self, question: Callable[[], T], until: float) -> Answer[T]:
        """Begin to ask.

        :raises Late: all places are taken until then.
        """
        if not self._places.acquire(timeout=max(0.0, until - time.monotonic())):
            raise Late
        answer: Answer[T] = Answer()
        thread = threading.Thread(target=self._run, args=(answer, question), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process has no thread left
            self._places.release()
            raise
        return answer

    def _run(self, answer: Answer[T], question: Callable[[], T]) -> None:
        try:
            answer.settle(question)
        finally:
            self._places.release()
