"""A disk that is full: said as such, nothing is lost, and it goes on when there is room."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from stead.api.errors import Unavailable
from stead.config import Settings
from stead.domain.records import Actor
from stead.plugins import PluginRegistry
from stead.services import audit, authentication, deployment, templates, users
from stead.services.core import Core, close_core, open_core
from stead.testing.own_postgres import own_postgres
from stead.testing.small_disk import fill, small_disk

PASSWORD = "correct horse battery"
MEGABYTES = 4
POSTGRES_MEGABYTES = 24  # a new database takes 8
ARCHIVE = 400_000


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


@pytest.fixture
def crowded_postgres() -> Iterator[tuple[str, Path]]:
    """A database whose tables are on a small disk, and that disk; the server's own files are elsewhere."""
    with own_postgres() as server:
        folder = Path(server.server["socket"])
        with small_disk(folder / "small", POSTGRES_MEGABYTES) as disk:
            for path in (disk, disk / "tables"):
                path.mkdir(exist_ok=True)
                shutil.chown(path, folder.owner())
            server.execute(f"CREATE TABLESPACE small LOCATION '{disk / 'tables'}'")
            server.execute("CREATE DATABASE crowded TABLESPACE small")
            yield server.url.removesuffix("/postgres") + "/crowded", disk
            server.stop(signal.SIGQUIT)


@pytest.mark.postgres
def test_a_full_disk_of_postgresql_is_told_and_loses_nothing(
    crowded_postgres: tuple[str, Path], tmp_path: Path
) -> None:
    url, disk = crowded_postgres
    core = open_core(Settings(data_dir=tmp_path / "data", pg_connection_url=SecretStr(url)), plugins=PluginRegistry())
    try:
        user = deployment.create_first_owner(core, "ada", "ada@example.org", PASSWORD, "Ada")
        owner = authentication.actor_for_user(core, user.id)
        kept = templates.create_version(core, owner, os.urandom(ARCHIVE))
        filler = disk / "fill"
        fill(filler)
        with pytest.raises(Unavailable, match="its disk is full"):
            templates.create_version(core, owner, os.urandom(ARCHIVE), name="lost")
        assert templates.version(core, owner, kept.id).name == kept.name
        filler.unlink()
        made = templates.create_version(core, owner, os.urandom(ARCHIVE), name="lost")  # the name is free still
        assert templates.version(core, owner, made.id).name == "lost"
        assert audit.verify(core, owner).ok
    finally:
        close_core(core)
