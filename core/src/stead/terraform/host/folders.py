"""What the host platform keeps on disk.

::

    DATA_DIR/workspaces/KEY/labels.json     what it is and whose
                            process.json    its first process
                            process.log     what that one printed
                            home/           where it lives, if it brought no home of its own
    DATA_DIR/homes/NAME/                    a home that outlives its workspace's stops
    DATA_DIR/homes/NAME.json                whose it is
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stead.api.errors import ProviderFailure
from stead.terraform.host.processes import Identity

_REMOVED = ".removed-"


@dataclass(frozen=True)
class Account:
    """The user that workspaces run as; ``None`` in its place means the provisioner's own."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


class WorkspaceFolder:
    """The folder of one workspace."""

    def __init__(self, root: Path, key: str) -> None:
        self.key = key
        self.path = root / "workspaces" / key
        self.record = self.path / "process.json"
        self.log = self.path / "process.log"
        self.home = self.path / "home"

    def make(self, labels: Mapping[str, str], account: Account | None) -> None:
        make_folder(self.path.parent.parent, 0o711)
        make_folder(self.path.parent, 0o711)
        make_folder(self.path, 0o711)
        write_json(self.path / "labels.json", labels)
        make_home(self.home, account)

    @property
    def exists(self) -> bool:
        return self.path.is_dir()

    @property
    def labels(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in read_json(self.path / "labels.json").items()}

    @property
    def first(self) -> Identity | None:
        """The first process, where one was started."""
        content = read_json(self.record)
        try:
            return Identity(int(content["pid"]), int(content["started"]), str(content["boot"]))
        except (KeyError, ValueError):
            return None

    def remove(self) -> None:
        remove_folder(self.path)


class HomeFolder:
    """A home that persists."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.path = root / "homes" / name
        self._owner = root / "homes" / f"{name}.json"

    def make(self, labels: Mapping[str, str], account: Account | None) -> None:
        make_folder(self.path.parent.parent, 0o711)
        make_folder(self.path.parent, 0o711)
        write_json(self._owner, labels)
        make_home(self.path, account)

    @property
    def exists(self) -> bool:
        return self.path.is_dir()

    @property
    def labels(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in read_json(self._owner).items()}

    def remove(self) -> None:
        remove_folder(self.path)
        self._owner.unlink(missing_ok=True)


def workspaces(root: Path) -> Iterator[WorkspaceFolder]:
    for path in _folders(root / "workspaces"):
        yield WorkspaceFolder(root, path.name)


def homes(root: Path) -> Iterator[HomeFolder]:
    for path in _folders(root / "homes"):
        yield HomeFolder(root, path.name)


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def make_folder(path: Path, mode: int) -> None:
    """A folder with exactly this mode. Others may pass through it where the mode says so, not list it."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
        if path.stat().st_uid == os.geteuid():
            path.chmod(mode)
    except OSError as error:
        raise ProviderFailure(f"Could not make the folder {path}: {error.strerror}.") from error


def make_home(path: Path, account: Account | None) -> None:
    make_folder(path, 0o700)
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def remove_folder(path: Path) -> None:
    """Remove a folder with all in it; missing is success. Nobody sees it half removed under its own name.

    What an earlier removal left because it was interrupted goes as well.
    """
    away = path.with_name(f"{_REMOVED}{secrets.token_hex(8)}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(away)
        _erase(away)
    for left in path.parent.glob(f"{_REMOVED}*"):
        with contextlib.suppress(OSError):
            _erase(left)


def _erase(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except PermissionError:  # tools such as Go write-protect their caches
        _allow_removal(path)
        shutil.rmtree(path)


def _allow_removal(path: Path) -> None:
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            inner = Path(folder, name)
            if not inner.is_symlink():
                inner.chmod(0o700)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    part.write_text(json.dumps(dict(content)))
    part.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where the file is missing or broken."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
