"""``stead plugins``."""

from __future__ import annotations

import click

from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import show, table


@click.group(cls=Group)
def plugins() -> None:
    """What is installed on the server."""


@plugins.command("list")
def list_plugins() -> None:
    """List the server's plugins with their state, and what each brings."""
    found = client().get("/plugins")["items"]
    rows = (
        [
            plugin["name"],
            plugin["version"],
            plugin["status"],
            ", ".join([*plugin["platforms"], *(_short(address) for address in plugin["providers"])]),
            plugin["error"],
        ]
        for plugin in found
    )
    show(
        found,
        lambda: table(["name", "version", "status", "brings", "error"], rows, "No plugin is installed."),
    )


def _short(address: str) -> str:
    return address.removeprefix("registry.terraform.io/")
