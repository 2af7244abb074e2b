"""``stead plugins``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stead.cli import scaffold
from stead.cli.failures import CliError, Exit
from stead.cli.here import client
from stead.cli.lazy import Group
from stead.cli.output import show, table

if TYPE_CHECKING:
    from stead.cli.credentials import Checked

MOST_NAMED = 3  # launchers of one plugin; of more only the number is told


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
            ", ".join(_brings(plugin)),
            plugin["error"],
        ]
        for plugin in found
    )
    show(
        found,
        lambda: table(["name", "version", "status", "brings", "error"], rows, "No plugin is installed."),
    )


@plugins.command("check")
@click.argument("name", required=False)
@click.option("--config", "path", type=click.Path(path_type=Path), help="Settings file to read.")
def check_plugins(name: str | None, path: Path | None) -> None:
    """Ask the platforms of this machine's settings whether their credentials do, or only the platform NAME.

    Names each permission that is missing. Run it on the machine of the server. It ends with 1 where some do not do.
    """
    # Loads every plugin, which the other commands have no need of.
    from stead.cli.credentials import check

    found = check(name, path)
    if name is not None and not found:
        raise CliError(
            f"No plugin with the platform {name} is installed here.", reason="not_found", remedy="pip install it first."
        )
    show([asdict(item) for item in found], lambda: "\n".join(map(_told, found)) or "No platform is installed here.")
    if not all(item.ok for item in found):
        raise click.exceptions.Exit(Exit.FAILED)


def _told(item: Checked) -> str:
    head = f"{item.platform}: {'good' if item.ok else 'NOT good'}. {item.summary}"
    return "\n".join([head, *(f"  {line}" for line in item.remedies)])


@plugins.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in scaffold.Kind]),
    default=scaffold.Kind.PROVIDER.value,
    show_default=True,
    help="A Terraform provider with its platform, an identity provider, an IDE, or a policy.",
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


def _brings(plugin: dict[str, Any]) -> Iterator[str]:
    yield from plugin["platforms"]
    yield from (_short(address) for address in plugin["providers"])
    yield from (f"sign-in with {kind}" for kind in plugin["identity"])
    yield from (f"policy {name}" for name in plugin["policies"])
    launchers = plugin["launchers"]
    if len(launchers) > MOST_NAMED:
        yield f"{len(launchers)} launchers"
    else:
        yield from (f"launcher {name}" for name in launchers)


def _short(address: str) -> str:
    return address.removeprefix("registry.terraform.io/")
