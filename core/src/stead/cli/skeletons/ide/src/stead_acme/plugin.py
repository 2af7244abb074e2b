"""What this plugin brings: a link that opens a workspace's folder."""

from __future__ import annotations

from stead.api import Destination, LauncherSpec, hookimpl


def link(to: Destination) -> str:
    return f"acme://ssh/{to.quoted_host}{to.quoted_folder}"


@hookimpl
def stead_ide_launchers() -> list[LauncherSpec]:
    return [LauncherSpec("acme", "Acme", link)]
