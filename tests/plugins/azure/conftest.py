"""A subscription at a strict stand-in for Azure, for each test, behind TLS and a real login."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from azure_peer import CLIENT, SUBSCRIPTION, TENANT, AzurePeer

from stead.api.provider import BuildContext, Context, Owner, Resource, Unknown
from stead.testing.certificates import SelfSigned, self_signed
from stead_azure import (
    address,
    attachment,
    disk,
    group,
    interface,
    machine,
    machine_blocks,
    network,
    security_group,
)
from stead_azure.cloud import Cloud
from stead_azure.platform import AzurePlatform
from stead_azure.provider import Azure
from stead_azure.settings import AzureSettings


@dataclass
class Rig:
    """One deployment in the subscription, with a workspace in it."""

    peer: AzurePeer
    certificate: SelfSigned
    options: dict[str, Any] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"d-{secrets.token_hex(4)}")
    log: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = AzureSettings(
            subscription_id=SUBSCRIPTION,
            tenant_id=TENANT,
            client_id=CLIENT,
            client_secret=self.peer.secret,
            endpoint=self.peer.address,
            authority=self.peer.address,
            ca_bundle=self.certificate.certificate,
            **{"pause": 0.01, "poll": 0.01, "attempts": 4, "cleanup": 5.0, "settle": 0.5, **self.options},
        )
        self.provider = Azure(settings=self.settings)
        self.platform = AzurePlatform(self.settings)

    @property
    def build(self) -> BuildContext:
        return BuildContext(
            deployment=self.name,
            workspace_id=f"{self.name}-workspace",
            workspace_name="tester",
            build_id="build-1",
            owner=Owner(name="alice"),
        )

    def context(self, key: str = "", **options: Any) -> Context:
        options = {"provider": self.provider, "build": self.build, **options}
        return Context(key=key or secrets.token_hex(8), sink=lambda *line: self.log.append(line), **options)

    def create(self, resource: Resource, key: str = "", **options: Any) -> Any:
        """Create it as the engine would: what is computed and not given is unknown before."""
        prepare(resource)
        resource.create(self.context(key, **options))
        return resource


def prepare(model: Any) -> None:
    schema = type(model).schema()
    for attribute in schema.attributes.values():
        value = getattr(model, attribute.key)
        if value is None and attribute.has_default:
            setattr(model, attribute.key, attribute.default)
        elif value is None and attribute.computed:
            setattr(model, attribute.key, Unknown)
    for block in schema.blocks.values():
        value = getattr(model, block.key)
        for item in value if isinstance(value, list) else ():
            prepare(item)


@pytest.fixture(scope="session")
def azure_certificate(tmp_path_factory: pytest.TempPathFactory) -> SelfSigned:
    return self_signed(tmp_path_factory.mktemp("azure"), "127.0.0.1")


@pytest.fixture(scope="session")
def azure_server(azure_certificate: SelfSigned) -> Iterator[AzurePeer]:
    made = AzurePeer(azure_certificate.certificate, azure_certificate.key)
    yield made
    made.close()


@pytest.fixture
def peer(azure_server: AzurePeer) -> Iterator[AzurePeer]:
    azure_server.reset()
    yield azure_server
    assert azure_server.complaints == [], "bodies that Azure would refuse"


@pytest.fixture(scope="session")
def azure_cloud(azure_server: AzurePeer, azure_certificate: SelfSigned) -> Iterator[Cloud]:
    """One login and one set of the SDK's clients for all tests: making them takes most of a second."""
    made = Rig(azure_server, azure_certificate).provider.cloud
    yield made
    made.close()


@pytest.fixture(scope="session")
def rig_of() -> Callable[..., Rig]:
    """Makes a rig with other settings."""
    return lambda peer, certificate, **options: Rig(peer, certificate, options)


@pytest.fixture
def rig(peer: AzurePeer, azure_certificate: SelfSigned, azure_cloud: Cloud) -> Iterator[Rig]:
    made = Rig(peer, azure_certificate)
    made.provider._cloud = azure_cloud
    own = made.platform._cloud
    yield made
    own.close()


GROUP = {"resource_group_name": "g", "location": "westeurope"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakefakefakefakefakefakefakefakefakefakefake someone"
# What each resource type stands on, by the names of this table.
NEEDS = {
    "group": (),
    "network": ("group",),
    "subnet": ("group", "network"),
    "rules": ("group",),
    "address": ("group",),
    "disk": ("group",),
    "interface": ("group", "network", "subnet"),
    "association": ("group", "network", "subnet", "interface", "rules"),
    "machine": ("group", "network", "subnet", "interface"),
    "attachment": ("group", "network", "subnet", "interface", "machine", "disk"),
}


def sample(name: str) -> Any:
    """A resource of each type, planned and not created."""
    path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers"
    nic = f"{path}/Microsoft.Network/networkInterfaces/nic"
    makers = {
        "group": lambda: group.ResourceGroup(name="g", location="westeurope"),
        "network": lambda: network.VirtualNetwork(name="net", address_space={"10.0.0.0/16"}, **GROUP),
        "subnet": lambda: network.Subnet(
            name="sub", resource_group_name="g", virtual_network_name="net", address_prefixes=["10.0.1.0/24"]
        ),
        "rules": lambda: security_group.SecurityGroup(
            name="rules",
            security_rule=[
                security_group.SecurityRule(
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
            ],
            **GROUP,
        ),
        "address": lambda: address.PublicIp(name="ip", allocation_method="Static", domain_name_label="lab", **GROUP),
        "disk": lambda: disk.ManagedDisk(
            name="home", storage_account_type="Premium_LRS", create_option="Empty", disk_size_gb=32, **GROUP
        ),
        "interface": lambda: interface.NetworkInterface(
            name="nic",
            ip_configuration=[
                interface.IpConfiguration(
                    name="internal",
                    subnet_id=f"{path}/Microsoft.Network/virtualNetworks/net/subnets/sub",
                    private_ip_address_allocation="Dynamic",
                )
            ],
            **GROUP,
        ),
        "association": lambda: interface.SecurityGroupAssociation(
            network_interface_id=nic,
            network_security_group_id=f"{path}/Microsoft.Network/networkSecurityGroups/rules",
        ),
        "machine": lambda: machine.LinuxMachine(
            name="vm",
            size="Standard_D2s_v5",
            network_interface_ids=[nic],
            admin_username="coder",
            admin_ssh_key=[machine_blocks.AdminSshKey(username="coder", public_key=KEY)],
            os_disk=[machine_blocks.OsDisk(caching="ReadWrite", storage_account_type="StandardSSD_LRS")],
            source_image_reference=[
                machine_blocks.ImageReference(publisher="Canonical", offer="u", sku="server", version="latest")
            ],
            identity_block=[machine_blocks.Identity(type="SystemAssigned")],
            boot_diagnostics=[machine_blocks.BootDiagnostics()],
            custom_data="ZWNobw==",
            **GROUP,
        ),
        "attachment": lambda: attachment.DiskAttachment(
            virtual_machine_id=f"{path}/Microsoft.Compute/virtualMachines/vm",
            managed_disk_id=f"{path}/Microsoft.Compute/disks/home",
            lun=3,
            caching="None",
        ),
    }
    made = makers[name]()
    prepare(made)
    return made


@pytest.fixture
def world(rig: Rig) -> Any:
    """A function that makes what a sample needs, and gives the sample."""

    def make(name: str) -> Any:
        for needed in NEEDS[name]:
            rig.create(sample(needed))
        rig.peer.requests.clear()
        return sample(name)

    return make
