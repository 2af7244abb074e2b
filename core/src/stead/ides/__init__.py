"""The launchers that ship with Stead, registered through the same hook as anyone's."""

from __future__ import annotations

from stead.api.launchers import LauncherSpec
from stead.ides.jetbrains import jetbrains
from stead.ides.ssh import ssh
from stead.ides.vscode import vscode


def builtin_launchers() -> list[LauncherSpec]:
    """In the order in which pages show them; the first is the one that they offer foremost."""
    return [*vscode(), *jetbrains(), *ssh()]
