"""What this plugin brings. Importing it imports no SDK."""

from __future__ import annotations

from pathlib import Path

from stead.api import Platform, PlatformSpec, ProviderSpec, StarterTemplate, hookimpl
from stead.api.provider import Provider
from stead_kubernetes.settings import KubernetesSettings

TEMPLATES = Path(__file__).parent / "templates"
ICON = "/icon/k8s.png"


def _provider(settings: KubernetesSettings) -> Provider:
    from stead_kubernetes.provider import Kubernetes

    return Kubernetes(settings=settings)


def _platform(settings: KubernetesSettings) -> Platform:
    from stead_kubernetes.platform import KubernetesPlatform

    return KubernetesPlatform(settings)


STARTERS = (
    StarterTemplate(
        name="kubernetes",
        title="Kubernetes pod",
        description="A deployment of one pod with a home volume that stays.",
        path=TEMPLATES / "kubernetes",
        icon=ICON,
    ),
    StarterTemplate(
        name="kubernetes-workbench",
        title="Kubernetes namespace of its own",
        description="A namespace with quota and network policy, choices of size, presets and what it costs.",
        path=TEMPLATES / "kubernetes-workbench",
        icon=ICON,
    ),
)


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return [ProviderSpec("hashicorp/kubernetes", "Kubernetes", factory=_provider, settings=KubernetesSettings)]


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return [
        PlatformSpec(
            name="kubernetes",
            title="Kubernetes",
            factory=_platform,
            templates=STARTERS,
            settings=KubernetesSettings,
            icon=ICON,
        )
    ]
