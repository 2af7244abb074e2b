"""From the instance that the API tells to the one in Terraform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stead.api.provider import Context, is_known
from stead_gcp import instance_blocks as blocks
from stead_gcp import instance_body as body
from stead_gcp import labels as labelling
from stead_gcp.base import Found, given, observe, observe_all
from stead_gcp.cloud import cloud_of
from stead_gcp.links import link, name_of, part, relative, same_link, same_name
from stead_gcp.scopes import same_scopes

if TYPE_CHECKING:
    from stead_gcp.instance import Machine


def pairs_of(found: Found) -> dict[str, str]:
    items = (found.get("metadata") or {}).get("items", ())
    return {item["key"]: item.get("value", "") for item in items}


def assign(machine: Machine, context: Context, found: Found, *, refresh: bool) -> None:
    """Fill in what is unknown; with ``refresh`` also what has changed behind Terraform's back."""
    project, zone = machine.place(context).values()
    machine.id = f"projects/{project}/zones/{zone}/instances/{machine.name}"
    observe_all(
        machine,
        {"zone": zone, "machine_type": name_of(found.get("machineType"))},
        refresh=refresh,
        same=same_name,
    )
    observe_all(machine, _plain(found), refresh=refresh)
    for name, value in _fingerprints(found).items():
        setattr(machine, name, value)
    _metadata(machine, found, refresh=refresh)
    machine.observe_labels(context, found, refresh=refresh)
    if is_known(machine.desired_status) and machine.desired_status and refresh:
        machine.desired_status = found.get("status", "")
    _blocks(machine, found, refresh=refresh)
    _disks(machine, context, found, refresh=refresh)
    _interfaces(machine, found, refresh=refresh)


def _plain(found: Found) -> Found:
    """Arguments with one value."""
    return {
        "can_ip_forward": found.get("canIpForward", False),
        "deletion_protection": found.get("deletionProtection", False),
        "description": found.get("description", ""),
        "hostname": found.get("hostname", ""),
        "min_cpu_platform": found.get("minCpuPlatform", ""),
        "key_revocation_action_type": _revocation(found),
        "enable_display": (found.get("displayDevice") or {}).get("enableDisplay", False),
        "tags": set((found.get("tags") or {}).get("items", ())),
        "creation_timestamp": found.get("creationTimestamp", ""),
        "cpu_platform": found.get("cpuPlatform", ""),
        "instance_id": found.get("id", ""),
        "self_link": found.get("selfLink", ""),
    }


def _revocation(found: Found) -> str:
    told = str(found.get("keyRevocationActionType", ""))
    return "" if told == "KEY_REVOCATION_ACTION_TYPE_UNSPECIFIED" else told


def _fingerprints(found: Found) -> Found:
    """What is never planned."""
    return {
        "current_status": found.get("status", ""),
        "metadata_fingerprint": (found.get("metadata") or {}).get("fingerprint", ""),
        "tags_fingerprint": (found.get("tags") or {}).get("fingerprint", ""),
        "label_fingerprint": found.get("labelFingerprint", ""),
    }


def _metadata(machine: Machine, found: Found, *, refresh: bool) -> None:
    pairs = pairs_of(found)
    if given(machine.metadata_startup_script) is not None:
        script = pairs.pop(body.STARTUP, "")
        observe(machine, "metadata_startup_script", script, refresh=refresh)
    observe(machine, "metadata", pairs, refresh=refresh)
    observe(machine, "metadata_startup_script", "", refresh=False)


def _blocks(machine: Machine, found: Found, *, refresh: bool) -> None:
    """Blocks without an order of their own. What no template has written stays out of the state."""
    if not is_known(machine.guest_accelerator):
        machine.guest_accelerator = [
            blocks.GuestAccelerator(type=name_of(item["acceleratorType"]), count=item.get("acceleratorCount", 0))
            for item in found.get("guestAccelerators", ())
        ]
    observe(machine, "resource_policies", list(found.get("resourcePolicies", ())), refresh=refresh, same=_same_links)
    for item in machine.service_account:
        account: Found = next(iter(found.get("serviceAccounts", ())), {})
        observe(item, "email", account.get("email", ""), refresh=refresh, same=_same_account)
        observe(item, "scopes", set(account.get("scopes", ())), refresh=refresh, same=same_scopes)
    for plan in machine.scheduling:
        _scheduling(plan, found.get("scheduling") or {}, refresh=refresh)
    for shield in machine.shielded_instance_config:
        told = found.get("shieldedInstanceConfig") or {}
        names = {"secure_boot": "SecureBoot", "vtpm": "Vtpm", "integrity_monitoring": "IntegrityMonitoring"}
        values = {f"enable_{name}": told.get(f"enable{wire}", False) for name, wire in names.items()}
        observe_all(shield, values, refresh=refresh)
    for key in machine.instance_encryption_key:
        told = found.get("instanceEncryptionKey") or {}
        observe_all(
            key, {"kms_key_self_link": told.get("kmsKeyName", ""), "sha256": told.get("sha256", "")}, refresh=False
        )


def _scheduling(plan: blocks.Scheduling, told: Found, *, refresh: bool) -> None:
    observe_all(
        plan,
        {
            "automatic_restart": told.get("automaticRestart", False),
            "instance_termination_action": told.get("instanceTerminationAction", ""),
            "on_host_maintenance": told.get("onHostMaintenance", ""),
            "preemptible": told.get("preemptible", False),
            "provisioning_model": told.get("provisioningModel", ""),
            "min_node_cpus": told.get("minNodeCpus", 0),
        },
        refresh=refresh,
    )


def _same_links(one: Any, other: Any) -> bool:
    return len(one or ()) == len(other or ()) and all(map(same_link, one or (), other or ()))


def _same_account(one: Any, other: Any) -> bool:
    return bool(one == other or one in (None, "", "default"))


def boot_of(found: Found) -> Found:
    return next((disk for disk in found.get("disks", ()) if disk.get("boot")), {})


def _disks(machine: Machine, context: Context, found: Found, *, refresh: bool) -> None:
    boot = boot_of(found)
    for item in machine.boot_disk:
        observe_all(item, {"device_name": boot.get("deviceName", "")}, refresh=False)
        observe(item, "source", boot.get("source", ""), refresh=False, same=same_link)
        features = [feature.get("type", "") for feature in boot.get("guestOsFeatures", ())]
        observe(item, "guest_os_features", features, refresh=False)
        _encryption(item, boot)
        for parameters in item.initialize_params:
            _made_disk(parameters, context, boot)
    scratch = [disk for disk in found.get("disks", ()) if disk.get("type") == "SCRATCH"]
    for local, told in zip(machine.scratch_disk, scratch, strict=False):
        observe(local, "device_name", told.get("deviceName", ""), refresh=False)
    _attached(machine, context, found, refresh=refresh)


def _attached(machine: Machine, context: Context, found: Found, *, refresh: bool) -> None:
    kept = []
    for disk in machine.attached_disk:
        told = attached_as(machine, context, found, disk.source)
        if told is None and refresh:
            continue  # so that the next plan attaches it again
        if told is not None:
            observe(disk, "device_name", told.get("deviceName", ""), refresh=refresh)
            observe(disk, "mode", told.get("mode", "READ_WRITE"), refresh=refresh)
            _encryption(disk, told)
        kept.append(disk)
    machine.attached_disk = kept


def attached_as(machine: Machine, context: Context, found: Found, source: str) -> Found | None:
    """How a disk is attached to the instance, or ``None``."""
    project, zone = machine.place(context).values()
    wanted = link(source, project, f"zones/{zone}", "disks")
    return next((disk for disk in found.get("disks", ()) if same_link(disk.get("source"), wanted)), None)


def _encryption(disk: blocks.BootDisk | blocks.AttachedDisk, told: Found) -> None:
    key = told.get("diskEncryptionKey") or {}
    observe(disk, "disk_encryption_key_sha256", key.get("sha256", ""), refresh=False)
    observe(disk, "kms_key_self_link", key.get("kmsKeyName", ""), refresh=False)


def _made_disk(parameters: blocks.InitializeParams, context: Context, boot: Found) -> None:
    """What only the disk itself tells; asked where something of it is not known yet."""
    names = [field.key for field in parameters.schema().attributes.values()]
    if all(is_known(getattr(parameters, name)) for name in names):
        return
    path = relative(boot.get("source", ""))
    here = {"project": part(path, "projects"), "zone": part(path, "zones"), "disk": name_of(path)}
    found = cloud_of(context).find(context, f"Disk {name_of(path)} could not be read", "disks.get", **here) or {}
    observe_all(
        parameters,
        {
            "size": int(found.get("sizeGb", 0)),
            "type": name_of(found.get("type")),
            "image": found.get("sourceImage", ""),
            "architecture": found.get("architecture", ""),
            "labels": labelling.visible(found.get("labels")),
            "resource_policies": list(found.get("resourcePolicies", ())),
            "provisioned_iops": int(found.get("provisionedIops", 0)),
            "provisioned_throughput": int(found.get("provisionedThroughput", 0)),
        },
        refresh=False,
    )


def _interfaces(machine: Machine, found: Found, *, refresh: bool) -> None:
    told = found.get("networkInterfaces", ())
    for item, seen in zip(machine.network_interface, told, strict=False):
        links = {name: seen.get(name, "") for name in ("network", "subnetwork")}
        links["network_attachment"] = seen.get("networkAttachment", "")
        observe_all(item, links, refresh=refresh, same=same_link)
        observe_all(
            item,
            {
                "subnetwork_project": part(relative(seen.get("subnetwork", "")), "projects"),
                "network_ip": seen.get("networkIP", ""),
                "name": seen.get("name", ""),
                "stack_type": seen.get("stackType", ""),
                "ipv6_access_type": seen.get("ipv6AccessType", ""),
                "ipv6_address": seen.get("ipv6Address", ""),
                "internal_ipv6_prefix_length": seen.get("internalIpv6PrefixLength", 0),
            },
            refresh=refresh,
        )
        _accesses(item, seen, refresh=refresh)


def _accesses(item: blocks.NetworkInterface, seen: Found, *, refresh: bool) -> None:
    told = list(seen.get("accessConfigs", ()))
    if refresh and len(told) != len(item.access_config):
        item.access_config = [blocks.AccessConfig() for _ in told]
    for config, outside in zip(item.access_config, told, strict=False):
        values = {"nat_ip": outside.get("natIP", ""), "network_tier": outside.get("networkTier", "")}
        observe_all(config, values, refresh=refresh)
    for further, outside in zip(item.ipv6_access_config, seen.get("ipv6AccessConfigs", ()), strict=False):
        values = {
            "external_ipv6": outside.get("externalIpv6", ""),
            "external_ipv6_prefix_length": str(outside.get("externalIpv6PrefixLength", "")),
            "name": outside.get("name", ""),
        }
        observe_all(further, values, refresh=refresh)
