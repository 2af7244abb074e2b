"""What Azure tells of a machine, as the state has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stead.api.provider import Context, is_known
from stead_azure import ids
from stead_azure import machine_blocks as blocks
from stead_azure.base import given, referred
from stead_azure.cloud import Found, cloud_of
from stead_azure.operations import IP_KIND, NIC_KIND

if TYPE_CHECKING:
    from stead_azure.machine import LinuxMachine

REFERENCES = {
    "availability_set_id": "availabilitySet",
    "virtual_machine_scale_set_id": "virtualMachineScaleSet",
    "proximity_placement_group_id": "proximityPlacementGroup",
    "dedicated_host_id": "host",
    "dedicated_host_group_id": "hostGroup",
}


def power(found: Found) -> str:
    """``running``, ``deallocated``, ``stopped`` …; a machine on its way somewhere counts as there."""
    statuses = (found["properties"].get("instanceView") or {}).get("statuses") or ()
    codes = [str(item.get("code", "")) for item in statuses]
    states = [code.partition("/")[2].lower() for code in codes if code.lower().startswith("powerstate/")]
    on_the_way = {"starting": "running", "deallocating": "deallocated", "stopping": "stopped"}
    return on_the_way.get(states[-1], states[-1]) if states else "unknown"


def assign(machine: LinuxMachine, context: Context, found: Found) -> None:
    """Fill in what only Azure knows."""
    properties = found["properties"]
    storage, profile = properties.get("storageProfile") or {}, properties.get("osProfile") or {}
    machine.id = machine.made_id(context)
    machine.virtual_machine_id = properties.get("vmId") or ""
    machine.power_state = power(found)
    disk = storage.get("osDisk") or {}
    values: dict[str, Any] = {
        "computer_name": profile.get("computerName") or "",
        "os_managed_disk_id": referred(disk.get("managedDisk")),
        "allow_extension_operations": profile.get("allowExtensionOperations", True),
        "disk_controller_type": storage.get("diskControllerType") or "",
        "vm_agent_platform_updates_enabled": False,
    }
    _settle(machine, values)
    _settle(
        machine.os_disk[0],
        {
            "name": disk.get("name") or "",
            "disk_size_gb": disk.get("diskSizeGB") or 0,
            "id": referred(disk.get("managedDisk")),
        },
    )
    whose = found.get("identity") or {}
    for item in machine.identity_block:
        item.principal_id, item.tenant_id = whose.get("principalId") or "", whose.get("tenantId") or ""
    _assign_addresses(machine, context, properties)


def _settle(target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if not is_known(getattr(target, name)):
            setattr(target, name, value)


def _assign_addresses(machine: LinuxMachine, context: Context, properties: Found) -> None:
    private, public = _addresses(context, properties)
    machine.private_ip_addresses, machine.public_ip_addresses = private, public
    machine.private_ip_address = next(iter(private), "")
    machine.public_ip_address = next(iter(public), "")


def _addresses(context: Context, properties: Found) -> tuple[list[str], list[str]]:
    private: list[str] = []
    public: list[str] = []
    cloud, doing = cloud_of(context), "The addresses of a machine could not be read"
    for item in (properties.get("networkProfile") or {}).get("networkInterfaces") or ():
        interface = ids.parse(item["id"])
        found = cloud.find(context, doing, NIC_KIND.get, interface.group, interface.name) if interface else None
        for configuration in (found or {}).get("properties", {}).get("ipConfigurations") or ():
            private.append(configuration["properties"].get("privateIPAddress") or "")
            outside = ids.parse(referred(configuration["properties"].get("publicIPAddress")))
            if outside is not None:
                address = cloud.find(context, doing, IP_KIND.get, outside.group, outside.name) or {}
                public.append(address.get("properties", {}).get("ipAddress") or "")
    return [item for item in private if item], [item for item in public if item]


def refresh(machine: LinuxMachine, found: Found) -> None:
    """Take over what may have drifted. Azure never tells passwords and start scripts."""
    properties = found["properties"]
    machine.read_location(found)
    machine.read_tags(found)
    machine.size = properties["hardwareProfile"]["vmSize"]
    _refresh_interfaces(machine, properties)
    machine.zone = next(iter(found.get("zones") or ()), None)
    machine.priority = properties.get("priority") or "Regular"
    machine.eviction_policy = properties.get("evictionPolicy") or None
    machine.max_bid_price = (properties.get("billingProfile") or {}).get("maxPrice", -1)
    machine.license_type = properties.get("licenseType") or None
    machine.extensions_time_budget = properties.get("extensionsTimeBudget") or "PT1H30M"
    machine.platform_fault_domain = properties.get("platformFaultDomain", -1)
    for name, wire in REFERENCES.items():
        seen = referred(properties.get(wire)) or None
        if not ids.same(seen, given(getattr(machine, name))):
            setattr(machine, name, seen)
    if "userData" in properties:
        machine.user_data = properties["userData"] or None
    _refresh_profile(machine, properties)
    _refresh_disk(machine, properties)
    _refresh_identity(machine, found)
    boot = (properties.get("diagnosticsProfile") or {}).get("bootDiagnostics") or {}
    machine.boot_diagnostics = (
        [blocks.BootDiagnostics(storage_account_uri=boot.get("storageUri") or None)] if boot.get("enabled") else []
    )


def _refresh_interfaces(machine: LinuxMachine, properties: Found) -> None:
    found = [item["id"] for item in (properties.get("networkProfile") or {}).get("networkInterfaces") or ()]
    mine = given(machine.network_interface_ids) or []
    if [item.lower() for item in found] != [item.lower() for item in mine]:
        machine.network_interface_ids = found


def _refresh_profile(machine: LinuxMachine, properties: Found) -> None:
    profile = properties.get("osProfile")
    if not profile:
        return
    linux = profile.get("linuxConfiguration") or {}
    patching = linux.get("patchSettings") or {}
    machine.admin_username = profile.get("adminUsername") or None
    machine.computer_name = profile.get("computerName") or ""
    machine.allow_extension_operations = profile.get("allowExtensionOperations", True)
    machine.disable_password_authentication = linux.get("disablePasswordAuthentication", True)
    machine.provision_vm_agent = linux.get("provisionVMAgent", True)
    machine.patch_mode = patching.get("patchMode") or "ImageDefault"
    machine.patch_assessment_mode = patching.get("assessmentMode") or "ImageDefault"
    seen = [_key(item) for item in (linux.get("ssh") or {}).get("publicKeys") or ()]
    if {_plain(item) for item in seen} != {_plain(item) for item in machine.admin_ssh_key}:
        machine.admin_ssh_key = seen


def _key(item: Found) -> blocks.AdminSshKey:
    path = str(item.get("path") or "").removeprefix("/home/")
    return blocks.AdminSshKey(username=path.partition("/")[0], public_key=item.get("keyData") or "")


def _plain(key: blocks.AdminSshKey) -> tuple[str, str]:
    return key.username, " ".join(key.public_key.split())


def _refresh_disk(machine: LinuxMachine, properties: Found) -> None:
    storage = properties.get("storageProfile") or {}
    found, image = storage.get("osDisk") or {}, storage.get("imageReference") or {}
    if not machine.os_disk:
        machine.os_disk = [blocks.OsDisk(caching="None")]
    disk, managed = machine.os_disk[0], found.get("managedDisk") or {}
    disk.caching = found.get("caching") or "None"
    disk.name, disk.id = found.get("name"), referred(managed)
    disk.write_accelerator_enabled = bool(found.get("writeAcceleratorEnabled"))
    # Of a deallocated machine Azure tells neither size nor type.
    disk.disk_size_gb = found.get("diskSizeGB") or given(disk.disk_size_gb)
    disk.storage_account_type = managed.get("storageAccountType") or given(disk.storage_account_type)
    local = found.get("diffDiskSettings") or {}
    disk.diff_disk_settings = (
        [blocks.DiffDisk(option=local["option"], placement=local.get("placement") or "CacheDisk")] if local else []
    )
    machine.os_managed_disk_id = referred(managed) or given(machine.os_managed_disk_id)
    machine.disk_controller_type = storage.get("diskControllerType") or given(machine.disk_controller_type)
    machine.source_image_id = (
        image.get("id") or image.get("communityGalleryImageId") or image.get("sharedGalleryImageId")
    )
    machine.source_image_reference = (
        [blocks.ImageReference(**{name: image[name] for name in ("publisher", "offer", "sku", "version")})]
        if image.get("publisher")
        else []
    )


def _refresh_identity(machine: LinuxMachine, found: Found) -> None:
    whose = found.get("identity") or {}
    kind = whose.get("type") or "None"
    if kind == "None":
        machine.identity_block = []
        return
    seen = set(whose.get("userAssignedIdentities") or ()) or None
    before = machine.identity_block[0] if machine.identity_block else None
    if before is not None and {item.lower() for item in before.identity_ids or ()} == {i.lower() for i in seen or ()}:
        seen = before.identity_ids
    machine.identity_block = [blocks.Identity(type=kind, identity_ids=seen, principal_id="", tenant_id="")]
