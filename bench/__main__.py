"""``python3 bench NAME [--json]``: run one benchmark and print its figures.

Started with any Python, it goes on with the one in ``.venv``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV_PYTHON = ROOT / ".venv/bin/python"


def main() -> int:
    if Path(sys.prefix) != ROOT / ".venv":
        if not VENV_PYTHON.exists():
            print("bench: run ./run --check or ./test once first; they make .venv.", file=sys.stderr)
            return 2
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), str(ROOT / "bench"), *sys.argv[1:]])
    sys.path.insert(0, str(ROOT / "bench"))
    os.environ.setdefault("STEAD_AGENT_BUNDLE_DIR", str(ROOT / ".cache/agent-bundle"))
    from runner import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
