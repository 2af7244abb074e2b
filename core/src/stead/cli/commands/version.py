"""``stead version``."""

from __future__ import annotations

import click

from stead import VERSION
from stead.cli.client import Client
from stead.cli.failures import CliError
from stead.cli.here import chosen_url
from stead.cli.lazy import Command
from stead.cli.output import details, show
from stead.cli.session import known_url


@click.command(cls=Command)
def version() -> None:
    """Print the versions of this command and of the server."""
    url = known_url(chosen_url())
    server = _of_server(url) if url else None
    show(
        {"version": VERSION, "server": {"url": url, "version": server} if url else None},
        lambda: details([("stead", VERSION), ("server", f"{server or 'does not answer'} ({url})" if url else "")]),
    )


def _of_server(url: str) -> str | None:
    try:
        return str(Client(url).get("/buildinfo")["version"])
    except CliError:
        return None
