"""The agent's commands. Each imports only what it needs: ``stat`` answers in milliseconds."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from stead_agent import VERSION

COMMANDS = {
    "agent": "stead_agent.run",
    "sftp-server": "stead_agent.sftp",
    "stat": "stead_agent.stat_command",
}
USAGE = """usage: {name} COMMAND

  stat cpu|mem|disk   resource usage of this workspace (--host: of its machine)
  version             the agent's version
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; without one the agent itself, unless it was called as ``stead`` or ``coder``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    person = bool(words) and words[0] == "cli"
    if person:
        words = words[1:]
    command = words[0] if words else ("help" if person else "agent")
    if command in {"version", "--version", "-v"}:
        print(f"stead-agent {VERSION}")
        return 0
    if command in COMMANDS:
        module = importlib.import_module(COMMANDS[command])
        return int(module.main(words[1:]))
    print(
        USAGE.format(name="stead" if person else "stead-agent"),
        file=sys.stdout if command == "help" else sys.stderr,
    )
    return 0 if command == "help" else 2
