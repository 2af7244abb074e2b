"""A job's work directory while what a dead run left in it is being looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.config import Settings
from stead.provisioner import workdirs
from stead.services.core import Core, close_core, open_core

JOB = "0b7e8a52-0000-4000-8000-000000000000"


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    made = open_core(Settings(data_dir=tmp_path))
    yield made
    close_core(made)


def test_a_job_waits_while_its_leftover_is_harvested(core: Core, tmp_path: Path) -> None:
    lock = workdirs.take_lock(tmp_path / "work" / f"{JOB}.lock")
    assert lock is not None
    threading.Timer(0.5, lock.close).start()
    with workdirs.workdir(core, JOB) as folder:
        assert folder.is_dir()


def test_a_job_that_really_runs_elsewhere_is_refused(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workdirs, "LOCK_SECONDS", 0.2)
    lock = workdirs.take_lock(tmp_path / "work" / f"{JOB}.lock")
    assert lock is not None
    with lock, pytest.raises(RuntimeError, match="another process"), workdirs.workdir(core, JOB):
        pytest.fail("two run the same job")
