"""A disk that is full: said as such, nothing is lost, and it goes on when there is room."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.api.errors import Unavailable
from stead.config import Settings
from stead.domain.records import Actor
from stead.plugins import PluginRegistry
from stead.services import audit, authentication, deployment, users
from stead.services.core import Core, close_core, open_core
from stead.testing.left_out import leave_out

PASSWORD = "correct horse battery"
MEGABYTES = 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        leave_out("a file system of its own", done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


def fill(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with contextlib.suppress(OSError):
            while os.write(descriptor, bytes(4096)):
                pass
    finally:
        os.close(descriptor)


def create_people(core: Core, owner: Actor, count: int) -> None:
    for number in range(count):
        users.create(core, owner, f"bob{number}", f"bob{number}@example.org", PASSWORD)


def test_a_full_disk_is_told_and_loses_nothing(small_disk: Path) -> None:
    core = open_core(Settings(data_dir=small_disk / "data"), plugins=PluginRegistry())
    try:
        user = deployment.create_first_owner(core, "ada", "ada@example.org", PASSWORD, "Ada")
        owner = authentication.actor_for_user(core, user.id)
        filler = small_disk / "fill"
        fill(filler)
        with pytest.raises(Unavailable, match="its disk is full"):
            create_people(core, owner, 40)  # its own files may have room left for the first of them
        known = [one.username for one in users.list(core, owner).items]
        assert "ada" in known
        filler.unlink()
        users.create(core, owner, "after", "after@example.org", PASSWORD)
        assert {*known, "after"} == {one.username for one in users.list(core, owner).items}
        assert audit.verify(core, owner).ok
    finally:
        close_core(core)
