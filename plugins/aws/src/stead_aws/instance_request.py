"""What a template says of a machine, as AWS's calls take it."""

from __future__ import annotations

import base64
from typing import Any

from stead.api.provider import Context
from stead_aws import tags as tagging
from stead_aws.base import effective_tags, given, provider_of
from stead_aws.instance_fields import InstanceFields

Request = dict[str, Any]


def compact(values: Request) -> Request:
    """Without what is not given."""
    return {name: value for name, value in values.items() if value not in (None, [], {}, "")}


def profile(name: str | None) -> Request | None:
    if not name:
        return None
    return {"Arn": name} if name.startswith("arn:") else {"Name": name}


def specification(machine: InstanceFields, *, encode: bool) -> Request:
    """What ``RunInstances`` and a spot request's launch specification have in common.

    :param encode: user data as base64; the SDK itself encodes it for ``RunInstances``.
    """
    data = machine.encoded_user_data
    text = base64.b64decode(data) if data and not encode else data
    network = _networks(machine)
    monitoring = given(machine.monitoring)
    return compact(
        {
            "ImageId": given(machine.ami),
            "InstanceType": given(machine.instance_type),
            "KeyName": given(machine.key_name),
            "UserData": text,
            "EbsOptimized": given(machine.ebs_optimized),
            "IamInstanceProfile": profile(given(machine.iam_instance_profile)),
            "Placement": _placement(machine),
            "BlockDeviceMappings": _devices(machine),
            "Monitoring": None if monitoring is None else {"Enabled": monitoring},
            **network,
        }
    )


def run(machine: InstanceFields, context: Context) -> Request:
    """Arguments of ``RunInstances``."""
    own = effective_tags(context, given(machine.tags))
    own = {**own, **{name: value for name, value in (given(machine.tags_all) or {}).items() if name not in own}}
    disks = {**provider_of(context).tags_by_default, **(machine.volume_tags or {}), **tagging.own(context.labels)}
    return {
        **specification(machine, encode=False),
        **compact(
            {
                "DisableApiStop": given(machine.disable_api_stop),
                "DisableApiTermination": given(machine.disable_api_termination),
                "InstanceInitiatedShutdownBehavior": given(machine.instance_initiated_shutdown_behavior),
                "HibernationOptions": {"Configured": True} if machine.hibernation else None,
                "TagSpecifications": [
                    *tagging.specification("instance", own),
                    *tagging.specification("volume", disks),
                ],
                **_options(machine),
            }
        ),
        "MinCount": 1,
        "MaxCount": 1,
    }


def _options(machine: InstanceFields) -> Request:
    reservation = machine.capacity_reservation_specification[:1]
    template = machine.launch_template[:1]
    return {
        "MetadataOptions": _first(machine.metadata_options, _metadata),
        "CreditSpecification": _first(
            machine.credit_specification, lambda item: compact({"CpuCredits": item.cpu_credits})
        ),
        "CpuOptions": _first(
            machine.cpu_options,
            lambda item: compact(
                {
                    "CoreCount": given(item.core_count),
                    "ThreadsPerCore": given(item.threads_per_core),
                    "AmdSevSnp": given(item.amd_sev_snp),
                }
            ),
        ),
        "EnclaveOptions": _first(machine.enclave_options, lambda item: {"Enabled": bool(given(item.enabled))}),
        "MaintenanceOptions": _first(
            machine.maintenance_options, lambda item: compact({"AutoRecovery": given(item.auto_recovery)})
        ),
        "PrivateDnsNameOptions": _first(machine.private_dns_name_options, _dns),
        "CapacityReservationSpecification": _reservation(reservation[0]) if reservation else None,
        "LaunchTemplate": _template(template[0]) if template else None,
    }


def _first(items: list[Any], make: Any) -> Request | None:
    return make(items[0]) if items else None


def _metadata(item: Any) -> Request:
    return compact(
        {
            "HttpEndpoint": given(item.http_endpoint),
            "HttpProtocolIpv6": given(item.http_protocol_ipv6),
            "HttpPutResponseHopLimit": given(item.http_put_response_hop_limit),
            "HttpTokens": given(item.http_tokens),
            "InstanceMetadataTags": given(item.instance_metadata_tags),
        }
    )


def metadata_options(machine: InstanceFields) -> Request:
    return _first(machine.metadata_options, _metadata) or {}


def _dns(item: Any) -> Request:
    return compact(
        {
            "HostnameType": given(item.hostname_type),
            "EnableResourceNameDnsARecord": given(item.enable_resource_name_dns_a_record),
            "EnableResourceNameDnsAAAARecord": given(item.enable_resource_name_dns_aaaa_record),
        }
    )


def _reservation(item: Any) -> Request:
    target = [
        compact(
            {
                "CapacityReservationId": entry.capacity_reservation_id,
                "CapacityReservationResourceGroupArn": entry.capacity_reservation_resource_group_arn,
            }
        )
        for entry in item.capacity_reservation_target[:1]
    ]
    return compact(
        {
            "CapacityReservationPreference": item.capacity_reservation_preference,
            "CapacityReservationTarget": target[0] if target else None,
        }
    )


def _template(item: Any) -> Request:
    identity = {"LaunchTemplateId": given(item.id)} if given(item.id) else {"LaunchTemplateName": given(item.name)}
    return compact({**identity, "Version": given(item.version)})


def _placement(machine: InstanceFields) -> Request:
    return compact(
        {
            "AvailabilityZone": given(machine.availability_zone),
            "Tenancy": given(machine.tenancy),
            "HostId": given(machine.host_id),
            "HostResourceGroupArn": given(machine.host_resource_group_arn),
            "GroupName": given(machine.placement_group),
            "GroupId": given(machine.placement_group_id),
            "PartitionNumber": given(machine.placement_partition_number),
        }
    )


def _networks(machine: InstanceFields) -> Request:
    """Either interfaces that exist, or one to make, or plain addresses."""
    if machine.network_interface:
        return {"NetworkInterfaces": [_existing(item) for item in machine.network_interface]}
    primary = getattr(machine, "primary_network_interface", None)
    if primary:
        existing = {"DeviceIndex": 0, "NetworkInterfaceId": primary[0].network_interface_id}
        return {"NetworkInterfaces": [existing]}
    groups = sorted(given(machine.vpc_security_group_ids) or ())
    names = sorted(given(machine.security_groups) or ())
    public = given(machine.associate_public_ip_address)
    addresses = _addresses(machine)
    if public is None:
        subnet = given(machine.subnet_id)
        return {"SecurityGroupIds": groups, "SecurityGroups": names, "SubnetId": subnet, **addresses}
    interface = compact({"SubnetId": given(machine.subnet_id), "Groups": groups, **addresses})
    return {"NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": public, **interface}]}


def _addresses(machine: InstanceFields) -> Request:
    further = [
        {"Primary": False, "PrivateIpAddress": address} for address in given(machine.secondary_private_ips) or ()
    ]
    return compact(
        {
            "PrivateIpAddress": given(machine.private_ip),
            "PrivateIpAddresses": further,
            "Ipv6AddressCount": given(machine.ipv6_address_count),
            "Ipv6Addresses": [{"Ipv6Address": address} for address in given(machine.ipv6_addresses) or ()],
            "EnablePrimaryIpv6": given(machine.enable_primary_ipv6),
        }
    )


def _existing(item: Any) -> Request:
    return {
        "DeviceIndex": item.device_index,
        "NetworkInterfaceId": item.network_interface_id,
        "DeleteOnTermination": bool(item.delete_on_termination),
    }


def _devices(machine: InstanceFields) -> list[Request]:
    found = [
        {
            "DeviceName": item.device_name,
            "Ebs": {"DeleteOnTermination": item.delete_on_termination is not False, **_disk(item)},
        }
        for item in machine.ebs_block_device
    ]
    for item in machine.ephemeral_block_device:
        nothing = "" if item.no_device else None
        found.append(
            compact({"DeviceName": item.device_name, "VirtualName": item.virtual_name})
            | ({} if nothing is None else {"NoDevice": nothing})
        )
    return found


def _disk(item: Any) -> Request:
    return compact(
        {
            "Encrypted": given(item.encrypted),
            "Iops": given(item.iops),
            "KmsKeyId": given(item.kms_key_id),
            "SnapshotId": given(getattr(item, "snapshot_id", None)),
            "Throughput": given(item.throughput),
            "VolumeSize": given(item.volume_size),
            "VolumeType": given(item.volume_type),
        }
    )


def root_device(machine: InstanceFields, device_name: str) -> Request | None:
    """The mapping of the root disk, where a template says something of it."""
    items = given(machine.root_block_device)
    if not items:
        return None
    return {
        "DeviceName": device_name,
        "Ebs": {"DeleteOnTermination": items[0].delete_on_termination is not False, **_disk(items[0])},
    }


def market(machine: Any) -> Request | None:
    """``InstanceMarketOptions``: spot or on demand."""
    if not machine.instance_market_options:
        return None
    item = machine.instance_market_options[0]
    spot = item.spot_options[:1]
    options = [
        compact(
            {
                "MaxPrice": given(entry.max_price),
                "SpotInstanceType": given(entry.spot_instance_type),
                "ValidUntil": given(entry.valid_until),
                "InstanceInterruptionBehavior": given(entry.instance_interruption_behavior),
            }
        )
        for entry in spot
    ]
    return compact({"MarketType": given(item.market_type) or "spot", "SpotOptions": options[0] if options else None})
