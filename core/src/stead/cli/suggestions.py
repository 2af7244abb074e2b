"""What the shell offers when somebody presses Tab: names that the server knows."""

from __future__ import annotations

import click

from stead.cli.failures import CliError
from stead.cli.here import client

_LIMIT = 100


def workspaces(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of one's own workspaces."""
    return _names("/workspaces", incomplete, owner="me")


def templates(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of templates."""
    return _names("/templates", incomplete)


def _names(path: str, incomplete: str, **query: str) -> list[str]:
    try:
        items = client().get(path, limit=_LIMIT, **query)["items"]
    except CliError:
        # A shell that completes a word is no place for a message.
        return []
    return [item["name"] for item in items if item["name"].startswith(incomplete)]
