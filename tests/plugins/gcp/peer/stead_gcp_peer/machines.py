"""Instances: what happens to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stead_gcp_peer import things
from stead_gcp_peer.world import ACCOUNT, ADDRESS, Found, Problem, World, fingerprint, not_found

STOPPED = ("TERMINATED",)


def new(world: World, path: str, body: Found, template: str | None) -> Found:
    zone = "/".join(path.split("/")[:4])
    if zone not in world.things:
        raise not_found(zone)
    base = world.get(template)["properties"] if template else {}
    body = {**_from_template(base, zone), **body}
    if not body.get("machineType") or not body.get("networkInterfaces") or not body.get("disks"):
        raise Problem(400, "required", "machineType, networkInterfaces and disks are required")
    machine_type = things.full(world, body["machineType"])
    if path in world.things:
        raise Problem(409, "alreadyExists", f"The resource '{path}' already exists")
    _check_disks(world, body["disks"])
    interfaces = [_interface(world, item, index) for index, item in enumerate(body["networkInterfaces"])]
    thing = things.created(world, path, "instance", body, "PROVISIONING")
    thing.update(
        zone=ADDRESS + zone, machineType=machine_type, networkInterfaces=interfaces, cpuPlatform="Intel Broadwell"
    )
    thing["disks"] = [_disk(world, path, item, index) for index, item in enumerate(body["disks"])]
    _defaults(thing)
    return thing


def _from_template(properties: Found, zone: str) -> Found:
    if not properties:
        return {}
    result = dict(properties)
    if "machineType" in result:
        result["machineType"] = f"{zone}/machineTypes/{result['machineType']}"
    for disk in result.get("disks", ()):
        if "diskType" in disk.get("initializeParams", {}):
            kind = disk["initializeParams"]["diskType"].rpartition("/")[2]
            disk["initializeParams"]["diskType"] = f"{zone}/diskTypes/{kind}"
    return result


def _check_disks(world: World, disks: list[Found]) -> None:
    if sum(bool(disk.get("boot")) for disk in disks) != 1:
        raise Problem(400, "invalid", "Exactly one boot disk must be specified")
    for disk in disks:
        if disk.get("source"):
            _free(world, disk)
        elif disk.get("type") != "SCRATCH":
            things.image_of(world, disk.get("initializeParams", {}).get("sourceImage", "none"))


def _free(world: World, disk: Found) -> Found:
    found = world.things.get(world.path(disk["source"]))
    if found is None:
        raise Problem(404, "notFound", f"The resource '{disk['source']}' was not found")
    if found.get("users") and disk.get("mode", "READ_WRITE") == "READ_WRITE":
        raise Problem(
            400, "resourceInUseByAnotherResource", f"The disk resource '{disk['source']}' is already being used"
        )
    return found


def _disk(world: World, path: str, disk: Found, index: int) -> Found:
    """Attach it, or make it first."""
    result = {name: value for name, value in disk.items() if name not in ("initializeParams", "forceAttach")}
    result.update(kind="compute#attachedDisk", index=index)
    result.setdefault("mode", "READ_WRITE")
    result.setdefault("type", "PERSISTENT")
    result.setdefault("boot", False)
    result.setdefault("autoDelete", False)
    result.setdefault("deviceName", f"persistent-disk-{index}")
    result.setdefault("interface", "SCSI")
    if result["type"] == "SCRATCH":
        return result
    given = disk.get("source")
    made = world.get(given) if given else _made(world, path, disk.get("initializeParams", {}))
    made.setdefault("users", []).append(ADDRESS + path)
    result.update(source=made["selfLink"], diskSizeGb=made["sizeGb"])
    return result


def _made(world: World, path: str, parameters: Found) -> Found:
    names = {"sourceImage": "sourceImage", "labels": "labels", "diskSizeGb": "sizeGb", "diskType": "type"}
    body = {wire: parameters[name] for name, wire in names.items() if name in parameters}
    name = parameters.get("diskName", path.rpartition("/")[2])
    place = "/".join(path.split("/")[:4])
    return things.new_disk(world, f"{place}/disks/{name}", {"name": name, **body}, "READY")


def _interface(world: World, item: Found, index: int) -> Found:
    number = next(world.numbers) % 250
    project = "projects/acme-dev"
    result = {
        **item,
        "name": f"nic{index}",
        "networkIP": item.get("networkIP", f"10.128.0.{number}"),
        "stackType": "IPV4_ONLY",
    }
    result["network"] = things.full(world, item.get("network", f"{project}/global/networks/default"))
    result["subnetwork"] = item.get("subnetwork") or f"{ADDRESS}{project}/regions/us-central1/subnetworks/default"
    result["accessConfigs"] = [_access(world, config) for config in item.get("accessConfigs", ())]
    result["kind"] = "compute#networkInterface"
    result["fingerprint"] = fingerprint(result)
    return result


def _access(world: World, config: Found) -> Found:
    result = {"name": "External NAT", "type": "ONE_TO_ONE_NAT", "networkTier": "PREMIUM", **config}
    if "natIP" in result and not any(
        item.get("address") == result["natIP"] for item in world.all("addresses").values()
    ):
        raise Problem(400, "invalid", f"The specified external IP address '{result['natIP']}' was not found")
    return {"kind": "compute#accessConfig", "natIP": f"198.51.100.{next(world.numbers) % 250}", **result}


def _defaults(thing: Found) -> None:
    spot = thing.get("scheduling", {}).get("provisioningModel") == "SPOT"
    plan = {"onHostMaintenance": "TERMINATE" if spot else "MIGRATE", "automaticRestart": not spot, "preemptible": spot}
    thing["scheduling"] = {"provisioningModel": "STANDARD", **plan, **thing.get("scheduling", {})}
    shield = {"enableSecureBoot": False, "enableVtpm": True, "enableIntegrityMonitoring": True}
    thing["shieldedInstanceConfig"] = {**shield, **thing.get("shieldedInstanceConfig", {})}
    for account in thing.get("serviceAccounts", ()):
        account["email"] = ACCOUNT if account["email"] == "default" else account["email"]
    thing["metadata"] = {"kind": "compute#metadata", **thing.get("metadata", {})}
    thing["metadata"]["fingerprint"] = fingerprint(thing["metadata"].get("items", []))
    thing["tags"] = {"items": [], **thing.get("tags", {})}
    thing["tags"]["fingerprint"] = fingerprint(thing["tags"]["items"])
    if not thing["tags"]["items"]:
        thing["tags"].pop("items")
    thing.setdefault("deletionProtection", False)
    thing.setdefault("canIpForward", False)
    thing["startRestricted"] = False


def run(world: World, path: str) -> None:
    if path in world.things:
        world.things[path]["status"] = "RUNNING"


def delete(world: World, path: str) -> None:
    thing = world.get(path)
    for disk in thing.get("disks", ()):
        source = world.things.get(world.path(disk.get("source", "")))
        if source is not None:
            source["users"] = [user for user in source.get("users", ()) if not user.endswith(path)]
            if disk.get("autoDelete"):
                world.things.pop(world.path(disk["source"]))
    world.things.pop(path)


def stopped(world: World, path: str) -> Found:
    thing = world.get(path)
    if thing["status"] not in STOPPED:
        raise Problem(
            400, "resourceNotReady" if thing["status"] == "STAGING" else "invalid", "The instance must be stopped"
        )
    return thing


def _stop(world: World, thing: Found, status: str) -> None:
    thing["status"] = status
    for item in thing["networkInterfaces"]:
        for config in item.get("accessConfigs", ()):
            if not any(address.get("address") == config.get("natIP") for address in world.all("addresses").values()):
                config.pop("natIP", None)


def _start(world: World, thing: Found) -> None:
    thing["status"] = "RUNNING"
    for item in thing["networkInterfaces"]:
        item["accessConfigs"] = [_access(world, config) for config in item.get("accessConfigs", ())]


def action(world: World, path: str, verb: str, query: dict[str, str], body: Any) -> Callable[[], None]:
    """What a change does at its end. Refuses at once what is plainly wrong."""
    thing = world.get(path)
    if verb in ("setMachineType", "setServiceAccount", "setMinCpuPlatform", "updateDisplayDevice"):
        stopped(world, path)
    if verb == "setMachineType":
        things.full(world, body["machineType"])
    if verb == "start" and thing["status"] not in STOPPED:
        return lambda: None
    if verb == "attachDisk":
        _free(world, body)
    if verb == "setMetadata":
        things.expect(thing["metadata"]["fingerprint"], body.get("fingerprint"), "Metadata")
    if verb == "setTags":
        things.expect(thing["tags"]["fingerprint"], body.get("fingerprint"), "Tags")
    return lambda: _act(world, path, verb, query, body)


def _act(world: World, path: str, verb: str, query: dict[str, str], body: Any) -> None:
    thing = world.get(path)
    if verb in ("start", "resume"):
        _start(world, thing)
    elif verb in ("stop", "suspend"):
        _stop(world, thing, "TERMINATED" if verb == "stop" else "SUSPENDED")
    elif verb == "setMetadata":
        thing["metadata"] = {"kind": "compute#metadata", "items": body.get("items", [])}
        thing["metadata"]["fingerprint"] = fingerprint(body.get("items", []))
    elif verb == "setTags":
        thing["tags"] = {"items": body.get("items", []), "fingerprint": fingerprint(body.get("items", []))}
    elif verb == "setLabels":
        things.set_labels(world, path, body)
    else:
        _set(world, path, thing, verb, query, body)


def _set(world: World, path: str, thing: Found, verb: str, query: dict[str, str], body: Any) -> None:
    """What is set as it is given."""
    if verb == "setDeletionProtection":
        thing["deletionProtection"] = query.get("deletionProtection", "true") == "true"
    elif verb == "setMachineType":
        thing["machineType"] = ADDRESS + world.path(body["machineType"])
    elif verb == "setMinCpuPlatform":
        thing["minCpuPlatform"] = body["minCpuPlatform"]
    elif verb == "setServiceAccount":
        thing["serviceAccounts"] = [body] if body.get("email") else []
    elif verb == "setScheduling":
        thing["scheduling"] = {**thing["scheduling"], **body}
    elif verb == "updateShieldedInstanceConfig":
        thing["shieldedInstanceConfig"] = {**thing["shieldedInstanceConfig"], **body}
    elif verb == "updateDisplayDevice":
        thing["displayDevice"] = body
    elif verb == "update":
        thing.update({name: body[name] for name in ("canIpForward", "advancedMachineFeatures") if name in body})
    else:
        _wire(world, path, thing, verb, query, body)


def _wire(world: World, path: str, thing: Found, verb: str, query: dict[str, str], body: Any) -> None:
    """Disks and networks."""
    if verb == "attachDisk":
        thing["disks"].append(_disk(world, path, body, len(thing["disks"])))
        return
    if verb == "detachDisk":
        gone = next((disk for disk in thing["disks"] if disk["deviceName"] == query["deviceName"]), None)
        if gone is None:
            raise Problem(400, "invalid", "No attached disk found with device name")
        thing["disks"].remove(gone)
        world.get(gone["source"])["users"] = []
        return
    nic = next((item for item in thing["networkInterfaces"] if item["name"] == query["networkInterface"]), None)
    if nic is None:
        raise Problem(400, "invalid", f"There is no interface {query['networkInterface']}")
    if verb == "addAccessConfig":
        nic.setdefault("accessConfigs", []).append(_access(world, body))
    elif verb == "deleteAccessConfig":
        nic["accessConfigs"] = [item for item in nic["accessConfigs"] if item["name"] != query["accessConfig"]]
    elif verb == "updateNetworkInterface":
        things.expect(nic["fingerprint"], body.get("fingerprint"), "Interface")
        nic.update({name: body[name] for name in ("aliasIpRanges", "stackType") if name in body})
    else:
        raise Problem(501, "notImplemented", verb)
