"""Puts ``stead`` and ``coder`` on the ``PATH`` of the workspace."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from stead_agent.bundle import own_command
from stead_agent.log import log

NAMES = ("stead", "coder")
SYSTEM_BIN = Path("/usr/local/bin")
MARK = "# Part of the Stead agent"


def install_commands(run_dir: Path) -> Path:
    """Write the commands into the run directory and return their folder.

    Login shells of some systems set ``PATH`` anew, so where the agent may, it also links them from a folder that is
    always on it, unless something of that name is there.
    """
    folder = run_dir / "bin"
    folder.mkdir(mode=0o755, exist_ok=True)
    line = " ".join(shlex.quote(word) for word in own_command("cli"))
    for name in NAMES:
        path = folder / name
        path.write_text(f'#!/bin/sh\n{MARK}\nexec {line} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
        _link(SYSTEM_BIN / name, path)
    return folder


def _link(link: Path, target: Path) -> None:
    try:
        if link.is_symlink() and "stead-agent-" in str(link.readlink()):
            link.unlink()
        if not link.exists() and not link.is_symlink() and os.access(link.parent, os.W_OK) and os.getpid() == 1:
            link.symlink_to(target)
    except OSError as error:
        log.debug("%s was not linked: %s", link, error.strerror)
