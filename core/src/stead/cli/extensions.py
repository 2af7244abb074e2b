"""Commands that plugins add."""

from __future__ import annotations

import click

from stead.config import load_settings
from stead.plugins import PluginRegistry


def extend(group: click.Group) -> None:
    """Let every installed plugin add its commands to ``group``; one that fails adds none."""
    settings = load_settings()
    registry = PluginRegistry(settings.plugins.sections, disabled=settings.plugins.disabled)
    registry.load()
    registry.extend_cli(group)
