"""Writes the folder of a new plugin from a skeleton, which is a plugin called ``acme`` that works as it stands."""

from __future__ import annotations

import re
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path

from stead.cli.failures import CliError
from stead.plugins.discovery import GROUP

SKELETONS = Path(__file__).parent / "skeletons"
MODEL = "acme"
NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
LEFT_OUT = frozenset({"__pycache__"})


class Kind(StrEnum):
    """What a new plugin brings."""

    PROVIDER = "provider"
    IDENTITY = "identity"
    IDE = "ide"
    POLICY = "policy"


def write(name: str, kind: Kind, folder: Path) -> list[Path]:
    """Write the plugin ``stead-NAME`` to ``folder``; returns its files.

    :raises CliError: the name does not fit or is taken, or there is something in the folder already.
    """
    if not NAME.fullmatch(name):
        raise CliError(
            f"{name!r} cannot be the name of a plugin.",
            reason="invalid_input",
            remedy="Use 2 to 31 lower-case letters and digits, the first a letter: Terraform's types begin with it.",
        )
    if entry_points(group=GROUP, name=name):
        raise CliError(
            f"A plugin {name} is installed here already.", reason="conflict", remedy="Choose a name of its own."
        )
    if folder.exists() and any(folder.iterdir()):
        raise CliError(
            f"There is something in {folder} already.", reason="conflict", remedy="Name another place with --folder."
        )
    return [_copy(source, kind, name, folder) for source in _sources(kind)]


def _sources(kind: Kind) -> list[Path]:
    found = sorted((SKELETONS / kind).rglob("*"))
    return [path for path in found if path.is_file() and not LEFT_OUT & set(path.parts)]


def _copy(source: Path, kind: Kind, name: str, folder: Path) -> Path:
    target = folder / renamed(str(source.relative_to(SKELETONS / kind)), name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")
    return target


def renamed(text: str, name: str) -> str:
    return text.replace(MODEL, name).replace(MODEL.title(), name.title())
