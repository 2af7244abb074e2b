"""The provider ``stead/host`` and its platform."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from stead.api.errors import ProviderFailure
from stead.api.provider import Provider
from stead.api.records import (
    CredentialsReport,
    OwnedResource,
    Platform,
    PlatformSpec,
    ProviderSpec,
    StarterTemplate,
    Trial,
)
from stead.terraform.host.folders import HomeFolder, WorkspaceFolder, homes, workspaces
from stead.terraform.host.resources import HostHome, HostWorkspace, end_workspace
from stead.terraform.host.settings import HostSettings, own_name

log = logging.getLogger(__name__)


class Host(Provider, address="stead/host", resources=[HostHome, HostWorkspace]):
    """Workspaces as processes on the provisioner's machine, to try Stead out. It isolates nobody."""

    settings: HostSettings


class HostPlatform(Platform):
    """The provisioner's own machine."""

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings

    def check_credentials(self) -> CredentialsReport:
        user = self._settings.host_user or own_name()
        remedies = ["Use another platform for more than one person: here nothing separates workspaces."]
        if user == "root":
            remedies.append("Set host_user: workspaces would run as root.")
        return CredentialsReport(
            ok=sys.platform == "linux",
            summary=f"Workspaces run as processes of the user {user}, isolated from nothing.",
            remedies=tuple(remedies),
        )

    def trial(self) -> Trial:
        if sys.platform != "linux":
            raise ProviderFailure("The host platform needs Linux.")
        self._settings.account()
        return Trial(template="host")

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        root = self._settings.host_data_dir
        found = [("host_workspace", folder.key, folder.labels) for folder in workspaces(root)]
        found += [("host_home", home.name, home.labels) for home in homes(root)]
        return [
            OwnedResource(labels.get("stead.key", ""), type_name, identity, deployment, labels)
            for type_name, identity, labels in found
            if labels.get("stead.deployment") == deployment
        ]

    def destroy_owned(self, resource: OwnedResource) -> None:
        root = self._settings.host_data_dir
        log.info("Removing %s %s of the host platform.", resource.type_name, resource.identity)
        if resource.type_name == "host_workspace":
            end_workspace(WorkspaceFolder(root, resource.identity), self._settings.host_grace)
        elif resource.type_name == "host_home":
            HomeFolder(root, resource.identity).remove()


def host_provider() -> ProviderSpec:
    return ProviderSpec(
        address="stead/host",
        title="Processes on the provisioner's machine, not isolated",
        factory=_make,
        settings=HostSettings,
    )


def host_platform() -> PlatformSpec:
    return PlatformSpec(
        name="host",
        title="This machine, without isolation",
        factory=HostPlatform,
        settings=HostSettings,
        icon="/icon/host.svg",
        templates=(
            StarterTemplate(
                name="host",
                title="Processes on this machine",
                description="To try Stead out without Docker. Workspaces are not isolated from anything.",
                path=Path(__file__).parent / "templates" / "host",
            ),
        ),
    )


def _make(settings: HostSettings) -> Host:
    provider = Host()
    provider.settings = settings
    return provider
