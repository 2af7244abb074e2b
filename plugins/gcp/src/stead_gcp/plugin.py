"""What this plugin brings. Importing it imports no SDK."""

from __future__ import annotations

from pathlib import Path

from stead.api import InstanceIdentity, Platform, PlatformSpec, ProviderSpec, Replays, StarterTemplate, hookimpl
from stead.api.provider import Provider
from stead_gcp.settings import GcpSettings

TEMPLATES = Path(__file__).parent / "templates"
ICON = "/icon/gcp.svg"


def _provider(settings: GcpSettings) -> Provider:
    from stead_gcp.provider import Google

    return Google(settings=settings)


def _platform(settings: GcpSettings) -> Platform:
    from stead_gcp.platform import GcpPlatform

    return GcpPlatform(settings)


def _identity(settings: GcpSettings, replays: Replays) -> InstanceIdentity:
    from stead_gcp.identity import GoogleIdentity, HttpKeys

    return GoogleIdentity(HttpKeys(settings.identity_keys, settings.timeout), replays)


STARTERS = (
    StarterTemplate(
        name="gcp",
        title="Google Cloud machine",
        description="A virtual machine whose disk stays when the workspace stops.",
        path=TEMPLATES / "gcp",
        icon=ICON,
    ),
    StarterTemplate(
        name="gcp-workbench",
        title="Google Cloud machine with choices",
        description="Zones, machine types and images from live data, a home disk, presets and what it costs.",
        path=TEMPLATES / "gcp-workbench",
        icon=ICON,
    ),
)


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return [ProviderSpec("hashicorp/google", "Google Cloud", factory=_provider, settings=GcpSettings)]


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return [
        PlatformSpec(
            name="gcp",
            title="Google Cloud",
            factory=_platform,
            templates=STARTERS,
            settings=GcpSettings,
            icon=ICON,
            identity=_identity,
        )
    ]
