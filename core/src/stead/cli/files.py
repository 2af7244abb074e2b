"""Writing files so that a reader sees the old or the new one, never a part."""

from __future__ import annotations

import os


def write_atomically(path: str, content: bytes, *, mode: int) -> None:
    """Replace ``path`` with ``content``; folders that are missing are made for this person alone."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_or_empty(path: str) -> bytes:
    """The file's bytes, or none where there is no file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
