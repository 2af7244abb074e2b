"""``stead config``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from stead.cli.lazy import Group
from stead.cli.output import show, table
from stead.config import load_settings
from stead.config.show import show_settings


@click.group(cls=Group)
def config() -> None:
    """Settings of the server."""


@config.command("show")
@click.option("--config", "path", type=click.Path(path_type=Path), help="Settings file to read.")
@click.option("--changed", is_flag=True, help="Leave out what has its default.")
def show_config(path: Path | None, changed: bool) -> None:
    """Print every setting on this machine and where its value comes from; secrets are hidden."""
    shown = [row for row in show_settings(load_settings(config=path)) if not changed or row.source != "default"]
    rows = ([row.name, row.value, row.source] for row in shown)
    show(
        [asdict(row) for row in shown],
        lambda: table(["setting", "value", "source"], rows, "Every setting has its default."),
    )
