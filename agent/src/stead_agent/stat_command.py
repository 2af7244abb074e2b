"""``stead stat cpu|mem|disk``: one line about this workspace, or with ``--host`` about its machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from stead_agent.resources import SAMPLE_SECONDS, Resources

USAGE = "usage: stat cpu|mem|disk [--host] [--path PATH] [--prefix Ki|Mi|Gi|Ti] [--output text|json]"
UNITS = (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("", 1))


class UsageError(Exception):
    pass


def main(arguments: Sequence[str]) -> int:
    """Print the figure that was asked for; return the exit code."""
    try:
        kind, options = parse(arguments)
        print(report(kind, options))
    except UsageError as error:
        print(f"{error}\n{USAGE}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"stat {arguments[0]}: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Without argparse, whose import alone takes longer than the answer."""
    kind, options = "", {"--path": "/", "--output": "text", "--prefix": "", "--host": ""}
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        name = {"-o": "--output"}.get(name, name)
        if name == "--host":
            options[name] = "" if value == "false" else "yes"
        elif name in options:
            if not equals and not words:
                raise UsageError(f"{name} wants a value")
            options[name] = value if equals else words.pop(0)
        elif word in {"cpu", "mem", "disk"} and not kind:
            kind = word
        else:
            raise UsageError(f"unknown argument {word!r}")
    if not kind:
        raise UsageError("say what: cpu, mem or disk")
    return kind, options


def report(kind: str, options: dict[str, str]) -> str:
    if kind == "cpu":
        used: float
        total: float | None
        used, total, unit = _cpu(bool(options["--host"]))
    elif kind == "mem":
        used, total = Resources(host=bool(options["--host"])).memory()
        unit = "B"
    else:
        used, total = Resources.disk(options["--path"])
        unit = "B"
    if options["--output"] == "json":
        figure = f'"used": {used:g}' if unit == "cores" else f'"used": {used}'
        return f'{{{figure}, "total": {total:g}, "unit": "{unit}"}}' if unit == "cores" else (
            f'{{{figure}, "total": {total if total is not None else "null"}, "unit": "{unit}"}}'
        )  # fmt: skip
    return text(used, total, unit, options["--prefix"])


def text(used: float, total: float | None, unit: str, prefix: str = "") -> str:
    """``0.5/2 cores (25%)``, ``1.2/4 GiB (30%)``."""
    if unit == "cores":
        shown_used, shown_total, name = used, total, unit
    else:
        name, size = _unit(total if total is not None else used, prefix)
        shown_used, shown_total, name = (
            used / size,
            (total / size if total is not None else None),
            f"{name}{unit}",
        )
    if not shown_total:
        return f"{_number(shown_used)} {name}"
    return f"{_number(shown_used)}/{_number(shown_total)} {name} ({used / (total or 1) * 100:.0f}%)"


def _cpu(host: bool) -> tuple[float, float, str]:
    resources = Resources(host=host)
    first = resources.cpu()
    time.sleep(SAMPLE_SECONDS)
    second = resources.cpu()
    return round(second.cores_since(first), 3), second.total_cores, "cores"


def _unit(value: float, wanted: str) -> tuple[str, int]:
    for name, size in UNITS:
        if (wanted and name == wanted) or (not wanted and value >= size):
            return name, size
    return "", 1


def _number(value: float) -> str:
    if value < 10:
        return f"{value:.2g}" if value < 1 else f"{value:.1f}".removesuffix(".0")
    return f"{value:.1f}".removesuffix(".0") if value < 100 else f"{value:.0f}"
