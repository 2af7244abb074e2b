"""A job's work directory while what a dead run left in it is being looked at."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from stead.domain.states import JobKind
from stead.protocol.locks import take_lock
from stead.protocol.messages import Grant
from stead.provisioner import workdirs
from stead.provisioner.held import HeldJob
from stead.provisioner.link import Link

JOB = "0b7e8a52-0000-4000-8000-000000000000"


@pytest.fixture
def job() -> HeldJob:
    return HeldJob(Link(socket.socketpair()[0]), Grant("lease", JOB, JobKind.BUILD))


def test_a_job_waits_while_its_leftover_is_harvested(job: HeldJob, tmp_path: Path) -> None:
    lock = take_lock(tmp_path / f"{JOB}.lock")
    assert lock is not None
    threading.Timer(0.5, lock.close).start()
    with workdirs.workdir(tmp_path, job) as folder:
        assert folder.is_dir()


def test_a_job_that_really_runs_elsewhere_is_refused(
    job: HeldJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workdirs, "LOCK_SECONDS", 0.2)
    lock = take_lock(tmp_path / f"{JOB}.lock")
    assert lock is not None
    with lock, pytest.raises(RuntimeError, match="another process"), workdirs.workdir(tmp_path, job):
        pytest.fail("two run the same job")
