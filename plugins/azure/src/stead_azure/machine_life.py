"""Changes of a machine, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stead.api.errors import CapacityExhausted, ProviderFailure, QuotaExceeded
from stead.api.provider import Context
from stead_azure import ids, machine_body
from stead_azure import machine_view as view
from stead_azure.base import given, pruned, referred
from stead_azure.cloud import Found, cloud_of
from stead_azure.operations import DISK_KIND, DISK_UPDATE, MACHINE_START, MACHINE_STOP, MACHINE_UPDATE

if TYPE_CHECKING:
    from stead_azure.machine import LinuxMachine

# What Azure changes only while the machine has no host.
COLD = ("hardwareProfile", "networkProfile", "additionalCapabilities", "host", "hostGroup", "proximityPlacementGroup")


def field(failure: ProviderFailure) -> str | None:
    """At which attribute a failure points."""
    words = failure.message.lower()
    if isinstance(failure, CapacityExhausted | QuotaExceeded) or "vmsize" in words or "hardwareprofile" in words:
        return "size"
    if "image" in words:
        return "source_image_reference"
    return "network_interface_ids" if "networkinterface" in words.replace(" ", "") else None


def start(machine: LinuxMachine, context: Context) -> None:
    doing = f"{machine.called} could not be started"
    cloud_of(context).ask(context, doing, MACHINE_START, *machine.names(), field=field)


def deallocate(machine: LinuxMachine, context: Context) -> None:
    """Give the host back: what a machine has in memory and on its temporary disk goes, everything else stays."""
    doing = f"{machine.called} could not be deallocated"
    cloud_of(context).ask(context, doing, MACHINE_STOP, *machine.names())


def update(machine: LinuxMachine, context: Context, prior: LinuxMachine) -> None:
    found = machine.must_look(context, expand="instanceView")
    wanted = given(machine.power_state) or prior.power_state
    body, grown = _changes(machine, context, prior, found), _grown(machine, prior)
    power = view.power(found)
    cold = grown or any(name in COLD for name in body.get("properties", ()))
    if power != "deallocated" and (wanted == "deallocated" or cold):
        deallocate(machine, context)
        power = "deallocated"
    if grown:
        _grow(machine, context, found, grown)
    if body:
        doing = f"{machine.called} could not be changed"
        cloud_of(context).patient(context, doing, MACHINE_UPDATE, *machine.names(), body, field=field)
    if wanted == "running" and power != "running":
        start(machine, context)


def _changes(machine: LinuxMachine, context: Context, prior: LinuxMachine, found: Found) -> Found:
    """What to patch: only what differs."""
    before, after = machine_body.changeable(prior), machine_body.changeable(machine)
    properties = {name: value for name, value in after.items() if value != before.get(name)}
    if "diagnosticsProfile" in properties and properties["diagnosticsProfile"] is None:
        properties["diagnosticsProfile"] = {"bootDiagnostics": {"enabled": False}}
    if "userData" in properties and properties["userData"] is None:
        properties["userData"] = ""
    if profile := _profile(machine, prior):
        properties["osProfile"] = profile
    if disk := _disk(machine, prior):
        properties["storageProfile"] = {"osDisk": disk}
    host = given(machine.encryption_at_host_enabled)
    if host != given(prior.encryption_at_host_enabled):
        properties["securityProfile"] = {"encryptionAtHost": bool(host)}
    body: Found = {"properties": pruned(properties)} if properties else {}
    if given(machine.tags) != given(prior.tags):
        body["tags"] = machine.all_tags(context, found)
    if machine_body.identity(machine) != machine_body.identity(prior):
        body["identity"] = pruned(_identity(machine, prior))
    return body


def _identity(machine: LinuxMachine, prior: LinuxMachine) -> Found:
    """Azure removes a user-assigned identity where it is named with nothing."""
    wanted = machine_body.identity(machine) or {"type": "None"}
    before = (machine_body.identity(prior) or {}).get("userAssignedIdentities") or {}
    after = wanted.get("userAssignedIdentities") or {}
    return {**wanted, "userAssignedIdentities": {**dict.fromkeys(before), **after} or None}


def _profile(machine: LinuxMachine, prior: LinuxMachine) -> Found | None:
    changed: Found = {}
    if machine_body.patches(machine) != machine_body.patches(prior):
        changed["linuxConfiguration"] = {"patchSettings": machine_body.patches(machine)}
    extensions = given(machine.allow_extension_operations)
    if extensions is not None and extensions != given(prior.allow_extension_operations):
        changed["allowExtensionOperations"] = extensions
    if machine_body.secrets(machine) != machine_body.secrets(prior):
        changed["secrets"] = machine_body.secrets(machine) or []
    return changed or None


def _disk(machine: LinuxMachine, prior: LinuxMachine) -> Found | None:
    names = {"caching": "caching", "write_accelerator_enabled": "writeAcceleratorEnabled"}
    now, before = machine.os_disk[0], prior.os_disk[0]
    changed = {wire: getattr(now, name) for name, wire in names.items() if getattr(now, name) != getattr(before, name)}
    return changed or None


def _grown(machine: LinuxMachine, prior: LinuxMachine) -> int:
    """The new size of the system's disk, 0 where it stays."""
    now, before = given(machine.os_disk[0].disk_size_gb), given(prior.os_disk[0].disk_size_gb)
    return int(now) if now and now != before else 0


def _grow(machine: LinuxMachine, context: Context, found: Found, size: int) -> None:
    disk = ids.parse(_disk_id(found))
    if disk is None:
        raise ProviderFailure(f"The disk of {machine.name} cannot be found.", field="os_disk[0].disk_size_gb")
    doing = f"The disk of {machine.name} could not be made larger"
    body = {"properties": {"diskSizeGB": size}}
    cloud_of(context).patient(context, doing, DISK_UPDATE, disk.group, disk.name, body, field="os_disk[0].disk_size_gb")


def _disk_id(found: Found) -> str:
    return referred((found["properties"].get("storageProfile", {}).get("osDisk") or {}).get("managedDisk"))


def remove(machine: LinuxMachine, context: Context, delete: Callable[..., bool]) -> bool:
    """Delete it, and its disk where Azure does not do that by itself."""
    provider = context.provider
    found = machine.look(context)
    disk = (found or {}).get("properties", {}).get("storageProfile", {}).get("osDisk") or {}
    options = {"force_deletion": True} if provider.forces_machines else {}  # type: ignore[union-attr]
    gone = delete(**options)
    left = ids.parse(referred(disk.get("managedDisk"))) if disk.get("deleteOption") != "Delete" else None
    if left is not None and provider.deletes_os_disks and not _brought(machine):  # type: ignore[union-attr]
        doing = f"Disk {left.name} of machine {machine.name} could not be deleted"
        cloud_of(context).remove(context, doing, DISK_KIND.delete, left.group, left.name)
    return gone


def _brought(machine: LinuxMachine) -> bool:
    """Whether the disk was there before the machine: it has no image."""
    return not machine.source_image_reference and not given(machine.source_image_id)
