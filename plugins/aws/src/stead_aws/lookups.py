"""Data sources: images, regions, zones, types and whose account it is."""

from __future__ import annotations

import re
from typing import Any

from stead.api.errors import ProviderFailure, ResourceNotFound
from stead.api.provider import BlockSchema, Context, DataSource, Nesting, ObjectSchema, attribute, block
from stead_aws import tags as tagging
from stead_aws.base import REGION, ReadTimeouts, limit_of
from stead_aws.cloud import Found, cloud_of, limited

DNS = {"aws-cn": "amazonaws.com.cn"}


class Filter(BlockSchema):
    """Narrows what is found, by AWS's own names."""

    name: str = attribute(required=True, description="Name of the filter.")
    values: list[str] = attribute(required=True, description="Values, one of which must fit.")


def filters_of(blocks: list[Filter], tags: dict[str, str] | None = None, **named: Any) -> list[Found] | None:
    """Filters of a call; ``named`` are filters by names with ``_`` for ``-``, left out where null."""
    found = [{"Name": item.name, "Values": sorted(item.values)} for item in blocks]
    found += [{"Name": f"tag:{name}", "Values": [value]} for name, value in (tags or {}).items()]
    for name, value in named.items():
        if value is not None and value != "":
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found.append({"Name": name.replace("_", "-"), "Values": [text]})
    return found or None


class Lookup(DataSource):
    """Something in a region."""

    region: str | None = attribute(optional=True, computed=True, description=REGION)

    def where(self, context: Context) -> str:
        self.region = self.region or cloud_of(context).region
        return self.region


class AmiDevice(ObjectSchema):
    """A disk of the image."""

    device_name: str = attribute(computed=True)
    ebs: dict[str, str] = attribute(computed=True)
    no_device: str = attribute(computed=True)
    virtual_name: str = attribute(computed=True)


class ProductCode(ObjectSchema):
    """A code of the marketplace."""

    product_code_id: str = attribute(computed=True)
    product_code_type: str = attribute(computed=True)


class Ami(Lookup, name="aws_ami"):
    """An image to start machines from."""

    id: str | None = attribute(optional=True, computed=True, description="Not to be set.")
    owners: list[str] | None = attribute(optional=True, description="Accounts, amazon, self or aws-marketplace.")
    executable_users: list[str] | None = attribute(optional=True, description="Who may use it: an account or self.")
    filter: list[Filter] = block(Filter, nesting=Nesting.SET)
    most_recent: bool | None = attribute(default=False, description="The newest of several.")
    name_regex: str | None = attribute(optional=True, description="Pattern of its name.")
    include_deprecated: bool | None = attribute(default=False, description="Deprecated ones, too.")
    allow_unsafe_filter: bool | None = attribute(optional=True, description="Accepted.")
    uefi_data: str | None = attribute(optional=True, computed=True, description="Not to be set.")
    tags: dict[str, str] | None = attribute(optional=True, computed=True, description="Not to be set.")
    timeouts: ReadTimeouts | None = block(ReadTimeouts, nesting=Nesting.SINGLE)

    architecture: str | None = attribute(computed=True)
    arn: str | None = attribute(computed=True)
    block_device_mappings: list[AmiDevice] | None = attribute(computed=True)
    boot_mode: str | None = attribute(computed=True)
    creation_date: str | None = attribute(computed=True)
    deprecation_time: str | None = attribute(computed=True)
    description: str | None = attribute(computed=True)
    ena_support: bool | None = attribute(computed=True)
    hypervisor: str | None = attribute(computed=True)
    image_id: str | None = attribute(computed=True)
    image_location: str | None = attribute(computed=True)
    image_owner_alias: str | None = attribute(computed=True)
    image_type: str | None = attribute(computed=True)
    imds_support: str | None = attribute(computed=True)
    kernel_id: str | None = attribute(computed=True)
    last_launched_time: str | None = attribute(computed=True)
    name: str | None = attribute(computed=True)
    owner_id: str | None = attribute(computed=True)
    platform: str | None = attribute(computed=True)
    platform_details: str | None = attribute(computed=True)
    product_codes: list[ProductCode] | None = attribute(computed=True)
    public: bool | None = attribute(computed=True)
    ramdisk_id: str | None = attribute(computed=True)
    root_device_name: str | None = attribute(computed=True)
    root_device_type: str | None = attribute(computed=True)
    root_snapshot_id: str | None = attribute(computed=True)
    sriov_net_support: str | None = attribute(computed=True)
    state: str | None = attribute(computed=True)
    state_reason: dict[str, str] | None = attribute(computed=True)
    tpm_support: str | None = attribute(computed=True)
    usage_operation: str | None = attribute(computed=True)
    virtualization_type: str | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "read", 1200.0)) as inner:
            found = self._found(inner)
        self._assign(context, found)

    def _found(self, context: Context) -> Found:
        images = list(
            cloud_of(context).pages(
                context,
                "Images could not be listed",
                "ec2",
                "DescribeImages",
                "Images",
                region=self.where(context),
                Owners=self.owners or None,
                ExecutableUsers=self.executable_users or None,
                Filters=filters_of(self.filter),
                IncludeDeprecated=bool(self.include_deprecated) or None,
            )
        )
        if self.name_regex:
            images = [item for item in images if re.search(self.name_regex, item.get("Name") or "")]
        if not images:
            raise ResourceNotFound(
                f"No image in {self.region} fits.",
                remedy="Loosen filter and name_regex, and check owners; images differ from region to region.",
            )
        if len(images) > 1 and not self.most_recent:
            raise ProviderFailure(
                f"{len(images)} images in {self.region} fit.", remedy="Narrow the filter, or set most_recent = true."
            )
        return max(images, key=lambda item: item.get("CreationDate") or "")

    def _assign(self, context: Context, found: Found) -> None:
        self.id = self.image_id = found["ImageId"]
        cloud = cloud_of(context)
        partition = cloud.identity(context)["Arn"].split(":")[1]
        self.arn = f"arn:{partition}:ec2:{self.region}::image/{self.id}"
        texts = (
            "architecture boot_mode creation_date deprecation_time description hypervisor image_location "
            "image_owner_alias image_type imds_support kernel_id last_launched_time name owner_id platform "
            "platform_details ramdisk_id root_device_name root_device_type sriov_net_support state tpm_support "
            "usage_operation virtualization_type"
        )
        for name in texts.split():
            member = "".join(part.capitalize() for part in name.split("_"))
            setattr(self, name, str(found.get(member) or ""))
        self.ena_support, self.public = bool(found.get("EnaSupport")), bool(found.get("Public"))
        reason = found.get("StateReason") or {}
        self.state_reason = {"code": reason.get("Code", "UNSET"), "message": reason.get("Message", "UNSET")}
        self.tags = tagging.of_api(found.get("Tags"))
        self.uefi_data = None
        self._devices(found)

    def _devices(self, found: Found) -> None:
        mappings = found.get("BlockDeviceMappings") or []
        self.block_device_mappings = [_device(item) for item in mappings]
        roots = [item for item in mappings if item.get("DeviceName") == found.get("RootDeviceName")]
        self.root_snapshot_id = (roots[0].get("Ebs") or {}).get("SnapshotId", "") if roots else ""
        self.product_codes = [
            ProductCode(product_code_id=item.get("ProductCodeId"), product_code_type=item.get("ProductCodeType"))
            for item in found.get("ProductCodes") or ()
        ]


def _device(found: Found) -> AmiDevice:
    ebs = found.get("Ebs") or {}
    values = {
        "delete_on_termination": str(bool(ebs.get("DeleteOnTermination"))).lower(),
        "encrypted": str(bool(ebs.get("Encrypted"))).lower(),
        "iops": str(ebs.get("Iops", 0)),
        "snapshot_id": ebs.get("SnapshotId", ""),
        "throughput": str(ebs.get("Throughput", 0)),
        "volume_size": str(ebs.get("VolumeSize", 0)),
        "volume_type": ebs.get("VolumeType", ""),
    }
    return AmiDevice(
        device_name=found.get("DeviceName", ""),
        ebs=values if ebs else {},
        no_device=found.get("NoDevice") or "",
        virtual_name=found.get("VirtualName") or "",
    )


class Region(DataSource, name="aws_region"):
    """A region; the provider's where none is named."""

    id: str | None = attribute(optional=True, computed=True, description="Not to be set.")
    region: str | None = attribute(optional=True, computed=True, description="Its name.")
    name: str | None = attribute(optional=True, computed=True, deprecated="use region", description="Its name.")
    endpoint: str | None = attribute(optional=True, computed=True, description="Address of EC2 there.")
    description: str | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        if self.endpoint and not (self.region or self.name):
            self.region = self.endpoint.removeprefix("https://").split(".")[1]
        self.region = self.region or self.name or cloud_of(context).region
        if not self.region:
            raise ProviderFailure("No region is set.", field="region", remedy='Set region in the provider "aws" block.')
        self.id = self.name = self.region
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        self.endpoint = self.endpoint or f"ec2.{self.region}.{suffix}"
        self.description = self.region


class CallerIdentity(DataSource, name="aws_caller_identity"):
    """Whose credentials the provider has."""

    id: str | None = attribute(optional=True, computed=True, description="Not to be set.")
    account_id: str | None = attribute(computed=True)
    arn: str | None = attribute(computed=True)
    user_id: str | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        found = cloud_of(context).identity(context)
        self.id = self.account_id = found["Account"]
        self.arn, self.user_id = found["Arn"], found["UserId"]


class AvailabilityZones(Lookup, name="aws_availability_zones"):
    """The zones of a region."""

    id: str | None = attribute(optional=True, computed=True, description="Not to be set.")
    all_availability_zones: bool | None = attribute(optional=True, description="Also those that must be opted in.")
    exclude_names: set[str] | None = attribute(optional=True, description="Not these.")
    exclude_zone_ids: set[str] | None = attribute(optional=True, description="Not these.")
    filter: list[Filter] = block(Filter, nesting=Nesting.SET)
    state: str | None = attribute(optional=True, description="available, information, impaired or unavailable.")
    timeouts: ReadTimeouts | None = block(ReadTimeouts, nesting=Nesting.SINGLE)
    group_names: set[str] | None = attribute(computed=True)
    names: list[str] | None = attribute(computed=True)
    zone_ids: list[str] | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "read", 1200.0)) as inner:
            answer = cloud_of(inner).ask(
                inner,
                "Availability zones could not be listed",
                "ec2",
                "DescribeAvailabilityZones",
                region=self.where(inner),
                Filters=filters_of(self.filter, state=self.state),
                AllAvailabilityZones=self.all_availability_zones,
            )
        zones = sorted(
            (
                item
                for item in answer["AvailabilityZones"]
                if item["ZoneName"] not in (self.exclude_names or ())
                and item.get("ZoneId") not in (self.exclude_zone_ids or ())
            ),
            key=lambda item: str(item["ZoneName"]),
        )
        self.id = self.region
        self.names = [item["ZoneName"] for item in zones]
        self.zone_ids = [item.get("ZoneId") or "" for item in zones]
        self.group_names = {item.get("GroupName") or str(self.region) for item in zones}
