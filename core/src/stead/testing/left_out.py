"""One way to leave tests out: by the name of what is missing, and said again at the end of the run.

A suite that silently skips half of itself looks like one that passed. Whatever needs a part that this
machine does not have calls :func:`leave_out`; the terminal summary then lists each missing part once,
with its reason and the number of tests that it cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import pytest

PREFIX = "left out: "


def leave_out(part: str, reason: str) -> NoReturn:
    """Skip the test that asks for ``part`` ("Docker engine"), naming the reason."""
    pytest.skip(f"{PREFIX}{part}: {reason}", allow_module_level=True)


def _reasons(reports: Iterable[Any]) -> Iterator[str]:
    for report in reports:
        longrepr = getattr(report, "longrepr", None)
        text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        _, found, reason = text.partition(PREFIX)
        if found:
            yield reason


def summarize(terminal: pytest.TerminalReporter) -> None:
    """Write what was left out, most costly first. Reads reports alone, so it works with workers too."""
    counted = Counter(_reasons(terminal.stats.get("skipped", ())))
    if not counted:
        return
    terminal.section("left out", yellow=True)
    for reason, count in counted.most_common():
        terminal.line(f"{reason} ({count} test{'s' if count > 1 else ''})")
