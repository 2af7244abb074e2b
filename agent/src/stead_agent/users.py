"""The user that the agent runs as, in images that may know no users at all."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FALLBACK_SHELLS = ("/bin/bash", "/bin/sh", "/usr/bin/sh", "/bin/ash", "/bin/busybox")
NO_SHELLS = frozenset({"nologin", "false", "true", "sync", "halt", "shutdown"})


@dataclass(frozen=True)
class User:
    name: str
    home: str
    shell: str

    def shell_command(self, command: str) -> list[str]:
        """The arguments that make the user's shell run ``command``."""
        return [*self._shell_words(), "-c", command]

    def login_shell(self) -> tuple[str, list[str]]:
        """The program and the arguments of a login shell; the leading dash is what makes it one."""
        name = os.path.basename(self.shell)  # noqa: PTH119 - a plain string in, a plain string out
        if name == "busybox":
            return self.shell, ["-sh"]
        return self.shell, [f"-{name}"]

    def _shell_words(self) -> list[str]:
        return [self.shell, "sh"] if self.shell.endswith("/busybox") else [self.shell]


def current_user(environ: Mapping[str, str] = os.environ) -> User:
    """Who the agent is: from the password file, else from the environment, else from the user number."""
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        name = environ.get("USER") or ("root" if uid == 0 else str(uid))
        home = "/root" if uid == 0 and Path("/root").is_dir() else "/"
        return User(name, _given_home(environ) or environ.get("HOME") or home, _usable_shell(environ.get("SHELL", "")))
    home = entry.pw_dir if Path(entry.pw_dir).is_dir() else environ.get("HOME") or "/"
    return User(entry.pw_name, _given_home(environ) or home, _usable_shell(entry.pw_shell or environ.get("SHELL", "")))


def _given_home(environ: Mapping[str, str]) -> str | None:
    """``HOME`` as the template set it: where its volume is mounted, whatever the image's password file says.

    One that this user cannot write is left over from whoever started the agent.
    """
    home = environ.get("HOME", "")
    usable = home.startswith("/") and home != "/" and os.path.isdir(home) and os.access(home, os.W_OK)  # noqa: PTH112
    return home if usable else None


def _usable_shell(wanted: str) -> str:
    candidates = (wanted,) if os.path.basename(wanted) not in NO_SHELLS else ()  # noqa: PTH119
    for shell in (*candidates, *FALLBACK_SHELLS):
        if shell and os.access(shell, os.X_OK):
            return shell
    return "/bin/sh"
