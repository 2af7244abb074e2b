"""Runs one job from beginning to end, and says how it ended."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from stead.api.errors import BuildCanceled, BuildFailure, LeaseLost, SteadError
from stead.domain.tasks import BuildTask
from stead.protocol import folders
from stead.protocol.frames import LinkLost
from stead.provisioner.building import BuildStopped, run_build
from stead.provisioner.held import HeldJob
from stead.provisioner.importing import run_import
from stead.provisioner.logs import JobLog
from stead.provisioner.workdirs import workdir
from stead.provisioner.workshop import Workshop
from stead.terraform.errors import DiskFull, full_disk_told

log = logging.getLogger(__name__)


class JobRun:
    """A job in the hands of a thread. ``cancel`` and ``stop`` may be called from any other."""

    def __init__(self, shop: Workshop, job: HeldJob) -> None:
        self._shop = shop
        self.job = job
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
            log.warning("The job %s is run by another provisioner now.", self.job.id)
        except LinkLost:
            log.warning("The job %s ends where it is, for the control plane is gone.", self.job.id)
        except Exception:  # boundary: a job; it is freed when its lease runs out
            log.exception("The job %s could not be ended properly.", self.job.id)

    def _run(self) -> None:
        try:
            with full_disk_told(self._shop.work_dir), workdir(self._shop.work_dir, self.job) as folder:
                self._run_in(folder)
        except DiskFull as error:  # there was no room for the folder itself
            self._end(error, None)

    def _run_in(self, folder: Path) -> None:
        try:
            with JobLog(self.job) as lines:
                self._work(folder, lines)
        except (LeaseLost, LinkLost):
            raise
        except BuildStopped as stopped:
            self._end(stopped.error, stopped.state)
        except SteadError as error:
            self._end(error, folders.left_state(folder) if isinstance(error, DiskFull) else None)
        except Exception as error:  # boundary: a job
            log.exception("The job %s failed for a reason that is a bug.", self.job.id)
            text = f"Stead failed ({type(error).__name__})."
            self._end(BuildFailure(text, remedy="See the server's log."), folders.left_state(folder))

    def _work(self, folder: Path, lines: JobLog) -> None:
        task = self.job.load()
        if isinstance(task, BuildTask):
            with full_disk_told(folder):
                run_build(self._shop, self.job, task, folder, lines, self._ended)
            return
        try:
            with full_disk_told(folder):
                run_import(self._shop, self.job, task, folder, lines, self._ended)
        except SteadError as error:
            lines.say("error", "finishing", str(error))
            raise

    def _end(self, error: SteadError, state: bytes | None) -> None:
        if self._lost:
            return
        if self._stopping and isinstance(error, BuildCanceled):
            self.job.release(state)
        else:
            self.job.fail(error, state)
