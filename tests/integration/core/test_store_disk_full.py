"""A disk that is full: said as such, nothing is lost, and it goes on when there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.api.errors import Unavailable
from stead.config import Settings
from stead.domain.records import Actor
from stead.plugins import PluginRegistry
from stead.services import audit, authentication, deployment, users
from stead.services.core import Core, close_core, open_core
from stead.testing.small_disk import fill, small_disk

PASSWORD = "correct horse battery"
MEGABYTES = 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", MEGABYTES) as folder:
        yield folder


def create_people(core: Core, owner: Actor, count: int) -> None:
    for number in range(count):
        users.create(core, owner, f"bob{number}", f"bob{number}@example.org", PASSWORD)


def test_a_full_disk_is_told_and_loses_nothing(disk: Path) -> None:
    core = open_core(Settings(data_dir=disk / "data"), plugins=PluginRegistry())
    try:
        user = deployment.create_first_owner(core, "ada", "ada@example.org", PASSWORD, "Ada")
        owner = authentication.actor_for_user(core, user.id)
        filler = disk / "fill"
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
