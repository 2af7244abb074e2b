"""What this plugin brings. Importing it imports no SDK."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stead.api import Platform, PlatformSpec, ProviderSpec, StarterTemplate, hookimpl
from stead.api.provider import Provider
from stead_azure.settings import AzureSettings

if TYPE_CHECKING:
    from stead.api.identity import InstanceIdentity, Replays

TEMPLATES = Path(__file__).parent / "templates"
ICON = "/icon/azure.svg"


def _provider(settings: AzureSettings) -> Provider:
    from stead_azure.provider import Azure

    return Azure(settings=settings)


def _platform(settings: AzureSettings) -> Platform:
    from stead_azure.platform import AzurePlatform

    return AzurePlatform(settings)


def _identity(settings: AzureSettings, replays: Replays) -> InstanceIdentity:
    from stead_azure.identity import AzureIdentity

    return AzureIdentity.configured(settings, replays)


STARTERS = (
    StarterTemplate(
        name="azure-linux",
        title="Linux machine on Azure",
        description="A machine for as long as the workspace runs, with a home disk that stays.",
        path=TEMPLATES / "azure-linux",
        icon=ICON,
    ),
    StarterTemplate(
        name="azure-linux-kept",
        title="Linux machine on Azure that is kept",
        description="Deallocated while stopped, with parameters, presets, metadata and cost.",
        path=TEMPLATES / "azure-linux-kept",
        icon=ICON,
    ),
)


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return [ProviderSpec("hashicorp/azurerm", "Azure", factory=_provider, settings=AzureSettings)]


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return [
        PlatformSpec(
            name="azure",
            title="Azure",
            factory=_platform,
            templates=STARTERS,
            settings=AzureSettings,
            icon=ICON,
            identity=_identity,
        )
    ]
