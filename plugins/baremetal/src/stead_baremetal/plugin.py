"""What this plugin brings. Importing it imports no SDK."""

from __future__ import annotations

from pathlib import Path

from stead.api import Platform, PlatformSpec, ProviderSpec, StarterTemplate, hookimpl
from stead.api.provider import Provider
from stead_baremetal.settings import BaremetalSettings

TEMPLATES = Path(__file__).parent / "templates"
ICON = "/icon/server.svg"


def _provider(settings: BaremetalSettings) -> Provider:
    from stead_baremetal.provider import Baremetal

    return Baremetal(settings=settings)


def _platform(settings: BaremetalSettings) -> Platform:
    from stead_baremetal.platform import BaremetalPlatform

    return BaremetalPlatform(settings)


STARTERS = (
    StarterTemplate(
        name="baremetal",
        title="Machine of your own",
        description="One free machine of your inventory, kept until the workspace is deleted.",
        path=TEMPLATES / "baremetal",
        icon=ICON,
    ),
    StarterTemplate(
        name="baremetal-fleet",
        title="Machine of your fleet, with choices",
        description="Machines chosen by their labels from live data, with presets, prebuilds and what they cost.",
        path=TEMPLATES / "baremetal-fleet",
        icon=ICON,
    ),
)


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return [ProviderSpec("stead/baremetal", "Bare metal", factory=_provider, settings=BaremetalSettings)]


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return [
        PlatformSpec(
            name="baremetal",
            title="Bare metal",
            factory=_platform,
            templates=STARTERS,
            settings=BaremetalSettings,
            icon=ICON,
        )
    ]
