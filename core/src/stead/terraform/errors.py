"""Failures of a Terraform run that carry more than a message.

::

    BuildFailure
    ├── DiskFull        the disk of a work directory is
    ├── PlanFailed      a provider refused to plan, or to read a data source
    └── ApplyFailed     not everything could be created, changed or removed: has the state as far as it got
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from stead.api.errors import BuildFailure, SteadError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_ROOM_TEXTS = ("no space left on device", "disk quota exceeded")
_CROWDED = 256 * 1024  # bytes: with less than that left, what did not find room may have been smaller than its last try


class DiskFull(BuildFailure):
    """There is no room for what Terraform writes; ``folder`` is on the disk that is full."""

    reason = "disk_full"

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"The disk of Stead's work directory {folder} is full.",
            remedy="Make room on it, or move data_dir to a larger disk; then try again.",
        )


def means_full_disk(error: OSError) -> bool:
    return error.errno in _NO_ROOM


@contextlib.contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """
    :raises DiskFull: what is written below ``folder`` in this block finds no room.
    """
    try:
        yield
    except OSError as error:
        if means_full_disk(error):
            raise DiskFull(folder) from error
        raise


def says_full_disk(text: str) -> bool:
    """Whether a program says so; of which disk is another question."""
    lower = text.lower()
    return any(words in lower for words in _NO_ROOM_TEXTS)


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has hardly any room left, for bytes or for files."""
    numbers = os.statvfs(folder)
    return numbers.f_bavail * numbers.f_frsize < _CROWDED or (numbers.f_files > 0 and numbers.f_favail == 0)


class PlanFailed(BuildFailure):
    reason = "plan_failed"


class ApplyFailed(BuildFailure):
    """``state`` is Terraform's state after the failure, to be kept like that of a success."""

    reason = "apply_failed"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        state: bytes | None = None,
    ) -> None:
        super().__init__(message, field=field, remedy=remedy)
        self.state = state


def caused_by(failure: BuildFailure, cause: SteadError | None) -> BuildFailure:
    """The failure with a provider's own as its cause, whose word becomes the reason where it says more."""
    if cause is not None:
        failure.__cause__ = cause
        failure.reason = cause.reason  # type: ignore[misc]  # of this one error, not of its class
    return failure
