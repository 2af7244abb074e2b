"""Azure passes what every provider and platform must do, against the strict stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import azure.core.exceptions as core
import pytest
from azure_peer import CLIENT, SUBSCRIPTION, TENANT, AzurePeer

from stead.testing.certificates import SelfSigned
from stead.testing.conformance import PlatformConformance, ProviderConformance, Rig, Sample, exceptions_of
from stead_azure import plugin
from stead_azure.address import PublicIp
from stead_azure.attachment import DiskAttachment
from stead_azure.cloud import Cloud
from stead_azure.disk import ManagedDisk
from stead_azure.failures import translate
from stead_azure.group import ResourceGroup
from stead_azure.interface import IpConfiguration, NetworkInterface, SecurityGroupAssociation
from stead_azure.machine import LinuxMachine
from stead_azure.machine_blocks import AdminSshKey, ImageReference, OsDisk
from stead_azure.network import Subnet, VirtualNetwork
from stead_azure.provider import Azure
from stead_azure.security_group import SecurityGroup, SecurityRule
from stead_azure.settings import AzureSettings

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakefakefakefakefakefakefakefakefakefakefake someone"
PLACE = "westeurope"
BLUE = {"tags": {"team": "blue"}}
# The request that makes each of them.
PUTS = {
    "azurerm_linux_virtual_machine": ("PUT", r"/virtualMachines/[^/]+$"),
    "azurerm_managed_disk": ("PUT", r"/disks/[^/]+$"),
    "azurerm_network_interface": ("PUT", r"/networkInterfaces/[^/]+$"),
    "azurerm_network_interface_security_group_association": ("PUT", r"/networkInterfaces/[^/]+$"),
    "azurerm_network_security_group": ("PUT", r"/networkSecurityGroups/[^/]+$"),
    "azurerm_public_ip": ("PUT", r"/publicIPAddresses/[^/]+$"),
    "azurerm_resource_group": ("PUT", r"/resourcegroups/[^/]+$"),
    "azurerm_subnet": ("PUT", r"/subnets/[^/]+$"),
    "azurerm_virtual_machine_data_disk_attachment": ("POST", r"/attachDetachDataDisks$"),
    "azurerm_virtual_network": ("PUT", r"/virtualNetworks/[^/]+$"),
}


def _group(rig: Rig) -> dict[str, str]:
    """Where something goes: a group of its own."""
    made = rig.create(ResourceGroup(name=rig.unique(), location=PLACE))
    return {"resource_group_name": made.name, "location": PLACE}


def _network(rig: Rig, group: dict[str, str]) -> VirtualNetwork:
    return VirtualNetwork(name=rig.unique(), address_space={"10.0.0.0/16"}, **group)


def _subnet(rig: Rig, group: dict[str, str] | None = None) -> Subnet:
    group = group or _group(rig)
    network = rig.create(_network(rig, group))
    return Subnet(
        name=rig.unique(),
        resource_group_name=group["resource_group_name"],
        virtual_network_name=network.name,
        address_prefixes=["10.0.1.0/24"],
    )


def _rules(rig: Rig, group: dict[str, str] | None = None) -> SecurityGroup:
    rule = SecurityRule(
        name="ssh",
        priority=100,
        direction="Inbound",
        access="Deny",
        protocol="Tcp",
        source_port_range="*",
        destination_port_range="22",
        source_address_prefix="*",
        destination_address_prefix="*",
    )
    return SecurityGroup(name=rig.unique(), security_rule=[rule], **(group or _group(rig)))


def _interface(rig: Rig, group: dict[str, str] | None = None) -> NetworkInterface:
    group = group or _group(rig)
    subnet = rig.create(_subnet(rig, group))
    inside = IpConfiguration(name="internal", subnet_id=subnet.id, private_ip_address_allocation="Dynamic")
    return NetworkInterface(name=rig.unique(), ip_configuration=[inside], **group)


def _association(rig: Rig) -> SecurityGroupAssociation:
    group = _group(rig)
    card, rules = rig.create(_interface(rig, group)), rig.create(_rules(rig, group))
    return SecurityGroupAssociation(network_interface_id=card.id, network_security_group_id=rules.id)


def _disk(rig: Rig, group: dict[str, str] | None = None) -> ManagedDisk:
    return ManagedDisk(
        name=rig.unique(),
        storage_account_type="Premium_LRS",
        create_option="Empty",
        disk_size_gb=32,
        **(group or _group(rig)),
    )


def _machine(rig: Rig, group: dict[str, str] | None = None) -> LinuxMachine:
    group = group or _group(rig)
    return LinuxMachine(
        name=rig.unique("vm"),
        size="Standard_D2s_v5",
        network_interface_ids=[rig.create(_interface(rig, group)).id],
        admin_username="coder",
        admin_ssh_key=[AdminSshKey(username="coder", public_key=KEY)],
        os_disk=[OsDisk(caching="ReadWrite", storage_account_type="StandardSSD_LRS")],
        source_image_reference=[ImageReference(publisher="Canonical", offer="u", sku="server", version="latest")],
        custom_data="ZWNobw==",
        **group,
    )


def _attachment(rig: Rig) -> DiskAttachment:
    group = _group(rig)
    machine, disk = rig.create(_machine(rig, group)), rig.create(_disk(rig, group))
    return DiskAttachment(virtual_machine_id=machine.id, managed_disk_id=disk.id, lun=3, caching="None")


MAKERS: dict[str, Callable[[], Exception]] = {
    "TooManyRedirectsError": lambda: core.TooManyRedirectsError([]),
    "StreamClosedError": lambda: core.StreamClosedError(SimpleNamespace(request="GET")),
    "ResponseNotReadError": lambda: core.ResponseNotReadError(SimpleNamespace(request="GET")),
    "StreamConsumedError": lambda: core.StreamConsumedError(SimpleNamespace(request="GET")),
    "ODataV4Error": lambda: core.ODataV4Error(_Answer()),
}


class _Answer:
    """An answer as the SDK's errors read it."""

    status_code, reason, headers = 400, "no", {}

    def text(self, encoding: str | None = None) -> str:
        return '{"error": {"code": "Odd", "message": "it went wrong"}}'


class TestAzure(PlatformConformance, ProviderConformance):
    plugin = plugin
    sdk_modules = ("azure", "msal")
    configuration = {"features": {}}
    samples = {
        "azurerm_linux_virtual_machine": Sample(
            _machine, change={"size": "Standard_D4s_v5", **BLUE}, not_imported=frozenset({"custom_data"})
        ),
        "azurerm_managed_disk": Sample(_disk, change={"disk_size_gb": 64}),
        "azurerm_network_interface": Sample(_interface, change=BLUE),
        "azurerm_network_interface_security_group_association": Sample(_association, labelled=False),
        "azurerm_network_security_group": Sample(_rules, change=BLUE),
        "azurerm_public_ip": Sample(
            lambda rig: PublicIp(name=rig.unique(), allocation_method="Static", **_group(rig)), change=BLUE
        ),
        "azurerm_resource_group": Sample(lambda rig: ResourceGroup(name=rig.unique(), location=PLACE), change=BLUE),
        "azurerm_subnet": Sample(_subnet),
        "azurerm_virtual_machine_data_disk_attachment": Sample(_attachment, labelled=False),
        "azurerm_virtual_network": Sample(lambda rig: _network(rig, _group(rig)), change=BLUE),
    }

    @pytest.fixture
    def settings(self, peer: AzurePeer, azure_certificate: SelfSigned) -> AzureSettings:
        self.peer = peer
        return AzureSettings(
            subscription_id=SUBSCRIPTION,
            tenant_id=TENANT,
            client_id=CLIENT,
            client_secret=peer.secret,
            endpoint=peer.address,
            authority=peer.address,
            ca_bundle=azure_certificate.certificate,
            pause=0.01,
            poll=0.01,
            attempts=3,
        )

    @pytest.fixture
    def provider(self, settings: AzureSettings, azure_cloud: Cloud) -> Azure:
        made = Azure(settings=settings)
        made._cloud = azure_cloud
        return made

    @pytest.fixture
    def refused_settings(self, settings: AzureSettings) -> AzureSettings:
        self.peer.secret = "another"
        return settings

    @contextmanager
    def midway(self, rig: Rig, type_name: str) -> Iterator[None]:
        """Azure takes the request; its answer is lost, and whatever comes then is refused."""
        self.peer.fault(*PUTS[type_name], "lose")
        self.peer.fault(*PUTS[type_name], "refuse", status=400, code="Odd", times=99)
        self.peer.fault("DELETE", "/", "refuse", status=400, code="Odd", times=99)
        yield
        self.peer.faults.clear()

    def sdk_errors(self) -> Iterator[Exception]:
        return exceptions_of(core, makers=MAKERS)

    def translate(self, error: Exception) -> Any:
        return translate(error, "It could not be done")
