"""Where the agent's own files are: in a relocatable bundle, or in a Python installation."""

from __future__ import annotations

import sys
from pathlib import Path

LAUNCHER = "stead-agent"


def bundle_root() -> Path | None:
    """The folder of the bundle that this code runs from, or ``None`` where it is installed as usual."""
    root = Path(__file__).parents[3]
    return root if (root / LAUNCHER).is_file() and (root / "bin" / "tailcat").is_file() else None


def own_command(*arguments: str) -> list[str]:
    """The command line that runs one of the agent's own commands."""
    root = bundle_root()
    if root is not None:
        return [str(root / LAUNCHER), *arguments]
    return [sys.executable, "-I", "-m", "stead_agent", *arguments]
