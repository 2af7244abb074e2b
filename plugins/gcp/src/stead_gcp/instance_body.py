"""From an instance in Terraform to the one that the API takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stead.api.provider import Context
from stead_gcp import images
from stead_gcp import labels as labelling
from stead_gcp.base import Found, given, without_nothing
from stead_gcp.instance_blocks import (
    AccessConfig,
    AttachedDisk,
    BootDisk,
    InitializeParams,
    NetworkInterface,
    Scheduling,
)
from stead_gcp.links import link, region_of
from stead_gcp.scopes import scope

if TYPE_CHECKING:
    from stead_gcp.instance import Machine

STARTUP = "startup-script"


def metadata(machine: Machine) -> Found:
    """Key-value pairs in the form that the API takes."""
    pairs = dict(given(machine.metadata) or {})
    if given(machine.metadata_startup_script):
        pairs[STARTUP] = machine.metadata_startup_script
    return {"items": [{"key": key, "value": value} for key, value in sorted(pairs.items())]}


def whole(machine: Machine, context: Context) -> Found:
    """What the API gets to make the instance."""
    project, zone = machine.place(context).values()
    kind = given(machine.machine_type)
    pairs = metadata(machine)
    body = {
        "name": machine.name,
        "description": given(machine.description),
        "hostname": given(machine.hostname),
        "machineType": link(kind, project, f"zones/{zone}", "machineTypes") if kind else None,
        "minCpuPlatform": given(machine.min_cpu_platform) or None,
        "canIpForward": given(machine.can_ip_forward),
        "deletionProtection": given(machine.deletion_protection),
        "keyRevocationActionType": given(machine.key_revocation_action_type),
        "labels": machine.labels_to_make(context),
        "metadata": pairs if pairs["items"] else None,
        "tags": {"items": sorted(machine.tags or ())} if given(machine.tags) else None,
        "disks": disks(machine, context),
        "networkInterfaces": [interface(item, project, zone) for item in machine.network_interface],
        "serviceAccounts": service_accounts(machine),
        "scheduling": scheduling(machine.scheduling[0]) if machine.scheduling else None,
        "guestAccelerators": accelerators(machine, project, zone),
        "displayDevice": {"enableDisplay": True} if given(machine.enable_display) else None,
        "resourcePolicies": policies(given(machine.resource_policies), project, zone),
    }
    return without_nothing({**body, **_special(machine)})


def _special(machine: Machine) -> Found:
    """What few machines have."""
    parameters, performance = machine.params, machine.network_performance_config
    return {
        "shieldedInstanceConfig": shielded(machine),
        "advancedMachineFeatures": features(machine),
        "confidentialInstanceConfig": _confidential(machine),
        "networkPerformanceConfig": (
            {"totalEgressBandwidthTier": performance[0].total_egress_bandwidth_tier} if performance else None
        ),
        "reservationAffinity": _reservation(machine),
        "instanceEncryptionKey": images.encryption_key(machine.instance_encryption_key[0])
        if machine.instance_encryption_key
        else None,
        "params": {"resourceManagerTags": parameters[0].resource_manager_tags} if parameters else None,
    }


def disks(machine: Machine, context: Context) -> list[Found]:
    project, zone = machine.place(context).values()
    boot = [_boot(item, machine, context) for item in machine.boot_disk]
    scratch = [
        without_nothing(
            {
                "type": "SCRATCH",
                "autoDelete": True,
                "interface": item.interface,
                "deviceName": given(item.device_name),
                "diskSizeGb": str(item.size),
                "initializeParams": {"diskType": link("local-ssd", project, f"zones/{zone}", "diskTypes")},
            }
        )
        for item in machine.scratch_disk
    ]
    return boot + scratch + [attached(item, project, zone) for item in machine.attached_disk]


def _boot(disk: BootDisk, machine: Machine, context: Context) -> Found:
    project, zone = machine.place(context).values()
    source = given(disk.source)
    parameters = disk.initialize_params[0] if disk.initialize_params else None
    return without_nothing(
        {
            "boot": True,
            "type": "PERSISTENT",
            "autoDelete": disk.auto_delete,
            "deviceName": given(disk.device_name),
            "mode": disk.mode,
            "interface": disk.interface,
            "forceAttach": disk.force_attach,
            "guestOsFeatures": [{"type": name} for name in given(disk.guest_os_features) or ()],
            "source": link(source, project, f"zones/{zone}", "disks") if source else None,
            "diskEncryptionKey": _key(disk),
            "initializeParams": _initialize(parameters, disk, machine, context) if not source else None,
        }
    )


def _initialize(parameters: InitializeParams | None, disk: BootDisk, machine: Machine, context: Context) -> Found:
    project, zone = machine.place(context).values()
    chosen = parameters or InitializeParams()
    image, kind = given(chosen.image), given(chosen.type)
    # A disk that the template wants to outlive the instance must not look like something left over.
    own = labelling.own(context.labels) if disk.auto_delete else {}
    field = "boot_disk[0].initialize_params[0].image"
    numbers = {
        "diskSizeGb": given(chosen.size),
        "provisionedIops": given(chosen.provisioned_iops),
        "provisionedThroughput": given(chosen.provisioned_throughput),
    }
    return without_nothing(
        {
            "sourceImage": images.resolve(context, image, project, field) if image else None,
            "sourceSnapshot": link(chosen.snapshot, project, "global", "snapshots") if chosen.snapshot else None,
            "diskType": link(kind, project, f"zones/{zone}", "diskTypes") if kind else None,
            "architecture": given(chosen.architecture),
            "labels": {**(given(chosen.labels) or {}), **own},
            "resourceManagerTags": chosen.resource_manager_tags,
            "resourcePolicies": policies(given(chosen.resource_policies), project, zone),
            "enableConfidentialCompute": chosen.enable_confidential_compute,
            "storagePool": link(chosen.storage_pool, project, f"zones/{zone}", "storagePools")
            if chosen.storage_pool
            else None,
            "sourceImageEncryptionKey": _first_key(chosen.source_image_encryption_key),
            "sourceSnapshotEncryptionKey": _first_key(chosen.source_snapshot_encryption_key),
            **{name: str(value) for name, value in numbers.items() if value},
        }
    )


def _first_key(keys: list[Any]) -> Found | None:
    return images.encryption_key(keys[0]) if keys else None


def _key(disk: BootDisk | AttachedDisk) -> Found | None:
    key = {
        "rawKey": disk.disk_encryption_key_raw,
        "rsaEncryptedKey": disk.disk_encryption_key_rsa,
        "kmsKeyName": given(disk.kms_key_self_link),
        "kmsKeyServiceAccount": disk.disk_encryption_service_account,
    }
    return {name: value for name, value in key.items() if value} or None


def attached(disk: AttachedDisk, project: str, zone: str) -> Found:
    return without_nothing(
        {
            "source": link(disk.source, project, f"zones/{zone}", "disks"),
            "deviceName": given(disk.device_name),
            "mode": disk.mode,
            "forceAttach": disk.force_attach,
            "diskEncryptionKey": _key(disk),
        }
    )


def interface(item: NetworkInterface, project: str, zone: str) -> Found:
    network, subnetwork = given(item.network), given(item.subnetwork)
    owner = given(item.subnetwork_project) or project
    region = f"regions/{region_of(zone)}"
    return without_nothing(
        {
            "network": link(network, project, "global", "networks") if network else None,
            "subnetwork": link(subnetwork, owner, region, "subnetworks") if subnetwork else None,
            "networkIP": given(item.network_ip),
            "networkAttachment": given(item.network_attachment),
            "nicType": item.nic_type,
            "stackType": given(item.stack_type) or None,
            "ipv6Address": given(item.ipv6_address),
            "internalIpv6PrefixLength": given(item.internal_ipv6_prefix_length),
            "queueCount": item.queue_count,
            "accessConfigs": [access(config) for config in item.access_config],
            "aliasIpRanges": aliases(item),
            "ipv6AccessConfigs": [
                without_nothing(
                    {
                        "type": "DIRECT_IPV6",
                        "networkTier": config.network_tier,
                        "publicPtrDomainName": config.public_ptr_domain_name,
                        "name": given(config.name),
                        "externalIpv6": given(config.external_ipv6),
                    }
                )
                for config in item.ipv6_access_config
            ],
        }
    )


def access(config: AccessConfig) -> Found:
    name = config.public_ptr_domain_name
    return without_nothing(
        {
            "type": "ONE_TO_ONE_NAT",
            "name": "External NAT",
            "natIP": given(config.nat_ip) or None,
            "networkTier": given(config.network_tier) or None,
            "setPublicPtr": True if name else None,
            "publicPtrDomainName": name,
        }
    )


def aliases(item: NetworkInterface) -> list[Found]:
    return [
        without_nothing({"ipCidrRange": alias.ip_cidr_range, "subnetworkRangeName": alias.subnetwork_range_name})
        for alias in item.alias_ip_range
    ]


def service_accounts(machine: Machine) -> list[Found]:
    return [
        {"email": given(item.email) or "default", "scopes": sorted(map(scope, item.scopes))}
        for item in machine.service_account
    ]


def scheduling(item: Scheduling) -> Found:
    spans = {"maxRunDuration": item.max_run_duration, "localSsdRecoveryTimeout": item.local_ssd_recovery_timeout}
    stop = item.on_instance_stop_action
    return without_nothing(
        {
            "automaticRestart": item.automatic_restart,
            "availabilityDomain": item.availability_domain,
            "instanceTerminationAction": item.instance_termination_action,
            "minNodeCpus": item.min_node_cpus,
            "onHostMaintenance": given(item.on_host_maintenance) or None,
            "preemptible": item.preemptible,
            "provisioningModel": given(item.provisioning_model) or None,
            "terminationTime": item.termination_time,
            "nodeAffinities": [
                {"key": node.key, "operator": node.operator, "values": sorted(node.values)}
                for node in item.node_affinities
            ],
            "onInstanceStopAction": {"discardLocalSsd": bool(stop[0].discard_local_ssd)} if stop else None,
            **{
                name: without_nothing({"seconds": str(span[0].seconds), "nanos": span[0].nanos})
                for name, span in spans.items()
                if span
            },
        }
    )


def accelerators(machine: Machine, project: str, zone: str) -> list[Found]:
    return [
        {
            "acceleratorType": link(item.type, project, f"zones/{zone}", "acceleratorTypes"),
            "acceleratorCount": item.count,
        }
        for item in given(machine.guest_accelerator) or ()
        if item.count
    ]


def policies(wanted: list[str] | None, project: str, zone: str) -> list[str]:
    return [link(item, project, f"regions/{region_of(zone)}", "resourcePolicies") for item in wanted or ()]


def shielded(machine: Machine) -> Found | None:
    if not machine.shielded_instance_config:
        return None
    item = machine.shielded_instance_config[0]
    return {
        "enableSecureBoot": item.enable_secure_boot,
        "enableVtpm": item.enable_vtpm,
        "enableIntegrityMonitoring": item.enable_integrity_monitoring,
    }


def features(machine: Machine) -> Found | None:
    if not machine.advanced_machine_features:
        return None
    item = machine.advanced_machine_features[0]
    return without_nothing(
        {
            "enableNestedVirtualization": item.enable_nested_virtualization,
            "enableUefiNetworking": item.enable_uefi_networking,
            "performanceMonitoringUnit": item.performance_monitoring_unit,
            "threadsPerCore": item.threads_per_core,
            "turboMode": item.turbo_mode,
            "visibleCoreCount": item.visible_core_count,
        }
    )


def _confidential(machine: Machine) -> Found | None:
    if not machine.confidential_instance_config:
        return None
    item = machine.confidential_instance_config[0]
    return without_nothing(
        {
            "confidentialInstanceType": item.confidential_instance_type,
            "enableConfidentialCompute": item.enable_confidential_compute,
        }
    )


def _reservation(machine: Machine) -> Found | None:
    if not machine.reservation_affinity:
        return None
    item = machine.reservation_affinity[0]
    specific = item.specific_reservation[0] if item.specific_reservation else None
    return without_nothing(
        {
            "consumeReservationType": item.type,
            "key": specific.key if specific else None,
            "values": list(specific.values) if specific else None,
        }
    )
