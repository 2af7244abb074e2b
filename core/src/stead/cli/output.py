"""What commands print: a table or JSON for the answer on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from stead.cli.failures import CliError

JSON = "json"
TEXT = "text"

_STYLES = {
    "running": "green",
    "ready": "green",
    "succeeded": "green",
    "connected": "green",
    "loaded": "green",
    "active": "green",
    "starting": "yellow",
    "stopping": "yellow",
    "deleting": "yellow",
    "pending": "yellow",
    "canceling": "yellow",
    "connecting": "yellow",
    "failed": "red",
    "canceled": "red",
    "timeout": "red",
    "disconnected": "red",
}

_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def output_format() -> str:
    """``json`` or ``text``, as the command was asked to print."""
    context = click.get_current_context(silent=True)
    return str(context.find_root().meta.get("stead.output", TEXT)) if context else TEXT


def wants_json() -> bool:
    return output_format() == JSON


def show(value: Any, text: Callable[[], str | None]) -> None:
    """Print ``value`` as JSON, or what ``text`` makes of it for a person."""
    if wants_json():
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    rendered = text()
    if rendered:
        click.echo(rendered)


def say(message: str) -> None:
    """Tell a person something that is not the answer: on stderr, and not beside JSON."""
    if not wants_json():
        click.echo(message, err=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> str:
    """Aligned columns; ``empty`` is said where there is no row, and tells what to do first."""
    lines = [[_plain(cell) for cell in row] for row in rows]
    if not lines:
        return empty
    widths = [max(len(cell) for cell in column) for column in zip(headings, *lines, strict=True)]
    head = "  ".join(heading.upper().ljust(width) for heading, width in zip(headings, widths, strict=True))
    body = ["  ".join(_cell(cell, width) for cell, width in zip(row, widths, strict=True)) for row in lines]
    return "\n".join([click.style(head.rstrip(), bold=True), *(line.rstrip() for line in body)])


def _plain(cell: str) -> str:
    return "".join(char if char.isprintable() else " " for char in cell)


def _cell(cell: str, width: int) -> str:
    colour = _STYLES.get(cell)
    return (click.style(cell, fg=colour) if colour else cell) + " " * (width - len(cell))


def details(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, one pair a line; empty values are left out."""
    shown = [(name, _plain(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{click.style(name.ljust(width), bold=True)}  {value}" for name, value in shown)


def status(word: str) -> str:
    """A word of status in its colour."""
    return click.style(word, fg=_STYLES[word]) if word in _STYLES else word


def when(stamp: str | None, now: datetime | None = None) -> str:
    """A time as people say it: ``3m ago``."""
    if not stamp:
        return ""
    seconds = ((now or datetime.now(UTC)) - parse_time(stamp)).total_seconds()
    text = duration(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def duration(seconds: float) -> str:
    """The largest unit that fits: ``42s``, ``3m``, ``5h``, ``12d``."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{round(seconds / size)}{unit}"
    return "0s"


def parse_time(stamp: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(stamp)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost, unless ``yes``.

    :raises CliError: nobody is there to ask.
    :raises click.Abort: the answer is no.
    """
    if yes:
        return
    if not is_interactive():
        raise CliError(f"{question} Nobody is here to answer.", reason="invalid_input", remedy="Say --yes to go ahead.")
    click.confirm(question, abort=True, err=True)


def is_interactive() -> bool:
    """Whether a person sits at both ends: questions may be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not wants_json()
