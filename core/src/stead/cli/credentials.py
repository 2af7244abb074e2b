"""What ``stead plugins check`` asks: whether the credentials of this machine's settings do for their platforms."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from stead.api import PlatformSpec
from stead.api.errors import SteadError
from stead.config import load_settings
from stead.plugins import PluginRegistry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checked:
    """What a platform answered.

    :param remedies: a line for each thing to do, such as each permission that is missing.
    """

    platform: str
    ok: bool
    summary: str
    remedies: tuple[str, ...] = ()


def check(wanted: str | None, config: Path | None) -> list[Checked]:
    """Ask the platforms of all installed plugins, or the ones of the plugin or platform ``wanted``."""
    settings = load_settings(config=config)
    registry = PluginRegistry(settings.plugins.sections, disabled=settings.plugins.disabled)
    registry.load()
    owners = {platform: status.name for status in registry.status() for platform in status.platforms}
    failed = [
        Checked(status.name, False, f"The plugin failed to load: {status.error}")
        for status in registry.status()
        if status.error and wanted in (None, status.name)
    ]
    found = [pair for pair in registry.platforms() if wanted in (None, pair[0].name, owners.get(pair[0].name))]
    return [*failed, *(_asked(spec, settings) for spec, settings in found)]


def _asked(spec: PlatformSpec, settings: BaseModel) -> Checked:
    try:
        report = spec.factory(settings).check_credentials()
    except SteadError as error:
        return Checked(spec.name, False, error.message, (error.remedy,) if error.remedy else ())
    except Exception as error:  # boundary: a plugin call
        log.debug("The check of %s failed.", spec.name, exc_info=True)
        return Checked(spec.name, False, f"The check failed: {type(error).__name__}. That is a mistake in the plugin.")
    return Checked(spec.name, report.ok, report.summary, tuple(report.remedies))
