"""Data sources: networks and subnets that are there already."""

from __future__ import annotations

from typing import Any

from stead.api.errors import ProviderFailure, ResourceNotFound
from stead.api.provider import Context, Nesting, ObjectSchema, attribute, block
from stead_aws import tags as tagging
from stead_aws.base import ReadTimeouts, limit_of
from stead_aws.cloud import Found, cloud_of, limited
from stead_aws.lookups import Filter, Lookup, filters_of


def _only(found: list[Found], what: str, region: str) -> Found:
    if not found:
        raise ResourceNotFound(f"No {what} in {region} fits.", remedy="Check id, filter and region.")
    if len(found) > 1:
        raise ProviderFailure(f"{len(found)} {what}s in {region} fit.", remedy="Narrow the filter.")
    return found[0]


class CidrAssociation(ObjectSchema):
    """A range of the network."""

    association_id: str = attribute(computed=True)
    cidr_block: str = attribute(computed=True)
    state: str = attribute(computed=True)


class Vpc(Lookup, name="aws_vpc"):
    """A network."""

    id: str | None = attribute(optional=True, computed=True, description="Its id.")
    cidr_block: str | None = attribute(optional=True, computed=True, description="Its range.")
    default: bool | None = attribute(optional=True, computed=True, description="The region's default network.")
    dhcp_options_id: str | None = attribute(optional=True, computed=True, description="Its DHCP options.")
    filter: list[Filter] = block(Filter, nesting=Nesting.SET)
    state: str | None = attribute(optional=True, computed=True, description="pending or available.")
    tags: dict[str, str] | None = attribute(optional=True, computed=True, description="Tags.")
    timeouts: ReadTimeouts | None = block(ReadTimeouts, nesting=Nesting.SINGLE)
    arn: str | None = attribute(computed=True)
    cidr_block_associations: list[CidrAssociation] | None = attribute(computed=True)
    enable_dns_hostnames: bool | None = attribute(computed=True)
    enable_dns_support: bool | None = attribute(computed=True)
    enable_network_address_usage_metrics: bool | None = attribute(computed=True)
    instance_tenancy: str | None = attribute(computed=True)
    ipv6_association_id: str | None = attribute(computed=True)
    ipv6_cidr_block: str | None = attribute(computed=True)
    main_route_table_id: str | None = attribute(computed=True)
    owner_id: str | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "read", 1200.0)) as inner:
            self._read(inner)

    def _read(self, context: Context) -> None:
        named: dict[str, Any] = {"cidr": self.cidr_block, "dhcp_options_id": self.dhcp_options_id, "state": self.state}
        if self.default is not None:
            named["is_default"] = self.default
        pages = cloud_of(context).pages(
            context,
            "Networks could not be listed",
            "ec2",
            "DescribeVpcs",
            "Vpcs",
            region=self.where(context),
            VpcIds=[self.id] if self.id else None,
            Filters=filters_of(self.filter, self.tags, **named),
        )
        found = _only(list(pages), "network", str(self.region))
        self._assign(context, found)
        self._attributes(context)

    def _assign(self, context: Context, found: Found) -> None:
        self.id, self.cidr_block = found["VpcId"], found["CidrBlock"]
        self.default, self.state = bool(found.get("IsDefault")), found.get("State") or ""
        self.dhcp_options_id = found.get("DhcpOptionsId") or ""
        self.instance_tenancy = found.get("InstanceTenancy") or "default"
        self.owner_id = found.get("OwnerId") or ""
        self.arn = cloud_of(context).arn(context, "ec2", str(self.region), f"vpc/{self.id}")
        self.tags = tagging.of_api(found.get("Tags"))
        self.cidr_block_associations = [
            CidrAssociation(
                association_id=item.get("AssociationId", ""),
                cidr_block=item.get("CidrBlock", ""),
                state=(item.get("CidrBlockState") or {}).get("State", ""),
            )
            for item in found.get("CidrBlockAssociationSet") or ()
        ]
        six = (found.get("Ipv6CidrBlockAssociationSet") or [{}])[0]
        self.ipv6_association_id, self.ipv6_cidr_block = six.get("AssociationId", ""), six.get("Ipv6CidrBlock", "")

    def _attributes(self, context: Context) -> None:
        doing = f"Network {self.id} could not be read"
        for name, attribute_, member in (
            ("enable_dns_hostnames", "enableDnsHostnames", "EnableDnsHostnames"),
            ("enable_dns_support", "enableDnsSupport", "EnableDnsSupport"),
            (
                "enable_network_address_usage_metrics",
                "enableNetworkAddressUsageMetrics",
                "EnableNetworkAddressUsageMetrics",
            ),
        ):
            answer = cloud_of(context).ask(
                context, doing, "ec2", "DescribeVpcAttribute", region=self.where(context),
                VpcId=self.id, Attribute=attribute_,
            )  # fmt: skip
            setattr(self, name, bool((answer.get(member) or {}).get("Value")))
        filters = [{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [self.id]}]
        tables = cloud_of(context).ask(
            context, doing, "ec2", "DescribeRouteTables", region=self.where(context), Filters=filters
        )["RouteTables"]
        self.main_route_table_id = tables[0]["RouteTableId"] if tables else ""


class Subnet(Lookup, name="aws_subnet"):
    """A part of a network, in one zone."""

    id: str | None = attribute(optional=True, computed=True, description="Its id.")
    availability_zone: str | None = attribute(optional=True, computed=True, description="Its zone.")
    availability_zone_id: str | None = attribute(optional=True, computed=True, description="Its zone's id.")
    cidr_block: str | None = attribute(optional=True, computed=True, description="Its range.")
    default_for_az: bool | None = attribute(optional=True, computed=True, description="The zone's default subnet.")
    filter: list[Filter] = block(Filter, nesting=Nesting.SET)
    ipv6_cidr_block: str | None = attribute(optional=True, computed=True, description="Its IPv6 range.")
    state: str | None = attribute(optional=True, computed=True, description="pending or available.")
    tags: dict[str, str] | None = attribute(optional=True, computed=True, description="Tags.")
    vpc_id: str | None = attribute(optional=True, computed=True, description="Its network.")
    timeouts: ReadTimeouts | None = block(ReadTimeouts, nesting=Nesting.SINGLE)
    arn: str | None = attribute(computed=True)
    assign_ipv6_address_on_creation: bool | None = attribute(computed=True)
    available_ip_address_count: int | None = attribute(computed=True)
    customer_owned_ipv4_pool: str | None = attribute(computed=True)
    enable_dns64: bool | None = attribute(computed=True)
    enable_lni_at_device_index: int | None = attribute(computed=True)
    enable_resource_name_dns_a_record_on_launch: bool | None = attribute(computed=True)
    enable_resource_name_dns_aaaa_record_on_launch: bool | None = attribute(computed=True)
    ipv6_cidr_block_association_id: str | None = attribute(computed=True)
    ipv6_native: bool | None = attribute(computed=True)
    map_customer_owned_ip_on_launch: bool | None = attribute(computed=True)
    map_public_ip_on_launch: bool | None = attribute(computed=True)
    outpost_arn: str | None = attribute(computed=True)
    owner_id: str | None = attribute(computed=True)
    private_dns_hostname_type_on_launch: str | None = attribute(computed=True)

    def read(self, context: Context) -> None:
        named: dict[str, Any] = {
            "availability_zone": self.availability_zone,
            "availability_zone_id": self.availability_zone_id,
            "cidr_block": self.cidr_block,
            "default_for_az": self.default_for_az or None,
            "ipv6_cidr_block_association.ipv6_cidr_block": self.ipv6_cidr_block,
            "state": self.state,
            "vpc_id": self.vpc_id,
        }
        filters = filters_of(self.filter, self.tags, **named)
        with limited(context, limit_of(self.timeouts, "read", 1200.0)) as inner:
            pages = cloud_of(inner).pages(
                inner,
                "Subnets could not be listed",
                "ec2",
                "DescribeSubnets",
                "Subnets",
                region=self.where(inner),
                SubnetIds=[self.id] if self.id else None,
                Filters=[_named(item) for item in filters] if filters else None,
            )
            found = _only(list(pages), "subnet", str(self.region))
        self._assign(context, found)

    def _assign(self, context: Context, found: Found) -> None:
        self.id, self.vpc_id, self.cidr_block = found["SubnetId"], found["VpcId"], found.get("CidrBlock") or ""
        self.availability_zone = found["AvailabilityZone"]
        self.availability_zone_id = found.get("AvailabilityZoneId") or ""
        self.default_for_az, self.state = bool(found.get("DefaultForAz")), found.get("State") or ""
        self.arn = cloud_of(context).arn(context, "ec2", str(self.region), f"subnet/{self.id}")
        self.tags = tagging.of_api(found.get("Tags"))
        self.available_ip_address_count = found.get("AvailableIpAddressCount") or 0
        self.assign_ipv6_address_on_creation = bool(found.get("AssignIpv6AddressOnCreation"))
        self.customer_owned_ipv4_pool = found.get("CustomerOwnedIpv4Pool") or ""
        self.enable_dns64 = bool(found.get("EnableDns64"))
        self.enable_lni_at_device_index = found.get("EnableLniAtDeviceIndex") or 0
        self.ipv6_native = bool(found.get("Ipv6Native"))
        self.map_customer_owned_ip_on_launch = bool(found.get("MapCustomerOwnedIpOnLaunch"))
        self.map_public_ip_on_launch = bool(found.get("MapPublicIpOnLaunch"))
        self.outpost_arn, self.owner_id = found.get("OutpostArn") or "", found.get("OwnerId") or ""
        six = (found.get("Ipv6CidrBlockAssociationSet") or [{}])[0]
        self.ipv6_cidr_block_association_id = six.get("AssociationId", "")
        self.ipv6_cidr_block = six.get("Ipv6CidrBlock", "")
        names = found.get("PrivateDnsNameOptionsOnLaunch") or {}
        self.private_dns_hostname_type_on_launch = names.get("HostnameType") or ""
        self.enable_resource_name_dns_a_record_on_launch = bool(names.get("EnableResourceNameDnsARecord"))
        self.enable_resource_name_dns_aaaa_record_on_launch = bool(names.get("EnableResourceNameDnsAAAARecord"))


def _named(item: Found) -> Found:
    """AWS spells two of its filters in its own way."""
    odd = {"availability-zone": "availabilityZone", "availability-zone-id": "availabilityZoneId"}
    odd["default-for-az"] = "defaultForAz"
    return {**item, "Name": odd.get(item["Name"], item["Name"])}
