"""Acme's API. As it stands a machine is a file in a folder: make these calls of your platform."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stead.api.errors import PermissionMissing, PlatformUnreachable, ProviderFailure, ResourceConflict
from stead_acme.settings import AcmeSettings

Machine = dict[str, Any]


class Cloud:
    """One login. Everything that the platform refuses is raised as a :class:`ProviderFailure`."""

    def __init__(self, settings: AcmeSettings) -> None:
        self._folder = settings.folder

    def check(self) -> None:
        if not self._folder.is_dir():
            raise PlatformUnreachable(
                f"There is no folder {self._folder}.", remedy="Make it, or set plugins.acme.folder."
            )

    def create(self, name: str, machine: Machine) -> None:
        """Make a machine; one that was made under the same journal key already is the same one."""
        found = self.find(name)
        if found is None or found["labels"].get("stead.key") == machine["labels"]["stead.key"]:
            self._write(name, machine)
        else:
            raise ResourceConflict(f"There is a machine {name} already.", field="name", remedy="Choose another name.")

    def update(self, name: str, changes: Machine) -> None:
        found = self.find(name)
        if found is None:
            raise ProviderFailure(f"The machine {name} is gone.")
        self._write(name, {**found, **changes})

    def find(self, name: str) -> Machine | None:
        try:
            found: Machine = json.loads(self._path(name).read_text())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise translate(error, f"The machine {name} could not be read") from error
        return found

    def delete(self, name: str) -> None:
        """That it is missing is success."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise translate(error, f"The machine {name} could not be deleted") from error

    def all(self) -> Iterator[tuple[str, Machine]]:
        for path in sorted(self._folder.glob("*.json")):
            found = self.find(path.stem)
            if found is not None:
                yield path.stem, found

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, name: str, machine: Machine) -> None:
        try:
            self._path(name).write_text(json.dumps(machine))
        except OSError as error:
            raise translate(error, f"The machine {name} could not be written") from error


def translate(error: OSError, doing: str) -> ProviderFailure:
    """The failure of ours that one of the platform's means: one branch for each that people can do something about."""
    if isinstance(error, PermissionError):
        return PermissionMissing(f"{doing}: {error.strerror}.", remedy="Give Stead's account the right to write there.")
    return ProviderFailure(f"{doing}: {error.strerror}.")
