"""Finds the entry points of the group ``stead.plugins`` and imports them one at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

GROUP = "stead.plugins"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """An installed plugin, before it is imported."""

    name: str
    distribution: str
    version: str
    target: str
    entry_point: EntryPoint


def installed() -> Iterator[Found]:
    """Yield every installed plugin, by name. Nothing is imported."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        dist = entry.dist
        yield Found(
            name=entry.name,
            distribution=dist.name if dist else "",
            version=dist.version if dist else "",
            target=entry.value,
            entry_point=entry,
        )


def load(found: Found) -> object:
    """Import one plugin.

    :raises Exception: whatever the import raised; a plugin that calls ``sys.exit`` while it is imported
        does not end Stead, so ``SystemExit`` becomes ``ImportError``.
    """
    try:
        return found.entry_point.load()
    except SystemExit as error:
        raise ImportError(f"it called sys.exit({error.code!r}) while it was imported") from error
