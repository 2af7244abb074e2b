"""Puts a template, its state and its variables into a work directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stead.api.errors import InvalidInput
from stead.terraform import archive, hcl
from stead.terraform.inspection import Variable, declares_backend, variables_of

STATE = "terraform.tfstate"
LOCK = ".terraform.lock.hcl"
_VARIABLES = "stead.tfvars.json"
_BACKEND = "stead_backend_override.tf.json"
_PLAIN = {"string", "number", "bool", "any"}


class Workdir:
    """The folder of one run: ``template/`` and what Terraform needs beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = folder / "template"
        self.variables_file = folder / _VARIABLES
        self.plan_file = folder / "plan"

    def fill(
        self,
        source: Path | bytes,
        state: bytes | None,
        variables: Mapping[str, Any],
        lock: bytes | None,
    ) -> list[str]:
        """Write everything. Returns the names of variables that the template does not declare."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.template.exists():
            shutil.rmtree(self.template)
        archive.unpack(source, self.template)
        self._clean()
        if declares_backend(self.template):
            self._write(_BACKEND, json.dumps({"terraform": {"backend": {"local": {}}}}).encode())
        if state:
            self._write(STATE, state)
        if lock:
            self._write(LOCK, lock)
        return self._write_variables(variables)

    def _clean(self) -> None:
        """What an author's own run of Terraform left behind must not be taken for the workspace's."""
        shutil.rmtree(self.template / ".terraform", ignore_errors=True)
        for path in self.template.glob("*.tfstate*"):
            path.unlink()

    def _write(self, name: str, content: bytes) -> None:
        path = self.template / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)

    def _write_variables(self, given: Mapping[str, Any]) -> list[str]:
        declared = variables_of(self.template)
        values = {name: _value(declared[name], value) for name, value in given.items() if name in declared}
        self.variables_file.touch(mode=0o600)
        self.variables_file.write_text(json.dumps(values), encoding="utf-8")
        return sorted(set(given) - set(declared))

    @property
    def state(self) -> bytes | None:
        """Terraform's state as it stands now; after a failed write Terraform leaves it elsewhere.

        One that was torn, by a full disk or a sudden end, is none: it would take the place of one that is whole.
        """
        for name in ("errored.tfstate", STATE):
            path = self.template / name
            content = path.read_bytes() if path.is_file() else b""
            if _is_whole(content):
                return content
        return None

    @property
    def lock(self) -> bytes | None:
        path = self.template / LOCK
        return path.read_bytes() if path.is_file() else None


def _is_whole(state: bytes) -> bool:
    try:
        document = json.loads(state)
    except ValueError:
        return False
    return isinstance(document, dict) and isinstance(document.get("serial"), int)


def _value(variable: Variable, value: Any) -> Any:
    """Strings are what they are for simple types; for others they are JSON, or an expression of constants."""
    if not isinstance(value, str) or variable.type in _PLAIN:
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        pass
    try:
        return hcl.constant(value)
    except hcl.HclError:
        raise InvalidInput(
            f"The value of the template's variable {variable.name} cannot be read.",
            field=variable.name,
            remedy=f'It has the type {variable.type}: write it as JSON, such as ["a", "b"].',
        ) from None
