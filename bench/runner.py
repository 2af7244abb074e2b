"""Finds a benchmark by name, runs it, prints its figures."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from figures import Figures

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def run(argv: list[str]) -> int:
    """Run the benchmark that ``argv`` names; 0 where every goal is met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python3 bench", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    figures: Figures = importlib.import_module(f"bench_{options.name}").measure(_say)
    if options.json:
        print(json.dumps({"bench": options.name, "figures": figures.as_json()}))
    else:
        print(figures.as_table(options.name))
    return 0 if figures.ok else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
