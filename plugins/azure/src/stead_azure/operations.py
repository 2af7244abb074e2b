"""Every call to Azure that this plugin makes, with what an account must be allowed for it.

Nothing else is called: :class:`stead_azure.cloud.Cloud` takes operations alone. So the role that Stead needs follows
from this table (:mod:`stead_azure.policy`).
"""

from __future__ import annotations

from dataclasses import dataclass

RESOURCES = "Microsoft.Resources"
GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"
VNET = "Microsoft.Network/virtualNetworks"
NIC = "Microsoft.Network/networkInterfaces"
IP = "Microsoft.Network/publicIPAddresses"
NSG = "Microsoft.Network/networkSecurityGroups"
DISK = "Microsoft.Compute/disks"
MACHINE = "Microsoft.Compute/virtualMachines"
JOINS = (f"{VNET}/subnets/join/action", f"{IP}/join/action", f"{NSG}/join/action")


@dataclass(frozen=True)
class Operation:
    """A method of the SDK.

    :param client: ``compute``, ``network`` or ``resource``.
    :param action: as Azure's roles name it.
    :param linked: further actions on what the body names.
    """

    client: str
    group: str
    method: str
    action: str
    linked: tuple[str, ...] = ()


def _operations(client: str, group: str, kind: str, **linked: tuple[str, ...]) -> dict[str, Operation]:
    put = "create_or_update" if group == "resource_groups" else "begin_create_or_update"
    return {
        "get": Operation(client, group, "get", f"{kind}/read"),
        "put": Operation(client, group, put, f"{kind}/write", linked.get("put", ())),
        "delete": Operation(client, group, "begin_delete", f"{kind}/delete", linked.get("delete", ())),
    }


@dataclass(frozen=True)
class Kind:
    """What can be done with one kind of thing. ``title`` is its name in messages."""

    title: str
    get: Operation
    put: Operation
    delete: Operation


def _kind(title: str, client: str, group: str, action: str, **linked: tuple[str, ...]) -> Kind:
    return Kind(title, **_operations(client, group, action, **linked))


GROUP_KIND = _kind("Resource group", "resource", "resource_groups", GROUPS)
VNET_KIND = _kind("Virtual network", "network", "virtual_networks", VNET, put=(f"{VNET}/subnets/join/action",))
SUBNET_KIND = _kind("Subnet", "network", "subnets", f"{VNET}/subnets")
NIC_KIND = _kind("Network interface", "network", "network_interfaces", NIC, put=JOINS)
IP_KIND = _kind("Public address", "network", "public_ip_addresses", IP)
NSG_KIND = _kind("Security group", "network", "network_security_groups", NSG)
DISK_KIND = _kind("Disk", "compute", "disks", DISK)
MACHINE_KIND = _kind("Virtual machine", "compute", "virtual_machines", MACHINE, put=(f"{NIC}/join/action",))
KINDS = (GROUP_KIND, VNET_KIND, SUBNET_KIND, NIC_KIND, IP_KIND, NSG_KIND, DISK_KIND, MACHINE_KIND)

MACHINE_UPDATE = Operation(
    "compute", "virtual_machines", "begin_update", f"{MACHINE}/write", (f"{NIC}/join/action", f"{DISK}/write")
)
MACHINE_START = Operation("compute", "virtual_machines", "begin_start", f"{MACHINE}/start/action")
MACHINE_STOP = Operation("compute", "virtual_machines", "begin_deallocate", f"{MACHINE}/deallocate/action")
MACHINE_DISKS = Operation(
    "compute",
    "virtual_machines",
    "begin_attach_detach_data_disks",
    f"{MACHINE}/attachDetachDataDisks/action",
    (f"{DISK}/read", f"{DISK}/write"),
)
DISK_UPDATE = Operation("compute", "disks", "begin_update", f"{DISK}/write")
GROUP_CONTENT = Operation("resource", "resources", "list_by_resource_group", f"{GROUPS}/resources/read")
GROUP_LIST = Operation("resource", "resource_groups", "list", f"{GROUPS}/read")
RESOURCE_LIST = Operation("resource", "resources", "list", "Microsoft.Resources/subscriptions/resources/read")
TAGS_MERGE = Operation(
    "resource", "tags", "begin_update_at_scope", "Microsoft.Resources/tags/write", (f"{VNET}/write",)
)
OPERATIONS = (
    *(operation for kind in KINDS for operation in (kind.get, kind.put, kind.delete)),
    MACHINE_UPDATE,
    MACHINE_START,
    MACHINE_STOP,
    MACHINE_DISKS,
    DISK_UPDATE,
    GROUP_CONTENT,
    GROUP_LIST,
    RESOURCE_LIST,
    TAGS_MERGE,
)


def actions() -> tuple[str, ...]:
    """Everything that an account must be allowed, in order."""
    named = {operation.action for operation in OPERATIONS}
    return tuple(sorted(named.union(*(operation.linked for operation in OPERATIONS))))
