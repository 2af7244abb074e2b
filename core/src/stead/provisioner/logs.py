"""Log lines of a running job: collected, and handed in in batches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from stead.api.errors import LeaseLost, SteadError
from stead.protocol.messages import LONGEST_LINE, Line
from stead.provisioner.held import HeldJob

log = logging.getLogger(__name__)

FLUSH_EVERY = 0.1  # seconds; what a reader of the log may be behind
MOST_LINES = 100_000  # of one job; what comes later is dropped, with a note
BATCH_LINES = 1000
BATCH_CHARACTERS = 256 * 1024


class JobLog:
    """Collects lines from any thread; a thread of its own hands them in. Use it as a context manager."""

    def __init__(self, job: HeldJob) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._lines: list[Line] = []
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
        now = datetime.now(UTC)
        with self._lock:
            for part in text.splitlines() or [""]:
                self._count += 1
                if self._count < MOST_LINES:
                    self._lines.append(_line(now, level, stage, part))
                elif self._count == MOST_LINES:
                    self._lines.append(_line(now, "warn", stage, "The log is full; what follows is not kept."))
        self._news.set()

    def enter(self, stage: str) -> None:
        """The job has reached a stage: told at once, after the lines of the one before."""
        if not stage or stage == self._stage:
            return
        self._stage = stage
        self.flush()
        try:
            self._job.stage(stage)
        except LeaseLost:
            log.info("The lease of job %s is lost.", self._job.id)

    def flush(self) -> None:
        """Hand in what was collected."""
        with self._writing:
            with self._lock:
                lines, self._lines = self._lines, []
            for batch in _batches(lines):
                self._write(batch)

    def _write(self, lines: list[Line]) -> None:
        try:
            self._job.log(lines)
        except LeaseLost:
            log.info("The lease of job %s is lost; its log ends.", self._job.id)
        except SteadError as error:
            log.warning("%d log lines of job %s are lost: %s", len(lines), self._job.id, error)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._news.wait()
            self._news.clear()
            self.flush()
            self._closed.wait(FLUSH_EVERY)
        self.flush()


def _line(at: datetime, level: str, stage: str, text: str) -> Line:
    # Half a pair of surrogates cannot be written; nobody can read it either.
    readable = text[:LONGEST_LINE].encode(errors="replace").decode()
    return Line(at, level[:8], stage[:64], readable)


def _batches(lines: list[Line]) -> Iterator[list[Line]]:
    """The lines in pieces that fit into a message each."""
    batch: list[Line] = []
    length = 0
    for line in lines:
        if batch and (len(batch) == BATCH_LINES or length + len(line.text) > BATCH_CHARACTERS):
            yield batch
            batch, length = [], 0
        batch.append(line)
        length += len(line.text)
    if batch:
        yield batch
