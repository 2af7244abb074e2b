"""The private folder of a running job."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from stead.protocol import folders
from stead.protocol.locks import await_lock
from stead.provisioner.held import HeldJob

log = logging.getLogger(__name__)

LOCK_SECONDS = 10.0  # that a job waits for who is looking at what its last run left


@contextlib.contextmanager
def workdir(work_dir: Path, job: HeldJob) -> Iterator[Path]:
    """A private folder for one run of a job. What an earlier run left is kept first.

    It is removed when the block ends well; otherwise it stays to be harvested, for it may hold a state
    that could not be stored.
    """
    folder, path = folders.folder_of(work_dir, job.id), folders.lock_of(work_dir, job.id)
    lock = await_lock(path, LOCK_SECONDS)
    if lock is None:
        raise RuntimeError(f"another process on this machine still runs the job {job.id}")
    try:
        _clear(folder, job)
        folder.mkdir(mode=0o700)
        yield folder
        folders.remove(folder)
    finally:
        path.unlink(missing_ok=True)
        lock.close()


def _clear(folder: Path, job: HeldJob) -> None:
    """Hand in the state of a leftover folder, then remove the folder."""
    if not folder.exists():
        return
    state = folders.left_state(folder)
    if state is not None:
        job.harvest(state)
    folders.remove(folder)
