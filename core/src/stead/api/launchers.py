"""Ways to open a workspace in an IDE: an agent's folder becomes a link.

::

    @hookimpl
    def stead_ide_launchers():
        return [LauncherSpec("lapce", "Lapce", lambda to: f"lapce://ssh/{to.quoted_host}{to.quoted_folder}")]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

#: The family of what people use with their own SSH: it stands apart from the menu of editors.
OWN_SSH = "Your own SSH"


@dataclass(frozen=True)
class Destination:
    """Where an IDE is to go. There is no credential in it, and none may stand in a link.

    :param host: that ``stead config-ssh`` gives the workspace, or one of its agents (``dev.stead``).
    :param user: whose workspace it is.
    :param folder: absolute; the agent's directory.
    """

    host: str
    user: str
    folder: str
    workspace: str
    agent: str

    @property
    def quoted_host(self) -> str:
        return quote(self.host, safe="")

    @property
    def quoted_user(self) -> str:
        return quote(self.user, safe="")

    @property
    def quoted_folder(self) -> str:
        """The folder as the path of a link; its slashes stay."""
        return quote(self.folder)


@dataclass(frozen=True)
class LauncherSpec:
    """An IDE to open a workspace in.

    :param name: slug, unique among all plugins.
    :param title: what people see.
    :param link: makes the link, of a scheme that the IDE registers on people's machines; it asks nobody and is quick.
        Where it raises, or returns ``None``, the launcher is not shown for that workspace.
    :param family: heading under which the page shows it with its like. :data:`OWN_SSH` is the place of what belongs
        to people's own SSH.
    :param text: what ``link`` makes is no link but a text to copy: a command, or what one types into a program. It
        belongs to :data:`OWN_SSH`.
    """

    name: str
    title: str
    link: Callable[[Destination], str | None]
    family: str = ""
    text: bool = False
