"""Azure as a place where workspaces run: may we, what of it is ours, what does it cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stead.api import CredentialsReport, OwnedResource, Platform, Trial
from stead.api.errors import PermissionMissing, ProviderFailure
from stead.api.provider import BuildContext, Context, Resource
from stead.api.records import Price
from stead_azure import ids, prices
from stead_azure import tags as tagging
from stead_azure.base import Arm
from stead_azure.cloud import Cloud, Found
from stead_azure.group import ResourceGroup
from stead_azure.machine import LinuxMachine
from stead_azure.network import Subnet
from stead_azure.operations import (
    DISK_KIND,
    GROUP_KIND,
    GROUP_LIST,
    IP_KIND,
    MACHINE_KIND,
    NIC_KIND,
    NSG_KIND,
    RESOURCE_LIST,
    VNET_KIND,
)
from stead_azure.provider import RESOURCES, Azure
from stead_azure.settings import AzureSettings

# Users before what they use.
ORDER = (
    "azurerm_linux_virtual_machine",
    "azurerm_managed_disk",
    "azurerm_network_interface",
    "azurerm_public_ip",
    "azurerm_subnet",
    "azurerm_network_security_group",
    "azurerm_virtual_network",
    "azurerm_resource_group",
)
WITHIN = 900.0  # seconds that the removal of one thing may take
NOWHERE = "stead-credentials-check"


class AzurePlatform(Platform):
    """The subscription that the settings name."""

    def __init__(self, settings: AzureSettings) -> None:
        self._settings = settings
        self._provider = Azure(settings=settings)

    def _context(self, within: float = 120.0) -> Context:
        return Context(provider=self._provider, build=BuildContext(), deadline=time.monotonic() + within)

    @property
    def _cloud(self) -> Cloud:
        return self._provider.cloud

    def check_credentials(self) -> CredentialsReport:
        """Look for one thing of each kind. It is not there; that Azure says so shows that we may look."""
        missing: list[str] = []
        for call in self._looks():
            try:
                call()
            except PermissionMissing as failure:
                missing.append(failure.remedy or failure.message)
            except ProviderFailure as failure:
                return CredentialsReport(False, failure.message, tuple(filter(None, [failure.remedy])))
        subscription = self._cloud.subscription
        if missing:
            summary = f"The account may not do everything that Stead needs in subscription {subscription}."
            return CredentialsReport(False, summary, tuple(dict.fromkeys(missing)))
        return CredentialsReport(True, f"The account may read subscription {subscription}.")

    def _looks(self) -> Iterator[Callable[[], object]]:
        context, cloud = self._context(), self._cloud
        doing = "The subscription could not be read"
        yield lambda: cloud.pages(context, doing, GROUP_LIST, filter=f"tagName eq '{tagging.KEY}'")
        yield lambda: cloud.pages(context, doing, RESOURCE_LIST, filter=f"tagName eq '{tagging.KEY}'")
        for kind in (MACHINE_KIND, DISK_KIND, NIC_KIND, IP_KIND, NSG_KIND, VNET_KIND):
            yield lambda kind=kind: cloud.find(context, doing, kind.get, NOWHERE, NOWHERE)  # type: ignore[misc]
        yield lambda: cloud.find(context, doing, GROUP_KIND.get, NOWHERE)

    def trial(self) -> Trial:
        raise ProviderFailure(
            "A machine on Azure reaches this server only at a public address, and it costs money.",
            remedy="Start the server with an access URL that Azure reaches, and push the starter azure-linux.",
        )

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        found = list(self._owned(deployment))
        return tuple(sorted(found, key=lambda item: ORDER.index(item.type_name)))

    def _owned(self, deployment: str) -> Iterator[OwnedResource]:
        context, cloud = self._context(600.0), self._cloud
        wanted = f"tagName eq '{tagging.DEPLOYMENT}' and tagValue eq '{_quoted(deployment)}'"
        resources = cloud.pages(context, "Resources could not be listed", RESOURCE_LIST, filter=wanted)
        groups = cloud.pages(context, "Resource groups could not be listed", GROUP_LIST, filter=wanted)
        for item in (*resources, *groups):
            # Azure copies a machine's tags to what it makes along with it, such as the disk of its system.
            if not (
                item.get("managedBy") and _type_of(item["id"]) == "azurerm_managed_disk" and _shares(item, resources)
            ):
                yield from _labelled(item, deployment)
        everywhere = "resourceType eq 'Microsoft.Network/virtualNetworks'"
        for item in cloud.pages(context, "Networks could not be listed", RESOURCE_LIST, filter=everywhere):
            yield from _subnets(item, deployment)

    def destroy_owned(self, resource: OwnedResource) -> None:
        context = self._context(WITHIN)
        kinds: dict[str, type[Resource]] = {kind.type_name: kind for kind in RESOURCES if issubclass(kind, Arm)}
        kind = kinds.get(resource.type_name)
        thing = kind.from_id(resource.identity) if kind is not None and issubclass(kind, Arm) else None
        if thing is None:
            raise ProviderFailure(f"{resource.type_name} {resource.identity} is nothing that Stead makes on Azure.")
        thing.id = resource.identity  # type: ignore[attr-defined]
        if isinstance(thing, LinuxMachine):
            found = thing.look(context)
            if found is None:
                return
        thing.delete(context)

    def price(self, type_name: str, attributes: Mapping[str, Any]) -> Price | None:
        return prices.price(type_name, attributes)


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _type_of(identity: str) -> str:
    found = ids.parse(identity)
    if found is None:
        return ""
    if not found.namespace:
        return ResourceGroup.type_name
    for kind in RESOURCES:
        if issubclass(kind, Arm) and found.is_kind(*kind.path):
            return kind.type_name
    return ""


def _shares(item: Found, others: Sequence[Found]) -> bool:
    """Whether another thing has the same key: then this one came with it."""
    key = (item.get("tags") or {}).get(tagging.KEY)
    return any((other.get("tags") or {}).get(tagging.KEY) == key for other in others if other["id"] != item["id"])


def _labelled(item: Found, deployment: str) -> Iterator[OwnedResource]:
    found, type_name = item.get("tags") or {}, _type_of(item["id"])
    if type_name and found.get(tagging.KEY) and found.get(tagging.DEPLOYMENT) == deployment:
        labels = {name: value for name, value in found.items() if name.startswith(tagging.OWN)}
        identity = str(ids.parse(item["id"]))
        yield OwnedResource(found[tagging.KEY], type_name, identity, deployment, labels)


def _subnets(network: Found, deployment: str) -> Iterator[OwnedResource]:
    """Those that a network's tags tell of. Whether they are still there does not matter: missing is success."""
    for name, value in (network.get("tags") or {}).items():
        key, _, whose = str(value).partition(" ")
        if name.startswith(tagging.SUBNET) and whose == deployment:
            identity = f"{network['id']}/subnets/{name.removeprefix(tagging.SUBNET)}"
            yield OwnedResource(key, Subnet.type_name, identity, deployment, {tagging.KEY: key})
