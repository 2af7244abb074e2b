"""Puts ``stead`` and ``coder`` on the ``PATH`` of the workspace."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from stead_agent.bundle import own_command
from stead_agent.log import log

NAMES = ("stead", "coder")
MARK = "# Part of the Stead agent"


def install_commands(run_dir: Path, home: str, *, owns_container: bool) -> Path:
    """Write the commands into the run directory and return their folder.

    Login shells of some systems set ``PATH`` anew. So in a container of its own the agent also links the commands from
    a folder that is on it then, unless something of that name is there.
    """
    folder = run_dir / "bin"
    folder.mkdir(mode=0o755, exist_ok=True)
    line = " ".join(shlex.quote(word) for word in own_command("cli"))
    for name in NAMES:
        path = folder / name
        path.write_text(f'#!/bin/sh\n{MARK}\nexec {line} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
        if owns_container:
            _link(name, path, (Path("/usr/local/bin"), Path(home) / ".local" / "bin"))
    return folder


def _link(name: str, target: Path, folders: Sequence[Path]) -> None:
    for folder in folders:
        link = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if link.is_symlink() and "stead-agent-" in str(link.readlink()):
                link.unlink()
            if not link.exists():
                link.symlink_to(target)
        except OSError as error:
            log.debug("%s was not linked: %s", link, error.strerror)
            continue
        return
