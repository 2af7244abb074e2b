"""Folders to archives and back, for templates."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import IO

from stead.cli.failures import CliError, usage_error

_LEFT_OUT = frozenset({".git", ".terraform", ".DS_Store", "__pycache__"})
_STATE = (".tfstate", ".tfstate.backup")


def pack(folder: Path, target: IO[bytes]) -> int:
    """Write a folder as tar.gz; version control, provider caches and states are left out.

    :returns: the number of files.
    :raises CliError: there is nothing to pack, or a file cannot be read.
    """
    if not folder.is_dir():
        raise usage_error(f"{folder} is not a folder.", field="--directory")
    files = sorted(_walk(folder))
    if not any(path.name.endswith((".tf", ".tf.json")) for path in files):
        raise usage_error(
            f"{folder} holds no Terraform file.",
            field="--directory",
            remedy="Name the folder of the template with --directory, or make one with stead templates init.",
        )
    try:
        with tarfile.open(fileobj=target, mode="w:gz", compresslevel=6) as archive:
            for path in files:
                archive.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=_anonymous)
    except OSError as error:
        raise CliError(f"{error.filename or folder} cannot be read: {error.strerror}.") from error
    return len(files)


def _walk(folder: Path) -> list[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        found += [Path(root) / name for name in names if name not in _LEFT_OUT and not name.endswith(_STATE)]
    return found


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same folder makes the same archive on whoever's machine."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info


def unpack(content: bytes, folder: Path, *, overwrite: bool) -> list[str]:
    """Unpack a template's archive into ``folder``; nothing is written outside of it.

    :returns: the names of the files.
    :raises CliError: a file exists already and ``overwrite`` is false, or the archive is damaged.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            taken = [member.name for member in members if (folder / member.name).exists()]
            if taken and not overwrite:
                raise CliError(
                    f"{folder / taken[0]} exists already.",
                    reason="conflict",
                    remedy="Name another folder, or say --yes to overwrite.",
                )
            folder.mkdir(parents=True, exist_ok=True)
            archive.extractall(folder, members=members, filter="data")
    except tarfile.TarError as error:
        raise CliError(f"The archive cannot be unpacked: {error}.") from error
    return [member.name for member in members]
