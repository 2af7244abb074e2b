"""The ways into a workspace: what to type, and which links open an editor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from stead.api.launchers import Destination, LauncherSpec
from stead.domain.records import Agent, Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Way:
    """A way in. ``href`` opens it, ``text`` is to copy."""

    title: str
    text: str = ""
    href: str = ""


# Editors of the VS Code family: the scheme of their links.
_EDITORS = (
    ("vscode", "VS Code"),
    ("vscode-insiders", "VS Code Insiders"),
    ("cursor", "Cursor"),
    ("windsurf", "Windsurf"),
    ("codium", "VSCodium"),
    ("positron", "Positron"),
    ("antigravity", "Antigravity"),
    ("kiro", "Kiro"),
)
_JETBRAINS = (
    ("IU", "IntelliJ IDEA"),
    ("PY", "PyCharm"),
    ("GO", "GoLand"),
    ("WS", "WebStorm"),
    ("CL", "CLion"),
    ("RR", "RustRover"),
    ("RD", "Rider"),
    ("PS", "PhpStorm"),
    ("RM", "RubyMine"),
)


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


def editors(workspace: Workspace, viewer_id: str, agent: Agent, *, several: bool) -> list[Way]:
    """Links that open the workspace's folder in an editor of the VS Code family."""
    host = quote(host_alias(workspace, viewer_id, agent if several else None))
    path = quote(agent.directory or "/")
    return [
        Way(title, href=f"{scheme}://vscode-remote/ssh-remote+{host}{path}?windowId=_blank")
        for scheme, title in _EDITORS
    ]


def jetbrains(workspace: Workspace, viewer_id: str, agent: Agent, *, several: bool) -> list[Way]:
    """Links that open the workspace's folder in a JetBrains IDE, through the Toolbox app."""
    host = quote(host_alias(workspace, viewer_id, agent if several else None), safe="")
    project = quote(agent.directory or "/", safe="")
    start = f"jetbrains://gateway/ssh/environment?h={host}&u={quote(workspace.owner, safe='')}&p=22&launchIde=true"
    return [Way(title, href=f"{start}&ideHint={code}&projectHint={project}") for code, title in _JETBRAINS]


def others(workspace: Workspace, viewer_id: str, agent: Agent, *, several: bool) -> list[Way]:
    """Other programs that read the SSH configuration."""
    host = host_alias(workspace, viewer_id, agent if several else None)
    path = agent.directory or "/"
    return [
        Way("OpenSSH", text=f"ssh {host}"),
        Way("Copy files", text=f"scp FILE {host}:"),
        Way("Emacs TRAMP", text=f"/ssh:{host}:{path}"),
        Way("Zed", href=f"zed://ssh/{quote(host)}{quote(path)}"),
    ]


def launched(
    launchers: Iterable[LauncherSpec], workspace: Workspace, viewer_id: str, agent: Agent, *, several: bool
) -> list[Way]:
    """Links of the launchers that plugins bring."""
    destination = Destination(
        host=host_alias(workspace, viewer_id, agent if several else None),
        user=workspace.owner,
        folder=agent.directory or "/",
        workspace=workspace.name,
        agent=agent.name,
    )
    return ways_of(launchers, destination)


def ways_of(launchers: Iterable[LauncherSpec], destination: Destination) -> list[Way]:
    """Links to one place. A launcher that fails, or whose link would run in our own page, is left out."""
    return [way for launcher in launchers for way in _launched(launcher, destination)]


def _launched(launcher: LauncherSpec, destination: Destination) -> Iterator[Way]:
    try:
        link = launcher.link(destination)
    except Exception as error:  # noqa: BLE001 - boundary: a plugin call
        log.warning("The launcher %s failed: %s", launcher.name, type(error).__name__)
        return
    if link is None:
        return
    if isinstance(link, str) and opens_elsewhere(link):
        yield Way(launcher.title, href=link)
    else:
        log.warning("The launcher %s made what is no link to another program.", launcher.name)


def opens_elsewhere(url: str) -> bool:
    """Whether an app's address may stand in a link: one that runs or shows something in our own page may not.

    Browsers skip blanks and control characters in front of and inside a scheme, so they do not count here either.
    """
    scheme = "".join(character for character in url.partition(":")[0] if character.isprintable()).strip().lower()
    return ":" in url and scheme not in {"javascript", "data", "vbscript", "blob", "file", "about"}
