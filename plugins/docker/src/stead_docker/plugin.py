"""What this plugin brings. Importing it imports no SDK."""

from __future__ import annotations

from pathlib import Path

from stead.api import Platform, PlatformSpec, ProviderSpec, StarterTemplate, hookimpl
from stead.api.provider import Provider
from stead_docker.settings import DockerSettings

TEMPLATES = Path(__file__).parent / "templates"
ICON = "/icon/docker.svg"


def _provider(settings: DockerSettings) -> Provider:
    from stead_docker.provider import Docker

    return Docker(settings=settings)


def _platform(settings: DockerSettings) -> Platform:
    from stead_docker.platform import DockerPlatform

    return DockerPlatform(settings)


STARTERS = (
    StarterTemplate(
        name="docker",
        title="Docker container",
        description="A container with a home folder that stays.",
        path=TEMPLATES / "docker",
        icon=ICON,
    ),
    StarterTemplate(
        name="docker-build",
        title="Docker image of your own",
        description="An image built from a Dockerfile, with parameters, presets and apps.",
        path=TEMPLATES / "docker-build",
        icon=ICON,
    ),
)


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return [ProviderSpec("kreuzwerker/docker", "Docker", factory=_provider, settings=DockerSettings)]


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return [
        PlatformSpec(
            name="docker",
            title="Docker",
            factory=_platform,
            templates=STARTERS,
            settings=DockerSettings,
            icon=ICON,
        )
    ]
