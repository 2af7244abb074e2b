"""Runs one claimed job from beginning to end, and says how it ended."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from stead.api.errors import BuildCanceled, BuildFailure, LeaseLost, SteadError
from stead.provisioner.building import BuildStopped, run_build
from stead.provisioner.importing import run_import
from stead.provisioner.logs import JobLog
from stead.provisioner.workdirs import workdir
from stead.services import jobs, work
from stead.services.core import Core
from stead.services.jobs import Claim
from stead.services.work import BuildWork
from stead.terraform.engine import Engine
from stead.terraform.sources import Workdir

log = logging.getLogger(__name__)


class JobRun:
    """A claimed job in the hands of a thread. ``cancel`` and ``stop`` may be called from any other."""

    def __init__(self, core: Core, engine: Engine, claim: Claim) -> None:
        self._core = core
        self._engine = engine
        self.claim = claim
        self._ended = threading.Event()  # tells Terraform to come to an end
        self._stopping = False
        self._lost = False

    def cancel(self) -> None:
        """A person asked for it: the job ends as canceled."""
        self._ended.set()

    def stop(self) -> None:
        """The provisioner shuts down: the job is given back."""
        self._stopping = True
        self._ended.set()

    def lose(self) -> None:
        """The lease is lost: end without a word."""
        self._lost = True
        self._ended.set()

    def run(self) -> None:
        """Never raises: this is the boundary of a job."""
        try:
            self._run()
        except LeaseLost:
            log.warning("The job %s is run by another provisioner now.", self.claim.job.id)
        except Exception:  # boundary: a job; it is freed when its lease runs out
            log.exception("The job %s could not be ended properly.", self.claim.job.id)

    def _run(self) -> None:
        with workdir(self._core, self.claim.job.id) as folder:
            try:
                with JobLog(self._core, self.claim) as lines:
                    self._work(folder, lines)
            except LeaseLost:
                raise
            except BuildStopped as stopped:
                self._end(stopped.error, stopped.state)
            except SteadError as error:
                self._end(error, None)
            except Exception as error:  # boundary: a job
                log.exception("The job %s failed for a reason that is a bug.", self.claim.job.id)
                text = f"Stead failed ({type(error).__name__})."
                self._end(BuildFailure(text, remedy="See the server's log."), Workdir(folder / "run").state)

    def _work(self, folder: Path, lines: JobLog) -> None:
        loaded = work.load(self._core, self.claim)
        if isinstance(loaded, BuildWork):
            run_build(self._core, self._engine, loaded, folder, lines, self._ended)
            return
        try:
            run_import(self._core, self._engine, loaded, folder, lines, self._ended)
        except SteadError as error:
            lines.say("error", "finishing", str(error))
            raise

    def _end(self, error: SteadError, state: bytes | None) -> None:
        if self._lost:
            return
        if self._stopping and isinstance(error, BuildCanceled):
            jobs.release(self._core, self.claim, state)
        else:
            jobs.fail(self._core, self.claim, error, state)
