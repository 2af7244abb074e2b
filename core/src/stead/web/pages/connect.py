"""The ways into a workspace: what to type, and which links open an editor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stead.api.launchers import OWN_SSH, Destination, LauncherSpec
from stead.domain.records import Agent, Workspace

__all__ = ["OWN_SSH", "Way", "command", "foremost", "host_alias", "launched", "opens_elsewhere", "ways_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Way:
    """A way in. ``href`` opens it, ``text`` is to copy; ``family`` is the heading that it stands under."""

    title: str
    text: str = ""
    href: str = ""
    family: str = ""


def host_alias(workspace: Workspace, viewer_id: str, agent: Agent | None = None) -> str:
    """The host that ``stead config-ssh`` gives the workspace: ``dev.stead``, ``dev.ada.stead``, ``gpu.dev.ada.stead``.

    :param agent: where the workspace has several, the one that is meant.
    """
    if agent is not None:
        return f"{agent.name}.{workspace.name}.{workspace.owner}.stead"
    return f"{workspace.name}.stead" if workspace.owner_id == viewer_id else f"{workspace.name}.{workspace.owner}.stead"


def command(workspace: Workspace, viewer_id: str, agent: Agent | None = None) -> str:
    """The one command that opens a shell."""
    if agent is not None:
        return f"stead ssh {host_alias(workspace, viewer_id, agent)}"
    own = workspace.owner_id == viewer_id
    return f"stead ssh {workspace.name if own else f'{workspace.owner}/{workspace.name}'}"


def launched(
    launchers: Iterable[LauncherSpec], workspace: Workspace, viewer_id: str, agent: Agent, *, several: bool
) -> dict[str, list[Way]]:
    """The ways that launchers make, by their family."""
    host = host_alias(workspace, viewer_id, agent if several else None)
    to = Destination(host, workspace.owner, agent.directory or "/", workspace.name, agent.name)
    families: dict[str, list[Way]] = {}
    for way in ways_of(launchers, to):
        families.setdefault(way.family, []).append(way)
    return families


def foremost(launchers: Iterable[LauncherSpec], workspace: Workspace, viewer_id: str) -> Way | None:
    """The first link of all, for where there is room for one."""
    to = Destination(host_alias(workspace, viewer_id), workspace.owner, "/", workspace.name, "")
    ways = (way for launcher in launchers for way in ways_of([launcher], to))
    return next((way for way in ways if way.href), None)


def ways_of(launchers: Iterable[LauncherSpec], destination: Destination) -> list[Way]:
    """The ways to one place. A launcher that fails, or whose link would run in our own page, is left out."""
    return [way for launcher in launchers for way in _launched(launcher, destination)]


def _launched(launcher: LauncherSpec, destination: Destination) -> Iterator[Way]:
    try:
        made = launcher.link(destination)
    except Exception as error:  # noqa: BLE001 - boundary: a plugin call
        log.warning("The launcher %s failed: %s", launcher.name, type(error).__name__)
        return
    if made is None:
        return
    if isinstance(made, str) and launcher.text and made.isprintable():
        yield Way(launcher.title, text=made, family=OWN_SSH)
    elif isinstance(made, str) and not launcher.text and opens_elsewhere(made):
        yield Way(launcher.title, href=made, family=launcher.family)
    else:
        kind = "text" if launcher.text else "link to another program"
        log.warning("The launcher %s made what is no %s.", launcher.name, kind)


def opens_elsewhere(url: str) -> bool:
    """Whether an app's address may stand in a link: one that runs or shows something in our own page may not.

    Browsers skip blanks and control characters in front of and inside a scheme, so they do not count here either.
    """
    scheme = "".join(character for character in url.partition(":")[0] if character.isprintable()).strip().lower()
    return ":" in url and scheme not in {"javascript", "data", "vbscript", "blob", "file", "about"}
