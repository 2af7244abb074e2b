"""Work directories of running jobs, and what dead provisioners left in theirs.

A directory belongs to whoever holds the lock of its file; the kernel lets go of a lock when its
process dies, however it dies. So a directory whose lock is free is a leftover.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from stead.services import jobs, work
from stead.services.core import Core
from stead.terraform.sources import Workdir

log = logging.getLogger(__name__)

LOCK_SECONDS = 10.0  # that a job waits for who is looking at what its last run left
LOCK_POLL = 0.05


def take_lock(path: Path) -> IO[str] | None:
    """The open, locked file; ``None`` where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    if path.exists() and path.stat().st_ino == _inode(file):
        return file
    file.close()  # it was removed by its last holder just now
    return take_lock(path)


def _await_lock(path: Path) -> IO[str] | None:
    """As :func:`take_lock`, but a holder that only looks at leftovers is waited for."""
    deadline = time.monotonic() + LOCK_SECONDS
    while (lock := take_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(LOCK_POLL)
    return lock


def _inode(file: IO[str]) -> int:
    return Path(f"/proc/self/fd/{file.fileno()}").stat().st_ino


def _folder(core: Core) -> Path:
    return core.settings.data_dir / "work"


@contextlib.contextmanager
def workdir(core: Core, job_id: str) -> Iterator[Path]:
    """A private folder for one run of a job. What an earlier run left is kept first.

    It is removed when the block ends well; otherwise it stays to be harvested, for it may hold a state
    that could not be stored.
    """
    folder = _folder(core) / job_id
    lock = _await_lock(_folder(core) / f"{job_id}.lock")
    if lock is None:
        raise RuntimeError(f"another process on this machine still runs the job {job_id}")
    try:
        _clear(core, job_id)
        folder.mkdir(mode=0o700)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        (_folder(core) / f"{job_id}.lock").unlink(missing_ok=True)
        lock.close()


def _clear(core: Core, job_id: str) -> None:
    """Keep the state of a leftover folder, then remove the folder."""
    folder = _folder(core) / job_id
    if not folder.exists():
        return
    state = Workdir(folder / "run").state
    if state is not None and work.harvest(core, job_id, state):
        log.info("Kept the state that a dead run of job %s had written.", job_id)
    shutil.rmtree(folder, ignore_errors=True)


def harvest_all(core: Core) -> None:
    """Keep the states of all leftover folders on this machine."""
    for folder in _folder(core).glob("*/"):
        lock = take_lock(_folder(core) / f"{folder.name}.lock")
        if lock is None:
            continue
        try:
            _clear(core, folder.name)
        finally:
            (_folder(core) / f"{folder.name}.lock").unlink(missing_ok=True)
            lock.close()


def _presence_file(core: Core, provisioner_id: str) -> Path:
    return core.settings.data_dir / "run" / "provisioners" / f"{provisioner_id}.lock"


@contextlib.contextmanager
def alive(core: Core, provisioner_id: str) -> Iterator[None]:
    """While in this block, others on this machine see that the provisioner lives."""
    path = _presence_file(core, provisioner_id)
    lock = take_lock(path)
    if lock is None:
        raise RuntimeError(f"a provisioner {provisioner_id} runs already")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.close()


def reap_dead(core: Core) -> int:
    """Free the jobs of provisioners that died on this machine, without waiting for their leases.

    What their work directories hold is kept before the jobs can be taken up again.
    """
    freed = 0
    for provisioner_id in jobs.provisioners(core):
        path = _presence_file(core, provisioner_id)
        lock = take_lock(path) if path.exists() else None
        if lock is None:
            continue
        try:
            harvest_all(core)
            freed += jobs.reap_provisioner(core, provisioner_id)
        finally:
            path.unlink(missing_ok=True)
            lock.close()
    return freed
