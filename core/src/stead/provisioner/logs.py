"""Log lines of a running job: collected, and written in batches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from stead.api.errors import LeaseLost, SteadError
from stead.services import jobs
from stead.services.core import Core
from stead.services.jobs import Claim
from stead.store.jobs import NewLine

log = logging.getLogger(__name__)

FLUSH_EVERY = 0.1  # seconds; what a reader of the log may be behind
MOST_LINES = 100_000  # of one job; what comes later is dropped, with a note


class JobLog:
    """Collects lines from any thread; a thread of its own writes them. Use it as a context manager."""

    def __init__(self, core: Core, claim: Claim) -> None:
        self._core = core
        self._claim = claim
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._lines: list[NewLine] = []
        self._count = 0
        self._news = threading.Event()
        self._closed = threading.Event()
        self._stage = ""
        self._thread = threading.Thread(target=self._run, name="stead-joblog", daemon=True)

    def __enter__(self) -> JobLog:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closed.set()
        self._news.set()
        self._thread.join(timeout=30)

    def __call__(self, level: str, stage: str, text: str, fields: Mapping[str, Any]) -> None:
        """The engine's ``log``."""
        del fields
        self.enter(stage)
        self.say(level, stage, text)

    def say(self, level: str, stage: str, text: str) -> None:
        """Add lines; text with several lines becomes several."""
        now = self._core.clock.now()
        with self._lock:
            for part in text.splitlines() or [""]:
                self._count += 1
                if self._count < MOST_LINES:
                    self._lines.append(NewLine(now, level, stage, part))
                elif self._count == MOST_LINES:
                    self._lines.append(NewLine(now, "warn", stage, "The log is full; what follows is not kept."))
        self._news.set()

    def enter(self, stage: str) -> None:
        """The job has reached a stage: told at once, after the lines of the one before."""
        if not stage or stage == self._stage:
            return
        self._stage = stage
        self.flush()
        try:
            jobs.stage(self._core, self._claim, stage)
        except LeaseLost:
            log.info("The lease of job %s is lost.", self._claim.job.id)

    def flush(self) -> None:
        """Write what was collected."""
        with self._writing:
            with self._lock:
                lines, self._lines = self._lines, []
            if lines:
                self._write(lines)

    def _write(self, lines: list[NewLine]) -> None:
        try:
            jobs.append_logs(self._core, self._claim, lines)
        except LeaseLost:
            log.info("The lease of job %s is lost; its log ends.", self._claim.job.id)
        except SteadError as error:
            log.warning("%d log lines of job %s are lost: %s", len(lines), self._claim.job.id, error)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._news.wait()
            self._news.clear()
            self.flush()
            self._closed.wait(FLUSH_EVERY)
        self.flush()
