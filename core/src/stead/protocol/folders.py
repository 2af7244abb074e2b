"""Where the work directories of jobs are, and what is in them. One belongs to whoever holds the lock of its file."""

from __future__ import annotations

import shutil
from pathlib import Path

from stead.terraform.sources import Workdir


def folder_of(work_dir: Path, job_id: str) -> Path:
    return work_dir / job_id


def lock_of(work_dir: Path, job_id: str) -> Path:
    return work_dir / f"{job_id}.lock"


def run_of(folder: Path) -> Path:
    """Where Terraform runs within a job's folder."""
    return folder / "run"


def left_state(folder: Path) -> bytes | None:
    """Terraform's state as a run has left it."""
    return Workdir(run_of(folder)).state


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
