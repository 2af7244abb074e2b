"""What this plugin brings. What costs time to import stands behind the factories."""

from __future__ import annotations

from pathlib import Path

from stead.api import Platform, PlatformSpec, ProviderSpec, StarterTemplate, hookimpl
from stead.api.provider import Provider
from stead_acme.settings import AcmeSettings

STARTER = StarterTemplate(
    name="acme",
    title="Acme machine",
    description="A machine that is there while the workspace runs.",
    path=Path(__file__).parent / "templates" / "acme",
)


def _provider(settings: AcmeSettings) -> Provider:
    from stead_acme.provider import Acme

    return Acme(settings)


def _platform(settings: AcmeSettings) -> Platform:
    from stead_acme.platform import AcmePlatform

    return AcmePlatform(settings)


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return [ProviderSpec("example/acme", "Acme", factory=_provider, settings=AcmeSettings)]


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return [PlatformSpec("acme", "Acme", factory=_platform, templates=(STARTER,), settings=AcmeSettings)]
