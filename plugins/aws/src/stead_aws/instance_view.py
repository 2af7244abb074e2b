"""What AWS tells of a machine, as a template sees it."""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any

from stead.api.provider import Context, is_known
from stead_aws import instance_blocks as blocks
from stead_aws import tags as tagging
from stead_aws.base import given, provider_of, read_tags
from stead_aws.cloud import Found
from stead_aws.instance_fields import InstanceFields

GONE = ("terminated", "shutting-down")


def describe(machine: InstanceFields, context: Context, identity: str) -> Found | None:
    """The instance; ``None`` where there is none or it is ending."""
    found = machine.find(context, f"Instance {identity} could not be read", "DescribeInstances", InstanceIds=[identity])
    items = [item for group in (found or {}).get("Reservations", ()) for item in group["Instances"]]
    return items[0] if items and items[0]["State"]["Name"] not in GONE else None


def expect(machine: InstanceFields, context: Context, identity: str) -> Found | None:
    """As :func:`describe`, of an instance that was made a moment ago: AWS may not know it everywhere yet."""
    settings = provider_of(context).cloud.settings
    until = time.monotonic() + settings.settle
    doing = f"Instance {identity} could not be read"
    while True:
        found = machine.find(context, doing, "DescribeInstances", InstanceIds=[identity])
        items = [item for group in (found or {}).get("Reservations", ()) for item in group["Instances"]]
        if items or time.monotonic() > until:
            return items[0] if items and items[0]["State"]["Name"] not in GONE else None
        context.wait(min(settings.poll, 2.0))


def state_of(found: Found | None) -> str:
    return "terminated" if found is None else str(found["State"]["Name"])


def primary_interface(found: Found) -> Found:
    interfaces = found.get("NetworkInterfaces") or []
    return next((item for item in interfaces if item.get("Attachment", {}).get("DeviceIndex") == 0), {})


def assign(machine: InstanceFields, context: Context, found: Found) -> None:
    """Assign what the instance is now. Addresses that it has only while it runs follow it."""
    _identity(machine, context, found)
    _network(machine, found)
    _placement(machine, found)
    monitoring = found.get("Monitoring", {}).get("State", "disabled")
    machine.monitoring = monitoring in ("enabled", "pending")
    machine.ebs_optimized = bool(found.get("EbsOptimized"))
    machine.outpost_arn = found.get("OutpostArn") or ""
    _blocks(machine, found)
    _disks(machine, context, found)
    _rest(machine)


def _identity(machine: InstanceFields, context: Context, found: Found) -> None:
    machine.arn = machine.arn_of(context, f"instance/{found['InstanceId']}")
    machine.ami = found["ImageId"]
    machine.instance_type = found["InstanceType"]
    machine.instance_state = found["State"]["Name"]
    machine.key_name = found.get("KeyName") or ""
    machine.iam_instance_profile = _profile_name(found, given(machine.iam_instance_profile))


def _profile_name(found: Found, prior: str | None) -> str:
    arn = found.get("IamInstanceProfile", {}).get("Arn", "")
    return arn if prior and prior.startswith("arn:") and arn else str(arn).rpartition("/")[2]


def _network(machine: InstanceFields, found: Found) -> None:
    primary = primary_interface(found)
    machine.primary_network_interface_id = primary.get("NetworkInterfaceId") or ""
    machine.subnet_id = found.get("SubnetId") or ""
    machine.private_ip = found.get("PrivateIpAddress") or ""
    machine.private_dns = found.get("PrivateDnsName") or ""
    machine.public_ip = found.get("PublicIpAddress") or ""
    machine.public_dns = found.get("PublicDnsName") or ""
    groups = found.get("SecurityGroups") or primary.get("Groups") or []
    if groups or not is_known(machine.vpc_security_group_ids):
        machine.vpc_security_group_ids = {item["GroupId"] for item in groups}
    if not is_known(machine.security_groups):
        machine.security_groups = {item["GroupName"] for item in groups}
    machine.source_dest_check = bool(primary.get("SourceDestCheck", found.get("SourceDestCheck", True)))
    if not is_known(machine.associate_public_ip_address):
        machine.associate_public_ip_address = bool(primary.get("Association") or found.get("PublicIpAddress"))
    addresses = primary.get("PrivateIpAddresses") or []
    machine.secondary_private_ips = {item["PrivateIpAddress"] for item in addresses if not item.get("Primary")}
    six = [item["Ipv6Address"] for item in primary.get("Ipv6Addresses") or ()]
    machine.ipv6_addresses, machine.ipv6_address_count = six, len(six)
    if not is_known(machine.enable_primary_ipv6):
        machine.enable_primary_ipv6 = None


def _placement(machine: InstanceFields, found: Found) -> None:
    placement = found.get("Placement") or {}
    machine.availability_zone = placement.get("AvailabilityZone") or ""
    machine.tenancy = placement.get("Tenancy") or "default"
    machine.host_id = placement.get("HostId") or ""
    machine.placement_group = placement.get("GroupName") or ""
    machine.placement_group_id = placement.get("GroupId") or ""
    machine.placement_partition_number = placement.get("PartitionNumber") or 0
    if not is_known(machine.host_resource_group_arn):
        machine.host_resource_group_arn = placement.get("HostResourceGroupArn") or ""


def _blocks(machine: InstanceFields, found: Found) -> None:
    """Blocks that a template has; those that it leaves out stay out."""
    metadata, cpu = found.get("MetadataOptions") or {}, found.get("CpuOptions") or {}
    seen = {
        "http_endpoint": metadata.get("HttpEndpoint"),
        "http_protocol_ipv6": metadata.get("HttpProtocolIpv6"),
        "http_put_response_hop_limit": metadata.get("HttpPutResponseHopLimit"),
        "http_tokens": metadata.get("HttpTokens"),
        "instance_metadata_tags": metadata.get("InstanceMetadataTags"),
    }
    for item in machine.metadata_options[:1]:
        for name, value in seen.items():
            if value is not None:
                setattr(item, name, value)
    blocks.fill(machine.metadata_options, {"http_endpoint": "enabled", "http_tokens": "optional", **seen})
    blocks.fill(
        machine.cpu_options,
        {
            "core_count": cpu.get("CoreCount"),
            "threads_per_core": cpu.get("ThreadsPerCore"),
            "amd_sev_snp": cpu.get("AmdSevSnp"),
        },
    )
    blocks.fill(machine.enclave_options, {"enabled": (found.get("EnclaveOptions") or {}).get("Enabled", False)})
    blocks.fill(
        machine.maintenance_options,
        {"auto_recovery": (found.get("MaintenanceOptions") or {}).get("AutoRecovery", "default")},
    )
    _more_blocks(machine, found)


def _more_blocks(machine: InstanceFields, found: Found) -> None:
    names = found.get("PrivateDnsNameOptions") or {}
    blocks.fill(
        machine.private_dns_name_options,
        {
            "hostname_type": names.get("HostnameType"),
            "enable_resource_name_dns_a_record": names.get("EnableResourceNameDnsARecord"),
            "enable_resource_name_dns_aaaa_record": names.get("EnableResourceNameDnsAAAARecord"),
        },
    )
    tags = tagging.of_api(found.get("Tags"))
    blocks.fill(
        machine.launch_template, {"id": tags.get("aws:ec2launchtemplate:id"), "name": None, "version": "$Default"}
    )
    for item in getattr(machine, "primary_network_interface", None) or ():
        blocks.fill([item], {"delete_on_termination": False})
    for item in getattr(machine, "instance_market_options", None) or ():
        blocks.fill([item], {"market_type": "spot"})
        blocks.fill(
            item.spot_options, {"instance_interruption_behavior": "terminate", "spot_instance_type": "one-time"}
        )


def _disks(machine: InstanceFields, context: Context, found: Found) -> None:
    attached = {item["DeviceName"]: item["Ebs"] for item in found.get("BlockDeviceMappings") or () if "Ebs" in item}
    wanted = [item["VolumeId"] for item in attached.values()]
    volumes: dict[str, Found] = {}
    if wanted:
        answer = machine.find(context, f"Disks of {machine.id} could not be read", "DescribeVolumes", VolumeIds=wanted)
        volumes = {item["VolumeId"]: item for item in (answer or {}).get("Volumes", ())}
    root = found.get("RootDeviceName") or ""
    _assign_root(machine, context, root, attached.get(root), volumes)
    for item in machine.ebs_block_device:
        mapping = attached.get(item.device_name) or {}
        volume = volumes.get(mapping.get("VolumeId", ""), {})
        blocks.fill([item], _facts(context, item.device_name, mapping, volume))


def _facts(context: Context, device: str, mapping: Found, volume: Found) -> Found:
    tags = provider_of(context).without_ignored(tagging.visible(tagging.of_api(volume.get("Tags"))))
    return {
        "device_name": device,
        "delete_on_termination": bool(mapping.get("DeleteOnTermination", True)),
        "volume_id": mapping.get("VolumeId") or "",
        "encrypted": bool(volume.get("Encrypted", False)),
        "iops": volume.get("Iops") or 0,
        "kms_key_id": volume.get("KmsKeyId") or "",
        "snapshot_id": volume.get("SnapshotId") or "",
        "tags_all": tags,
        "throughput": volume.get("Throughput") or 0,
        "volume_size": volume.get("Size"),
        "volume_type": volume.get("VolumeType"),
    }


def _assign_root(
    machine: InstanceFields, context: Context, device: str, mapping: Found | None, volumes: dict[str, Found]
) -> None:
    """A template that says something of the disk keeps to what it said; else everything is told."""
    if mapping is None:
        machine.root_block_device = given(machine.root_block_device) or []
        return
    facts = _facts(context, device, mapping, volumes.get(mapping["VolumeId"], {}))
    names = blocks.RootBlockDevice.schema().attributes
    prior = given(machine.root_block_device)
    if not prior:
        machine.root_block_device = [blocks.RootBlockDevice(**{name: facts.get(name) for name in names})]
        return
    kept = prior[0]
    for name in names:
        if getattr(kept, name) is not None and name in facts and not name.startswith("tags"):
            setattr(kept, name, facts[name])


def _rest(machine: InstanceFields) -> None:
    """What nobody tells: the template's value, or nothing."""
    for name in ("user_data", "user_data_base64", "password_data"):
        if not is_known(getattr(machine, name)):
            setattr(machine, name, None if name != "password_data" else "")


ATTRIBUTES = {
    "disable_api_stop": ("disableApiStop", "DisableApiStop"),
    "disable_api_termination": ("disableApiTermination", "DisableApiTermination"),
    "instance_initiated_shutdown_behavior": (
        "instanceInitiatedShutdownBehavior",
        "InstanceInitiatedShutdownBehavior",
    ),
}


def read_attributes(machine: InstanceFields, context: Context) -> None:
    """What has to be asked one by one."""
    doing = f"Instance {machine.id} could not be read"
    for name, (attribute, member) in ATTRIBUTES.items():
        answer = machine.settle(context, doing, "DescribeInstanceAttribute", InstanceId=machine.id, Attribute=attribute)
        value = answer.get(member, {}).get("Value")
        default: Any = "stop" if member.endswith("Behavior") else False
        setattr(machine, name, default if value is None else value)


def read_user_data(machine: InstanceFields, context: Context) -> None:
    """Only where a template gives some: what it does not know, it cannot lose."""
    if not given(machine.user_data) and not given(machine.user_data_base64):
        return
    encoded = _told_user_data(machine, context, machine.id)
    if given(machine.user_data_base64):
        machine.user_data_base64 = encoded
    else:
        machine.user_data = _text(encoded) or ""


def import_user_data(machine: InstanceFields, context: Context, identity: str) -> None:
    """All that there is: as text, or in base64 what is none."""
    encoded = _told_user_data(machine, context, identity)
    if encoded:
        machine.user_data = _text(encoded)
        machine.user_data_base64 = encoded if machine.user_data is None else None


def _told_user_data(machine: InstanceFields, context: Context, identity: str) -> str:
    doing = f"User data of {identity} could not be read"
    answer = machine.find(context, doing, "DescribeInstanceAttribute", InstanceId=identity, Attribute="userData")
    return (answer or {}).get("UserData", {}).get("Value") or ""


def _text(encoded: str) -> str | None:
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def refresh(machine: InstanceFields, context: Context, found: Found) -> None:
    """Everything that may have drifted."""
    assign(machine, context, found)
    read_tags(context, machine, found.get("Tags"))
    read_attributes(machine, context)
    read_user_data(machine, context)
