"""Nested blocks of ``aws_instance`` and ``aws_spot_instance_request``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stead.api.provider import BlockSchema, ObjectSchema, attribute, block, is_known, one_of

ENABLED = one_of("enabled", "disabled")


def _text(*, force_new: bool = True, description: str = "") -> Any:
    return attribute(optional=True, computed=True, force_new=force_new, description=description)


class RootBlockDevice(ObjectSchema):
    """The disk that the instance starts from."""

    delete_on_termination: bool | None = attribute(optional=True, description="Goes with the instance.")
    device_name: str | None = attribute(computed=True, optional=True, description="Its name in the instance.")
    encrypted: bool | None = attribute(optional=True, description="Encrypted.")
    iops: int | None = attribute(optional=True, description="Operations per second.")
    kms_key_id: str | None = attribute(optional=True, description="Key to encrypt with.")
    tags: dict[str, str] | None = attribute(optional=True, description="Tags of the disk.")
    tags_all: dict[str, str] | None = attribute(optional=True, description="Tags with default_tags.")
    throughput: int | None = attribute(optional=True, description="MiB per second (gp3).")
    volume_id: str | None = attribute(optional=True, description="Id of the disk.")
    volume_size: int | None = attribute(optional=True, description="GiB.")
    volume_type: str | None = attribute(optional=True, description="gp3, gp2, io1, io2, st1, sc1 or standard.")


class EbsBlockDevice(BlockSchema):
    """A further disk that is made with the instance."""

    device_name: str = attribute(required=True, force_new=True, description="Its name in the instance, /dev/sdf.")
    delete_on_termination: bool = attribute(default=True, force_new=True, description="Goes with the instance.")
    encrypted: bool | None = _text(description="Encrypted.")
    iops: int | None = _text(description="Operations per second.")
    kms_key_id: str | None = _text(description="Key to encrypt with.")
    snapshot_id: str | None = _text(description="Snapshot that it begins with.")
    tags: dict[str, str] | None = attribute(optional=True, description="Tags of the disk.")
    tags_all: dict[str, str] | None = _text(description="Tags with default_tags.", force_new=False)
    throughput: int | None = _text(description="MiB per second (gp3).")
    volume_size: int | None = _text(description="GiB.")
    volume_type: str | None = _text(description="gp3, gp2, io1, io2, st1, sc1 or standard.")
    volume_id: str | None = attribute(computed=True)


class EphemeralBlockDevice(BlockSchema):
    """A disk of the host, lost when the instance stops."""

    device_name: str = attribute(required=True, force_new=True, description="Its name in the instance.")
    no_device: bool | None = attribute(optional=True, force_new=True, description="Suppress the image's device.")
    virtual_name: str | None = attribute(optional=True, force_new=True, description="ephemeral0 and so on.")


class NetworkInterface(BlockSchema):
    """A network interface that exists already."""

    device_index: int = attribute(required=True, force_new=True, description="Its place in the instance.")
    network_interface_id: str = attribute(required=True, force_new=True, description="Its id.")
    delete_on_termination: bool = attribute(default=False, force_new=True, description="Goes with the instance.")
    network_card_index: int = attribute(default=0, force_new=True, description="Network card.")


class PrimaryNetworkInterface(BlockSchema):
    """The first network interface, which exists already."""

    network_interface_id: str = attribute(required=True, force_new=True, description="Its id.")
    delete_on_termination: bool | None = attribute(computed=True)


class MetadataOptions(BlockSchema):
    """The instance's metadata service."""

    http_endpoint: str | None = attribute(
        optional=True, computed=True, validators=[ENABLED], description="enabled or disabled."
    )
    http_protocol_ipv6: str = attribute(default="disabled", validators=[ENABLED], description="Over IPv6.")
    http_put_response_hop_limit: int | None = attribute(
        optional=True, computed=True, description="Hops that an answer may travel, 1 to 64."
    )
    http_tokens: str | None = attribute(
        optional=True, computed=True, validators=[one_of("optional", "required")], description="required is IMDSv2."
    )
    instance_metadata_tags: str | None = attribute(
        optional=True, computed=True, validators=[ENABLED], description="Tells the instance its tags."
    )


class CreditSpecification(BlockSchema):
    """Credits of burstable types."""

    cpu_credits: str | None = attribute(
        optional=True, validators=[one_of("standard", "unlimited")], description="standard or unlimited."
    )


class CpuOptions(BlockSchema):
    """Cores and threads."""

    amd_sev_snp: str | None = _text(description="enabled or disabled.")
    core_count: int | None = _text(description="Cores.")
    threads_per_core: int | None = _text(description="Threads per core.")


class EnclaveOptions(BlockSchema):
    """Nitro enclaves."""

    enabled: bool | None = _text(description="With enclaves.")


class MaintenanceOptions(BlockSchema):
    """Recovery by AWS."""

    auto_recovery: str | None = attribute(
        optional=True, computed=True, validators=[one_of("default", "disabled")], description="default or disabled."
    )


class PrivateDnsNameOptions(BlockSchema):
    """Names inside the network."""

    enable_resource_name_dns_a_record: bool | None = _text(description="Answer to A queries.")
    enable_resource_name_dns_aaaa_record: bool | None = _text(description="Answer to AAAA queries.")
    hostname_type: str | None = _text(description="ip-name or resource-name.")


class CapacityReservationTarget(BlockSchema):
    """A capacity reservation."""

    capacity_reservation_id: str | None = attribute(optional=True, force_new=True, description="Its id.")
    capacity_reservation_resource_group_arn: str | None = attribute(
        optional=True, force_new=True, description="A group of them."
    )


class CapacityReservationSpecification(BlockSchema):
    """Which capacity reservation to use."""

    capacity_reservation_preference: str | None = attribute(
        optional=True, force_new=True, validators=[one_of("open", "none")], description="open or none."
    )
    capacity_reservation_target: list[CapacityReservationTarget] = block(CapacityReservationTarget, max_items=1)


class SpotOptions(BlockSchema):
    """How to buy spot capacity."""

    instance_interruption_behavior: str | None = _text(description="hibernate, stop or terminate.")
    max_price: str | None = _text(description="Highest price per hour in USD.")
    spot_instance_type: str | None = _text(description="one-time or persistent.")
    valid_until: str | None = _text(description="End of the request (UTC, RFC 3339).")


class InstanceMarketOptions(BlockSchema):
    """Spot or on demand."""

    market_type: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[one_of("spot", "capacity-block")],
        description="spot or capacity-block.",
    )
    spot_options: list[SpotOptions] = block(SpotOptions, max_items=1)


class LaunchTemplate(BlockSchema):
    """A launch template to start from."""

    id: str | None = attribute(optional=True, computed=True, force_new=True, description="Its id.")
    name: str | None = attribute(optional=True, computed=True, force_new=True, description="Its name.")
    version: str = attribute(default="$Default", description="Version, $Latest or $Default.")


def fill(items: list[Any], values: Mapping[str, Any]) -> None:
    """Assign what is still unknown in the first of these blocks; null where AWS does not say."""
    for item in items[:1]:
        for name in type(item).schema().attributes:
            if not is_known(getattr(item, name)):
                setattr(item, name, values.get(name))
