"""What Azure does with each kind of thing, as far as workspaces notice."""

from __future__ import annotations

import copy
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure_peer import AzurePeer, Fault

Found = dict[str, Any]
Answer = tuple[int, Any, dict[str, str]]


@dataclass(frozen=True)
class Route:
    """A kind of thing: which client of the SDK and which model its bodies are of."""

    client: str
    model: str
    action: str
    patch: str = ""
    tracked: bool = True


ROUTES = {
    "microsoft.network/virtualnetworks": Route("network", "VirtualNetwork", "Microsoft.Network/virtualNetworks"),
    "microsoft.network/virtualnetworks/subnets": Route(
        "network", "Subnet", "Microsoft.Network/virtualNetworks/subnets", tracked=False
    ),
    "microsoft.network/networkinterfaces": Route("network", "NetworkInterface", "Microsoft.Network/networkInterfaces"),
    "microsoft.network/publicipaddresses": Route("network", "PublicIPAddress", "Microsoft.Network/publicIPAddresses"),
    "microsoft.network/networksecuritygroups": Route(
        "network", "NetworkSecurityGroup", "Microsoft.Network/networkSecurityGroups"
    ),
    "microsoft.compute/disks": Route("compute", "Disk", "Microsoft.Compute/disks", patch="DiskUpdate"),
    "microsoft.compute/virtualmachines": Route(
        "compute", "VirtualMachine", "Microsoft.Compute/virtualMachines", patch="VirtualMachineUpdate"
    ),
}
GROUP = Route("resource", "ResourceGroup", "Microsoft.Resources/subscriptions/resourceGroups")
PATH = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/(?P<group>[^/]+)"
    r"(/providers/(?P<ns>[^/]+)/(?P<kind>[^/]+)/(?P<name>[^/]+)(/(?P<sub>subnets)/(?P<subname>[^/]+))?(/(?P<verb>\w+))?)?",
    re.IGNORECASE,
)


def refused(status: int, code: str, message: str) -> Exception:
    from azure_peer import Refused

    return Refused(status, code, message)


def serve(peer: AzurePeer, method: str, path: str, query: Found, body: Any, fault: Fault | None) -> Answer:
    low = path.rstrip("/").lower()
    if low.endswith("/providers/microsoft.resources/tags/default"):
        return tags(peer, method, low, body, fault)
    if low.endswith("/resourcegroups"):
        peer.permit("Microsoft.Resources/subscriptions/resourceGroups/read")
        return listing(peer, query, lambda item: item.count("/") == 4)
    if re.fullmatch(r"/subscriptions/[^/]+/resources", low):
        peer.permit("Microsoft.Resources/subscriptions/resources/read")
        return listing(peer, query, lambda item: item.count("/") == 8)
    if re.fullmatch(r"/subscriptions/[^/]+/resourcegroups/[^/]+/resources", low):
        peer.permit("Microsoft.Resources/subscriptions/resourceGroups/resources/read")
        prefix = low.removesuffix("/resources") + "/providers/"
        return listing(peer, query, lambda item: item.startswith(prefix) and item.count("/") == 8)
    match = PATH.fullmatch(low)
    if match is None:
        raise refused(404, "InvalidResourceType", f"{path} is nothing that there is.")
    return thing(peer, method, path.rstrip("/"), match, body, fault)


def listing(peer: AzurePeer, query: Found, chosen: Any) -> Answer:
    wanted = dict(re.findall(r"(\w+) eq '([^']*)'", query.get("$filter", "")))
    found = []
    for path, item in peer.things.items():
        labels = item.get("tags") or {}
        value = labels.get(wanted.get("tagName", ""))
        if not chosen(path) or ("tagName" in wanted and value is None):
            continue
        if "tagValue" in wanted and value != wanted["tagValue"]:
            continue
        if "resourceType" in wanted and item["type"].lower() != wanted["resourceType"].lower():
            continue
        found.append({k: v for k, v in item.items() if k in ("id", "name", "type", "location", "tags", "managedBy")})
    return 200, {"value": found}, {}


def tags(peer: AzurePeer, method: str, low: str, body: Any, fault: Fault | None) -> Answer:
    peer.permit("Microsoft.Resources/tags/write")
    path = low.removesuffix("/providers/microsoft.resources/tags/default")
    item = peer.things.get(path)
    if item is None:
        raise refused(404, "ResourceNotFound", f"The resource {path} was not found.")
    if method != "PATCH" or body.get("operation") not in ("Merge", "Delete", "Replace"):
        raise refused(400, "InvalidRequestContent", "No such operation on tags.")
    named = body["properties"]["tags"]
    have = item.setdefault("tags", {})

    def finish() -> None:
        for name, value in named.items():
            if body["operation"] == "Delete":
                have.pop(name, None)
            else:
                have[name] = value

    finish()
    del fault
    return 200, {"id": low, "name": "default", "properties": {"tags": have}}, {}


def thing(peer: AzurePeer, method: str, path: str, match: re.Match[str], body: Any, fault: Fault | None) -> Answer:
    low = path.lower()
    verb = match["verb"]
    if match["ns"] is None:
        route, key = GROUP, low
    else:
        kind = f"{match['ns']}/{match['kind']}" + ("/subnets" if match["sub"] else "")
        route, key = ROUTES.get(kind), low.removesuffix(f"/{verb}") if verb else low
        if route is None:
            raise refused(404, "InvalidResourceType", f"{kind} is nothing that there is.")
    if verb:
        return action(peer, route, key, verb, path.rsplit("/", 1)[1], body, fault)
    permission = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}[method]
    peer.permit(f"{route.action}/{permission}")
    if (
        match["ns"] is not None
        and f"/subscriptions/{low.split('/')[2]}/resourcegroups/{match['group']}" not in peer.things
    ):
        raise refused(404, "ResourceGroupNotFound", f"Resource group '{match['group']}' could not be found.")
    item = peer.things.get(key)
    if method == "GET":
        if item is None:
            raise refused(404, "ResourceNotFound", f"The Resource '{path}' was not found.")
        return 200, shown(peer, key), {}
    if method == "DELETE":
        return delete(peer, route, key, item, fault)
    if method == "PATCH" and item is None:
        raise refused(404, "ResourceNotFound", f"The Resource '{path}' was not found.")
    peer.check_body(route, body, route.patch if method == "PATCH" else route.model)
    return put(peer, route, key, path, item, body, fault, patch=method == "PATCH")


def shown(peer: AzurePeer, key: str) -> Found:
    """As a GET tells it: without secrets, with what refers to it."""
    found = copy.deepcopy(peer.things[key])
    properties = found.get("properties", {})
    for name in ("adminPassword", "customData"):
        properties.get("osProfile", {}).pop(name, None)
    if "virtualnetworks" in key and "/subnets/" not in key:
        children = [item for path, item in peer.things.items() if path.startswith(f"{key}/subnets/")]
        properties["subnets"] = copy.deepcopy(children)
    if "/virtualmachines/" in key and properties.get("_power") == "deallocated":
        # Azure tells nothing of the disk's size and type while there is no host.
        properties["storageProfile"]["osDisk"].pop("diskSizeGB", None)
        properties["storageProfile"]["osDisk"]["managedDisk"].pop("storageAccountType", None)
    power = properties.pop("_power", None)
    if power:
        properties["instanceView"] = {
            "statuses": [{"code": "ProvisioningState/succeeded"}, {"code": f"PowerState/{power}"}]
        }
    return found


def put(
    peer: AzurePeer,
    route: Route,
    key: str,
    path: str,
    item: Found | None,
    body: Found,
    fault: Fault | None,
    *,
    patch: bool,
) -> Answer:
    if route.tracked and not patch and not body.get("location"):
        raise refused(400, "LocationRequired", "The location property is required for this definition.")
    if item is not None and not patch and route.tracked and body["location"] != item["location"]:
        raise refused(409, "InvalidResourceLocation", "The resource already exists in another location.")
    references(peer, body)
    made = merged(item or {}, body) if patch else {**copy.deepcopy(body)}
    parts = path.strip("/").split("/")
    kinds = "/".join([parts[5], *parts[6::2]]) if len(parts) > 4 else "Microsoft.Resources/resourceGroups"
    made |= {"id": path, "name": parts[-1], "type": kinds}
    properties = made.setdefault("properties", {})
    SHAPES.get(route.model, lambda *_: None)(peer, key, made, item)
    peer.things[key] = made
    if route is GROUP:
        properties["provisioningState"] = "Succeeded"
        return (200 if item else 201), made, {}
    properties["provisioningState"] = "Updating"

    def finish() -> None:
        if key in peer.things:
            peer.things[key]["properties"]["provisioningState"] = "Succeeded"
        if fault and fault.kind == "vanish":
            peer.things.pop(key, None)

    where = peer.begin(key, finish, fault)
    created = 202 if route.model == "Disk" else 201
    status = 200 if item is not None or patch else created
    return status, shown(peer, key), {"Azure_AsyncOperation": where, "Retry_After": "0"}


def merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        result = copy.deepcopy(old)
        for name, value in new.items():
            result[name] = value if name == "tags" else merged(old.get(name), value)
        return result
    return copy.deepcopy(new)


def references(peer: AzurePeer, body: Any) -> None:
    """Whatever a body names by id must be there, and one must be allowed to join it."""
    joins = {
        "subnets": "Microsoft.Network/virtualNetworks/subnets",
        "publicipaddresses": "Microsoft.Network/publicIPAddresses",
    }
    joins |= {
        "networksecuritygroups": "Microsoft.Network/networkSecurityGroups",
        "networkinterfaces": "Microsoft.Network/networkInterfaces",
    }
    if isinstance(body, list):
        for item in body:
            references(peer, item)
    elif isinstance(body, dict):
        named = body.get("id") or body.get("diskId")
        if isinstance(named, str) and named.lower().startswith("/subscriptions/") and "name" not in body:
            if named.lower() not in peer.things:
                raise refused(
                    400, "InvalidResourceReference", f"Resource {named} referenced by the body was not found."
                )
            kind = named.split("/")[-2].lower()
            if kind in joins:
                peer.permit(f"{joins[kind]}/join/action")
        for item in body.values():
            references(peer, item)


def users(peer: AzurePeer, key: str) -> list[str]:
    """Paths of what names this thing."""

    def names(body: Any) -> bool:
        if isinstance(body, dict):
            return str(body.get("id", "")).lower() == key or any(names(item) for item in body.values())
        return isinstance(body, list) and any(names(item) for item in body)

    return [path for path, item in peer.things.items() if path != key and names(item.get("properties"))]


IN_USE = {
    "Subnet": "InUseSubnetCannotBeDeleted",
    "NetworkSecurityGroup": "InUseNetworkSecurityGroupCannotBeDeleted",
    "PublicIPAddress": "PublicIPAddressCannotBeDeleted",
    "NetworkInterface": "NicInUse",
    "Disk": "OperationNotAllowed",
    "VirtualNetwork": "InUseVirtualNetworkCannotBeDeleted",
}


def delete(peer: AzurePeer, route: Route, key: str, item: Found | None, fault: Fault | None) -> Answer:
    if item is None:
        if route is GROUP:
            raise refused(404, "ResourceGroupNotFound", "The group could not be found.")
        return 204, None, {}
    using = users(peer, key) if route is not GROUP else []
    if route.model == "VirtualNetwork":
        children = [path for path in peer.things if path.startswith(f"{key}/")]
        using = [user for child in children for user in users(peer, child)]
    if using:
        raise refused(400, IN_USE[route.model], f"{item['name']} is in use by {using[0]} and cannot be deleted.")

    def finish() -> None:
        gone = peer.things.pop(key, None)
        disk = ((gone or {}).get("properties", {}).get("storageProfile") or {}).get("osDisk") or {}
        if disk.get("deleteOption") == "Delete":
            peer.things.pop(disk["managedDisk"]["id"].lower(), None)
        for path in [path for path in peer.things if path.startswith(f"{key}/")]:
            peer.things.pop(path)

    where = peer.begin(key, finish, fault)
    return 202, None, {"Azure_AsyncOperation": where, "Location": where, "Retry_After": "0"}


def action(peer: AzurePeer, route: Route, key: str, verb: str, name: str, body: Any, fault: Fault | None) -> Answer:
    peer.permit(f"{route.action}/{name}/action")
    item = peer.things.get(key)
    if item is None:
        raise refused(404, "ResourceNotFound", f"The Resource '{key}' was not found.")
    finish = lambda: None  # noqa: E731 - most actions change nothing at their end
    if verb in ("start", "deallocate"):
        state = {"start": "running", "deallocate": "deallocated"}[verb]
        finish = lambda: item["properties"].update(_power=state)  # noqa: E731
    elif verb == "attachdetachdatadisks":
        peer.check_body(route, body, "AttachDetachDataDisksRequest")
        references(peer, body)
        finish = attach(peer, item, body)
    else:
        raise refused(400, "BadRequest", f"No such action: {name}")
    where = peer.begin(key, finish, fault)
    status = 202 if verb != "attachdetachdatadisks" else 200
    answer = None if status == 202 else item["properties"]["storageProfile"]
    return status, answer, {"Azure_AsyncOperation": where, "Location": where, "Retry_After": "0"}


def attach(peer: AzurePeer, machine: Found, body: Found) -> Any:
    disks = machine["properties"]["storageProfile"].setdefault("dataDisks", [])
    for wanted in body.get("dataDisksToAttach") or ():
        key = wanted["diskId"].lower()
        if users(peer, key):
            raise refused(409, "OperationNotAllowed", f"Disk {wanted['diskId']} is attached already.")
        if any(item["lun"] == wanted["lun"] for item in disks):
            raise refused(409, "InvalidParameter", f"A disk is at lun {wanted['lun']} already.")

    def finish() -> None:
        for wanted in body.get("dataDisksToAttach") or ():
            found = peer.things[wanted["diskId"].lower()]
            found["managedBy"] = machine["id"]
            found["properties"]["diskState"] = "Attached"
            disk = {key: wanted[key] for key in ("lun", "caching", "deleteOption") if key in wanted}
            disk |= {"name": found["name"], "createOption": "Attach", "managedDisk": {"id": found["id"]}}
            disks.append({**disk, "diskSizeGB": found["properties"]["diskSizeGB"]})
        for gone in body.get("dataDisksToDetach") or ():
            disks[:] = [item for item in disks if item["managedDisk"]["id"].lower() != gone["diskId"].lower()]
            peer.things.get(gone["diskId"].lower(), {}).pop("managedBy", None)

    return finish


# What Azure adds of its own


def shape_network(peer: AzurePeer, key: str, made: Found, old: Found | None) -> None:
    properties = made["properties"]
    properties["resourceGuid"] = (old or {}).get("properties", {}).get("resourceGuid") or str(uuid.uuid4())
    wanted = {item["name"].lower(): item for item in properties.pop("subnets", None) or ()}
    for path in [path for path in peer.things if path.startswith(f"{key}/subnets/")]:
        if path.rsplit("/", 1)[1] not in wanted:
            if users(peer, path):
                raise refused(400, "InUseSubnetCannotBeDeleted", f"Subnet {path} is in use.")
            peer.things.pop(path)
    for name, item in wanted.items():
        item["id"] = f"{made['id']}/subnets/{item['name']}"
        item["type"] = "Microsoft.Network/virtualNetworks/subnets"
        item["properties"]["provisioningState"] = "Succeeded"
        peer.things[f"{key}/subnets/{name}"] = item


def shape_subnet(peer: AzurePeer, key: str, made: Found, old: Found | None) -> None:
    parent = peer.things.get(key.rsplit("/subnets/", 1)[0])
    if parent is None:
        raise refused(404, "ResourceNotFound", "The virtual network was not found.")
    if not made["properties"].get("addressPrefixes"):
        raise refused(400, "SubnetWithoutPrefix", "A subnet needs an address prefix.")
    prefixes = made["properties"]["addressPrefixes"]
    if len(prefixes) == 1:
        # Azure answers a single range in this member, whichever one it was told.
        made["properties"]["addressPrefix"] = prefixes[0]
        del made["properties"]["addressPrefixes"]


def shape_interface(peer: AzurePeer, key: str, made: Found, old: Found | None) -> None:
    before = (old or {}).get("properties", {})
    addresses = {
        item["name"]: item["properties"].get("privateIPAddress") for item in before.get("ipConfigurations", ())
    }
    for item in made["properties"]["ipConfigurations"]:
        dynamic = addresses.get(item["name"]) or f"10.0.1.{4 + secrets.randbelow(250)}"
        item["properties"].setdefault("privateIPAddress", dynamic)
        item["id"] = f"{made['id']}/ipConfigurations/{item['name']}"
    made["properties"]["macAddress"] = before.get("macAddress") or "00-0D-3A-00-00-01"
    dns = made["properties"].setdefault("dnsSettings", {})
    dns.setdefault("dnsServers", [])
    dns.update(appliedDnsServers=[], internalDomainNameSuffix="x.internal.cloudapp.net")


def shape_address(peer: AzurePeer, key: str, made: Found, old: Found | None) -> None:
    before = (old or {}).get("properties", {})
    if made.get("sku", {}).get("name") == "Standard" and made["properties"]["publicIPAllocationMethod"] != "Static":
        raise refused(400, "PublicIPAddressAllocationMethodNotAllowed", "Standard addresses must be static.")
    if made["properties"]["publicIPAllocationMethod"] == "Static":
        made["properties"]["ipAddress"] = before.get("ipAddress") or f"20.1.2.{1 + secrets.randbelow(250)}"
    dns = made["properties"].get("dnsSettings")
    if dns:
        dns["fqdn"] = f"{dns['domainNameLabel']}.{made['location']}.cloudapp.azure.com"


def shape_disk(peer: AzurePeer, key: str, made: Found, old: Found | None) -> None:
    size, before = made["properties"].get("diskSizeGB"), (old or {}).get("properties", {}).get("diskSizeGB")
    if size is None:
        raise refused(400, "InvalidParameter", "Required parameter 'disk.diskSizeGB' is missing (null).")
    if before and size < before:
        raise refused(409, "OperationNotAllowed", "Disk is being shrunk: new size must be larger.")
    made["properties"].update(diskState="Unattached", diskIOPSReadWrite=120, diskMBpsReadWrite=25)
    if (old or {}).get("managedBy"):
        made["managedBy"] = old["managedBy"]  # type: ignore[index]
    if made["sku"]["name"].startswith("Premium"):
        made["properties"]["tier"] = "P6"
    made["properties"].setdefault("networkAccessPolicy", "AllowAll")


def shape_machine(peer: AzurePeer, key: str, made: Found, old: Found | None) -> None:
    properties = made["properties"]
    if not str(properties["hardwareProfile"]["vmSize"]).startswith("Standard_"):
        raise refused(400, "InvalidParameter", "The value of parameter hardwareProfile.vmSize is invalid.")
    for item in properties["networkProfile"]["networkInterfaces"]:
        others = [path for path in users(peer, item["id"].lower()) if path != key]
        if others:
            raise refused(409, "NicInUse", f"Network interface {item['id']} is used by {others[0]}.")
    properties["vmId"] = (old or {}).get("properties", {}).get("vmId") or str(uuid.uuid4())
    properties["_power"] = (old or {}).get("properties", {}).get("_power") or "running"
    disk = properties["storageProfile"]["osDisk"]
    name = disk.setdefault("name", f"{made['name']}_OsDisk_1_{uuid.uuid4().hex}")
    disk.setdefault("diskSizeGB", 30)
    group = made["id"].split("/providers/")[0]
    identity = f"{group}/providers/Microsoft.Compute/disks/{name}"
    disk.setdefault("managedDisk", {})["id"] = identity
    if identity.lower() not in peer.things:
        peer.things[identity.lower()] = {
            "id": identity,
            "name": name,
            "type": "Microsoft.Compute/disks",
            "location": made["location"],
            "tags": dict(made.get("tags") or {}),
            "managedBy": made["id"],
            "sku": {"name": disk["managedDisk"].get("storageAccountType") or "StandardSSD_LRS"},
            "properties": {"diskSizeGB": disk["diskSizeGB"], "creationData": {"createOption": "FromImage"}},
        }
    if made.get("identity", {}).get("type", "").startswith("SystemAssigned"):
        made["identity"].update(principalId=str(uuid.uuid4()), tenantId=str(uuid.uuid4()))


SHAPES: dict[str, Any] = {
    "VirtualNetwork": shape_network,
    "Subnet": shape_subnet,
    "NetworkInterface": shape_interface,
    "PublicIPAddress": shape_address,
    "Disk": shape_disk,
    "VirtualMachine": shape_machine,
}
