"""``stead plugins``."""

from __future__ import annotations

from pathlib import Path

import click

from stead.cli import scaffold
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import show, table


@click.group(cls=Group)
def plugins() -> None:
    """What is installed on the server, and a beginning for a plugin of your own."""


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


@plugins.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in scaffold.Kind]),
    default=scaffold.Kind.PROVIDER.value,
    show_default=True,
    help="A Terraform provider with its platform, an identity provider, or an IDE.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write it.", show_default="stead-NAME, here")
def new_plugin(name: str, kind: str, folder: Path | None) -> None:
    """Write the folder of a plugin called NAME, which installs with pip and passes the conformance suite of its kind.

    It needs no server.
    """
    target = folder or Path(f"stead-{name}")
    files = scaffold.write(name, scaffold.Kind(kind), target)
    show(
        {"folder": str(target), "kind": kind, "files": [str(path.relative_to(target)) for path in files]},
        lambda: f"{target} is a plugin. Next: cd {target} && pip install -e '.[test]' && pytest",
    )


def _short(address: str) -> str:
    return address.removeprefix("registry.terraform.io/")
