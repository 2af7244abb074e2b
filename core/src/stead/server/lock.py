"""One server for one data folder: two would share a tunnel key, and neither would work."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stead.api.errors import Conflict


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the folder for as long as this process serves from it; the lock goes with the process.

    :raises Conflict: another server holds it.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / "server.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"Another server runs on {data_dir}.",
                field="data_dir",
                remedy="End it first, or set another data_dir.",
            ) from None
        yield
