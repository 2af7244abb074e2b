"""Every call that the plugin makes to Compute Engine, with the permissions that it takes.

There is no other way to call: the role that ``python -m stead_gcp.policy`` prints is made of this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One method of the SDK.

    :param client: ``Instances`` for ``InstancesClient``.
    :param request: class of its request.
    :param permissions: what IAM asks for, also for what the call refers to.
    """

    client: str
    method: str
    request: str
    permissions: tuple[str, ...]


def _call(client: str, method: str, request: str, *permissions: str) -> Call:
    return Call(
        client, method, request, tuple(f"compute.{name}" if name.count(".") == 1 else name for name in permissions)
    )


USE_NETWORK = ("subnetworks.use", "subnetworks.useExternalIp", "networks.use", "networks.useExternalIp")
ACT_AS = "iam.serviceAccounts.actAs"  # three parts: stands as it is

CALLS: dict[str, Call] = {
    "instances.get": _call("Instances", "get", "GetInstanceRequest", "instances.get"),
    "instances.aggregatedList": _call(
        "Instances", "aggregated_list", "AggregatedListInstancesRequest", "instances.list"
    ),
    "instances.insert": _call(
        "Instances",
        "insert_unary",
        "InsertInstanceRequest",
        "instances.create",
        "instances.setMetadata",
        "instances.setTags",
        "instances.setLabels",
        "instances.setServiceAccount",
        "instances.setDeletionProtection",
        "disks.create",
        "disks.setLabels",
        "disks.use",
        "disks.useReadOnly",
        "images.useReadOnly",
        "instanceTemplates.useReadOnly",
        "addresses.use",
        "resourcePolicies.use",
        *USE_NETWORK,
        ACT_AS,
    ),
    "instances.delete": _call("Instances", "delete_unary", "DeleteInstanceRequest", "instances.delete", "disks.delete"),
    "instances.start": _call("Instances", "start_unary", "StartInstanceRequest", "instances.start"),
    "instances.stop": _call("Instances", "stop_unary", "StopInstanceRequest", "instances.stop"),
    "instances.suspend": _call("Instances", "suspend_unary", "SuspendInstanceRequest", "instances.suspend"),
    "instances.resume": _call("Instances", "resume_unary", "ResumeInstanceRequest", "instances.resume"),
    "instances.setMetadata": _call(
        "Instances", "set_metadata_unary", "SetMetadataInstanceRequest", "instances.setMetadata", ACT_AS
    ),
    "instances.setTags": _call("Instances", "set_tags_unary", "SetTagsInstanceRequest", "instances.setTags"),
    "instances.setLabels": _call("Instances", "set_labels_unary", "SetLabelsInstanceRequest", "instances.setLabels"),
    "instances.setScheduling": _call(
        "Instances", "set_scheduling_unary", "SetSchedulingInstanceRequest", "instances.setScheduling"
    ),
    "instances.setDeletionProtection": _call(
        "Instances",
        "set_deletion_protection_unary",
        "SetDeletionProtectionInstanceRequest",
        "instances.setDeletionProtection",
    ),
    "instances.setMachineType": _call(
        "Instances", "set_machine_type_unary", "SetMachineTypeInstanceRequest", "instances.setMachineType"
    ),
    "instances.setMinCpuPlatform": _call(
        "Instances", "set_min_cpu_platform_unary", "SetMinCpuPlatformInstanceRequest", "instances.setMinCpuPlatform"
    ),
    "instances.setServiceAccount": _call(
        "Instances",
        "set_service_account_unary",
        "SetServiceAccountInstanceRequest",
        "instances.setServiceAccount",
        ACT_AS,
    ),
    "instances.updateShieldedInstanceConfig": _call(
        "Instances",
        "update_shielded_instance_config_unary",
        "UpdateShieldedInstanceConfigInstanceRequest",
        "instances.updateShieldedInstanceConfig",
    ),
    "instances.updateDisplayDevice": _call(
        "Instances",
        "update_display_device_unary",
        "UpdateDisplayDeviceInstanceRequest",
        "instances.updateDisplayDevice",
    ),
    "instances.update": _call("Instances", "update_unary", "UpdateInstanceRequest", "instances.update"),
    "instances.attachDisk": _call(
        "Instances",
        "attach_disk_unary",
        "AttachDiskInstanceRequest",
        "instances.attachDisk",
        "disks.use",
        "disks.useReadOnly",
    ),
    "instances.detachDisk": _call(
        "Instances", "detach_disk_unary", "DetachDiskInstanceRequest", "instances.detachDisk", "disks.use"
    ),
    "instances.addAccessConfig": _call(
        "Instances",
        "add_access_config_unary",
        "AddAccessConfigInstanceRequest",
        "instances.addAccessConfig",
        "addresses.use",
        *USE_NETWORK,
    ),
    "instances.deleteAccessConfig": _call(
        "Instances", "delete_access_config_unary", "DeleteAccessConfigInstanceRequest", "instances.deleteAccessConfig"
    ),
    "instances.updateNetworkInterface": _call(
        "Instances",
        "update_network_interface_unary",
        "UpdateNetworkInterfaceInstanceRequest",
        "instances.updateNetworkInterface",
        *USE_NETWORK,
    ),
    "instances.addResourcePolicies": _call(
        "Instances",
        "add_resource_policies_unary",
        "AddResourcePoliciesInstanceRequest",
        "instances.addResourcePolicies",
        "resourcePolicies.use",
    ),
    "instances.removeResourcePolicies": _call(
        "Instances",
        "remove_resource_policies_unary",
        "RemoveResourcePoliciesInstanceRequest",
        "instances.removeResourcePolicies",
    ),
    "instanceTemplates.get": _call("InstanceTemplates", "get", "GetInstanceTemplateRequest", "instanceTemplates.get"),
    "disks.get": _call("Disks", "get", "GetDiskRequest", "disks.get"),
    "disks.aggregatedList": _call("Disks", "aggregated_list", "AggregatedListDisksRequest", "disks.list"),
    "disks.insert": _call(
        "Disks",
        "insert_unary",
        "InsertDiskRequest",
        "disks.create",
        "disks.setLabels",
        "images.useReadOnly",
        "snapshots.useReadOnly",
        "disks.useReadOnly",
    ),
    "disks.delete": _call("Disks", "delete_unary", "DeleteDiskRequest", "disks.delete"),
    "disks.resize": _call("Disks", "resize_unary", "ResizeDiskRequest", "disks.resize"),
    "disks.setLabels": _call("Disks", "set_labels_unary", "SetLabelsDiskRequest", "disks.setLabels"),
    "disks.update": _call("Disks", "update_unary", "UpdateDiskRequest", "disks.update"),
    "disks.createSnapshot": _call(
        "Disks",
        "create_snapshot_unary",
        "CreateSnapshotDiskRequest",
        "disks.createSnapshot",
        "snapshots.create",
        "snapshots.setLabels",
    ),
    "addresses.get": _call("Addresses", "get", "GetAddressRequest", "addresses.get"),
    "addresses.aggregatedList": _call(
        "Addresses", "aggregated_list", "AggregatedListAddressesRequest", "addresses.list"
    ),
    "addresses.insert": _call(
        "Addresses",
        "insert_unary",
        "InsertAddressRequest",
        "addresses.create",
        "addresses.createInternal",
        "addresses.setLabels",
        "subnetworks.use",
        "networks.use",
    ),
    "addresses.delete": _call(
        "Addresses", "delete_unary", "DeleteAddressRequest", "addresses.delete", "addresses.deleteInternal"
    ),
    "addresses.setLabels": _call("Addresses", "set_labels_unary", "SetLabelsAddressRequest", "addresses.setLabels"),
    "firewalls.get": _call("Firewalls", "get", "GetFirewallRequest", "firewalls.get"),
    "firewalls.list": _call("Firewalls", "list", "ListFirewallsRequest", "firewalls.list"),
    "firewalls.insert": _call(
        "Firewalls", "insert_unary", "InsertFirewallRequest", "firewalls.create", "networks.updatePolicy"
    ),
    "firewalls.update": _call(
        "Firewalls", "update_unary", "UpdateFirewallRequest", "firewalls.update", "networks.updatePolicy"
    ),
    "firewalls.delete": _call(
        "Firewalls", "delete_unary", "DeleteFirewallRequest", "firewalls.delete", "networks.updatePolicy"
    ),
    "images.get": _call("Images", "get", "GetImageRequest", "images.get"),
    "images.list": _call("Images", "list", "ListImagesRequest", "images.list"),
    "images.getFromFamily": _call("Images", "get_from_family", "GetFromFamilyImageRequest", "images.getFromFamily"),
    "projects.get": _call("Projects", "get", "GetProjectRequest", "projects.get"),
    "zones.list": _call("Zones", "list", "ListZonesRequest", "zones.list"),
    "regions.list": _call("Regions", "list", "ListRegionsRequest", "regions.list"),
    "machineTypes.list": _call("MachineTypes", "list", "ListMachineTypesRequest", "machineTypes.list"),
    "zoneOperations.get": _call("ZoneOperations", "get", "GetZoneOperationRequest", "zoneOperations.get"),
    "regionOperations.get": _call("RegionOperations", "get", "GetRegionOperationRequest", "regionOperations.get"),
    "globalOperations.get": _call("GlobalOperations", "get", "GetGlobalOperationRequest", "globalOperations.get"),
}
# Beside Compute Engine: the name and number of the default service account.
OTHER_PERMISSIONS = ("iam.serviceAccounts.get",)


def permissions() -> tuple[str, ...]:
    """Everything that the plugin may need, sorted."""
    found = {name for call in CALLS.values() for name in call.permissions}
    return tuple(sorted(found.union(OTHER_PERMISSIONS)))
