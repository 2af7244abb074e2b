"""What this plugin brings. Importing it imports no SDK."""

from __future__ import annotations

from pathlib import Path

from stead.api import InstanceIdentity, Platform, PlatformSpec, ProviderSpec, Replays, StarterTemplate, hookimpl
from stead.api.provider import Provider
from stead_aws.settings import AwsSettings

TEMPLATES = Path(__file__).parent / "templates"
ICON = "/icon/aws.svg"


def _provider(settings: AwsSettings) -> Provider:
    from stead_aws.provider import Aws

    return Aws(settings=settings)


def _platform(settings: AwsSettings) -> Platform:
    from stead_aws.platform import AwsPlatform

    return AwsPlatform(settings)


def _identity(settings: AwsSettings, replays: Replays) -> InstanceIdentity:
    from stead_aws.identity import AwsIdentity

    return AwsIdentity(
        replays,
        certificates=settings.identity_certificates,
        roles=settings.identity_roles,
        endpoint=settings.endpoints.get("sts"),
        ca_bundle=settings.ca_bundle,
        timeout=settings.timeout,
    )


STARTERS = (
    StarterTemplate(
        name="aws-linux",
        title="AWS EC2 (Linux)",
        description="A machine that keeps its disk while it is stopped.",
        path=TEMPLATES / "aws-linux",
        icon=ICON,
    ),
    StarterTemplate(
        name="aws-spot",
        title="AWS EC2 with a home of its own",
        description="A fresh machine at every start, spot or on demand, with a home disk that stays.",
        path=TEMPLATES / "aws-spot",
        icon=ICON,
    ),
)


@hookimpl
def stead_terraform_providers() -> list[ProviderSpec]:
    return [ProviderSpec("hashicorp/aws", "AWS", factory=_provider, settings=AwsSettings)]


@hookimpl
def stead_platforms() -> list[PlatformSpec]:
    return [
        PlatformSpec(
            name="aws",
            title="AWS",
            factory=_platform,
            templates=STARTERS,
            settings=AwsSettings,
            icon=ICON,
            identity=_identity,
        )
    ]
