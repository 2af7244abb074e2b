"""A file system of its own, of a few megabytes, that a test can fill."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from stead.testing.left_out import leave_out

_BLOCK = 4096


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int, files: int = 0) -> Iterator[Path]:
    """Mount one at ``folder``, which must not exist. Without root the test is left out.

    :param files: most files and folders that it takes, itself included; 0 for no such bound.
    """
    folder.mkdir(parents=True)
    options = f"size={megabytes}m,nr_inodes={files},mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        leave_out("a file system of its own", done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


def fill(path: Path, leave: int = 0) -> None:
    """Write the file ``path`` until its file system is full but for ``leave`` bytes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with contextlib.suppress(OSError):
            while _free(path) > leave:
                os.write(descriptor, bytes(_BLOCK))
    finally:
        os.close(descriptor)


def _free(path: Path) -> int:
    numbers = os.statvfs(path)
    return numbers.f_bavail * numbers.f_frsize
