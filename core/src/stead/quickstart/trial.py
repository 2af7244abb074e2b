"""Chooses the platform to try: Docker where an engine answers, otherwise ``host``."""

from __future__ import annotations

from dataclasses import dataclass

from stead.api import PlatformSpec, Trial
from stead.api.errors import NotFound, SteadError, Unavailable
from stead.plugins import PluginRegistry
from stead.plugins import builtin as builtin_plugin

PREFERRED = ("docker", "host")


@dataclass(frozen=True)
class Choice:
    """A platform that can be tried here, and why those before it cannot."""

    platform: str
    trial: Trial
    passed_over: tuple[str, ...] = ()


def choose(wanted: str | None = None) -> Choice:
    """Ask the platforms, the preferred first, which can be tried on this machine.

    :param wanted: only this platform.
    :raises NotFound: ``wanted`` is not installed.
    :raises Unavailable: none can be tried; the message has each reason.
    """
    registry = PluginRegistry(builtins={"builtin": builtin_plugin})
    registry.load()
    platforms = {spec.name: (spec, settings) for spec, settings in registry.platforms()}
    if wanted is not None and wanted not in platforms:
        known = ", ".join(sorted(platforms))
        raise NotFound(f"No platform {wanted!r} is installed. Installed: {known}.", field="platform")
    reasons: list[str] = []
    for name in [wanted] if wanted else [name for name in PREFERRED if name in platforms]:
        try:
            return Choice(name, _trial(*platforms[name]), tuple(reasons))
        except SteadError as error:
            reasons.append(f"{name}: {error}")
    raise Unavailable("No platform can be tried on this machine. " + " ".join(reasons))


def _trial(spec: PlatformSpec, settings: object) -> Trial:
    return spec.factory(settings).trial()
