"""Editors of the VS Code family. Each needs its Remote-SSH extension, and reads the SSH configuration."""

from __future__ import annotations

from functools import partial

from stead.api.launchers import Destination, LauncherSpec

FAMILY = "The VS Code family"

# The scheme of each editor's links, which is the launcher's name too.
EDITORS = (
    ("vscode", "VS Code"),
    ("vscode-insiders", "VS Code Insiders"),
    ("cursor", "Cursor"),
    ("windsurf", "Windsurf"),
    ("codium", "VSCodium"),
    ("positron", "Positron"),
    ("antigravity", "Antigravity"),
    ("kiro", "Kiro"),
)


def link(scheme: str, to: Destination) -> str:
    return f"{scheme}://vscode-remote/ssh-remote+{to.quoted_host}{to.quoted_folder}?windowId=_blank"


def vscode() -> list[LauncherSpec]:
    return [LauncherSpec(scheme, title, partial(link, scheme), family=FAMILY) for scheme, title in EDITORS]
