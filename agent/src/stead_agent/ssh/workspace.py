"""What SSH sessions need to know of the workspace."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stead_agent.users import User

SESSION_KINDS = ("ssh", "vscode", "jetbrains", "web")
KIND_VARIABLES = ("STEAD_SESSION_TYPE", "CODER_SSH_SESSION_TYPE")
KIND_HINTS = {
    "vscode": (".vscode", "vscode-server", "cursor-server", "windsurf-server", "vscodium"),
    "jetbrains": ("jetbrains", "remote-dev", "idea-dist"),
}
MOTD_LIMIT = 64 * 1024


class Gate:
    """Closed while start scripts run that block logins."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._event.set()

    @property
    def open(self) -> bool:
        return self._event.is_set()

    def close(self) -> None:
        self._event.clear()

    def release(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


class Surroundings(Protocol):
    def environment(self) -> dict[str, str]: ...

    def directory(self) -> str: ...

    def motd_file(self) -> str: ...


@dataclass
class Workspace:
    """Shared by all sessions of the agent."""

    user: User
    surroundings: Surroundings
    sftp_command: Sequence[str]
    gate: Gate = field(default_factory=Gate)
    sessions: Counter[str] = field(default_factory=Counter)

    def environment(self) -> dict[str, str]:
        return self.surroundings.environment()

    def directory(self) -> str:
        return self.surroundings.directory()

    def message_of_the_day(self, env: Mapping[str, str]) -> str:
        """The text of the MOTD file, unless the user has asked for silence."""
        name = self.surroundings.motd_file()
        if not name or (Path(env.get("HOME", "/")) / ".hushlogin").exists():
            return ""
        try:
            with Path(name).open("rb") as file:
                text = file.read(MOTD_LIMIT).decode("utf-8", "replace")
        except OSError:
            return ""
        return text if text.endswith("\n") or not text else text + "\n"

    def session_counts(self) -> dict[str, int]:
        return {kind: self.sessions[kind] for kind in SESSION_KINDS}


def session_kind(env: Mapping[str, str], command: str | None) -> str:
    """Which kind of client a session is of: what it says, else what its command gives away."""
    for variable in KIND_VARIABLES:
        if env.get(variable, "").lower() in SESSION_KINDS:
            return env[variable].lower()
    lowered = (command or "").lower()
    for kind, hints in KIND_HINTS.items():
        if any(hint in lowered for hint in hints):
            return kind
    return "ssh"
