"""What dead provisioners left on this machine: their jobs, and the states in their work directories.

Each provisioner holds the lock of a file while it lives, and each of its jobs that of another.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from stead.protocol import folders
from stead.protocol.locks import take_lock
from stead.services import jobs, work
from stead.services.core import Core

log = logging.getLogger(__name__)


def harvest_all(core: Core) -> None:
    """Keep the states of all leftover folders on this machine, and remove the folders."""
    work_dir = core.settings.data_dir / "work"
    for folder in work_dir.glob("*/"):
        path = folders.lock_of(work_dir, folder.name)
        lock = take_lock(path)
        if lock is None:
            continue
        try:
            _harvest(core, folder)
        finally:
            path.unlink(missing_ok=True)
            lock.close()


def _harvest(core: Core, folder: Path) -> None:
    if not folder.exists():
        return
    state = folders.left_state(folder)
    if state is not None and work.harvest(core, folder.name, state):
        log.info("Kept the state that a dead run of job %s had written.", folder.name)
    folders.remove(folder)


def presence_file(core: Core, provisioner_id: str) -> Path:
    return core.settings.data_dir / "run" / "provisioners" / f"{provisioner_id}.lock"


def take_presence(core: Core, provisioner_id: str) -> IO[str]:
    """The locked file of a provisioner that is about to live; whoever has it open keeps the lock."""
    lock = take_lock(presence_file(core, provisioner_id))
    if lock is None:
        raise RuntimeError(f"a provisioner {provisioner_id} runs already")
    return lock


@contextlib.contextmanager
def alive(core: Core, provisioner_id: str) -> Iterator[None]:
    """While in this block, others on this machine see that the provisioner lives."""
    lock = take_presence(core, provisioner_id)
    try:
        yield
    finally:
        presence_file(core, provisioner_id).unlink(missing_ok=True)
        lock.close()


def reap_dead(core: Core) -> int:
    """Free the jobs of provisioners that died on this machine, without waiting for their leases.

    What their work directories hold is kept before the jobs can be taken up again.
    """
    freed = 0
    for provisioner_id in jobs.provisioners(core):
        path = presence_file(core, provisioner_id)
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
