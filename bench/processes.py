"""Memory and CPU of a process and all its descendants, from ``/proc``."""

from __future__ import annotations

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def tree(root: int) -> list[int]:
    """The process ``root`` and all that descend from it now."""
    parents: dict[int, int] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found


def cpu_seconds(root: int) -> float:
    """CPU time of the tree so far, with that of children that ended and were waited for."""
    total = 0
    for pid in tree(root):
        if fields := _stat(pid):
            total += sum(int(value) for value in fields[11:15])
    return total / TICK


def memory_mb(root: int) -> float:
    """Proportional set size of the tree: shared pages count once."""
    return sum(_pss_kb(pid) for pid in tree(root)) / 1024


def memory_by_program(root: int) -> dict[str, float]:
    """Proportional set sizes in the tree by program: the first words of its command line that tell it from others."""
    sizes: dict[str, float] = {}
    for pid in tree(root):
        words = _command(pid)
        sizes[words] = sizes.get(words, 0) + _pss_kb(pid) / 1024
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _command(pid: int) -> str:
    try:
        words = (PROC / str(pid) / "cmdline").read_text().split("\0")
    except OSError:
        return ""
    return " ".join(Path(word).name for word in words[:4] if word != "-m")


def _stat(pid: int) -> list[str] | None:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _pss_kb(pid: int) -> int:
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        return 0
    return 0
