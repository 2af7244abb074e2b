"""What importing a plugin costs, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

SCRIPT = """
import importlib, json, sys, time
import stead.api, stead.api.provider
before = set(sys.modules)
began = time.perf_counter()
importlib.import_module(sys.argv[1])
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "modules": sorted(set(sys.modules) - before)}))
"""
TIMEOUT = 120.0


@dataclass(frozen=True)
class Weight:
    """:param modules: what the import brought beside ``stead.api``. :param seconds: of the fastest of several."""

    modules: tuple[str, ...]
    seconds: float


def weigh(module: str, *, runs: int = 3, python: str = sys.executable) -> Weight:
    """Import a module ``runs`` times, each time in a fresh interpreter that has ``stead.api`` already."""
    found = [_once(module, python) for _ in range(runs)]
    return Weight(found[0].modules, min(item.seconds for item in found))


def _once(module: str, python: str) -> Weight:
    command = [python, "-c", SCRIPT, module]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if ran.returncode:
        raise ImportError(f"{module} cannot be imported: {ran.stderr.strip().splitlines()[-1:]}")
    told = json.loads(ran.stdout)
    return Weight(tuple(told["modules"]), told["seconds"])
