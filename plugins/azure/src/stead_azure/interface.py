"""``azurerm_network_interface``, and the security group that it has."""

from __future__ import annotations

from typing import Any, Self

from stead.api.errors import ProviderFailure, ResourceConflict, ResourceNotFound
from stead.api.provider import BlockSchema, Context, Nesting, Resource, attribute, block, is_known, one_of
from stead.api.provider.durations import seconds
from stead_azure import ids
from stead_azure.base import (
    GROUP,
    GROUP_NAME,
    LOCATION,
    NAME,
    FixedTimeouts,
    Tagged,
    Timeouts,
    given,
    pruned,
    reference,
    referred,
    region,
    same_region,
    same_text,
    told,
)
from stead_azure.cloud import Found, cloud_of, limited
from stead_azure.operations import NIC_KIND

is_subnet = ids.id_of_a("a subnet", ids.NETWORK, "virtualNetworks", "subnets")
is_address = ids.id_of_a("a public address", ids.NETWORK, "publicIPAddresses")
is_interface = ids.id_of_a("a network interface", ids.NETWORK, "networkInterfaces")
is_group = ids.id_of_a("a security group", ids.NETWORK, "networkSecurityGroups")
MODES = ("AcceleratedConnections", "Floating", "MaxConnections")


class IpConfiguration(BlockSchema):
    """An address of the interface."""

    name: str = attribute(required=True, description="Name of the configuration.")
    subnet_id: str | None = attribute(optional=True, validators=[is_subnet], description="Subnet that it is in.")
    private_ip_address_allocation: str = attribute(
        required=True, validators=[one_of("Dynamic", "Static")], normalize=same_text, description="Dynamic or Static."
    )
    private_ip_address: str | None = attribute(optional=True, computed=True, description="For Static.")
    private_ip_address_version: str = attribute(
        default="IPv4", validators=[one_of("IPv4", "IPv6")], description="IPv4 or IPv6."
    )
    public_ip_address_id: str | None = attribute(
        optional=True, validators=[is_address], normalize=ids.same, description="Public address in front of it."
    )
    primary: bool | None = attribute(optional=True, computed=True, description="Whether it is the first one.")
    gateway_load_balancer_frontend_ip_configuration_id: str | None = attribute(
        optional=True, description="Load balancer that sees its traffic first."
    )

    def body(self, *, first: bool) -> Found:
        primary = given(self.primary)
        properties = {
            "subnet": reference(given(self.subnet_id)),
            "privateIPAllocationMethod": self.private_ip_address_allocation,
            "privateIPAddressVersion": self.private_ip_address_version,
            "privateIPAddress": self._fixed_address(),
            "publicIPAddress": reference(given(self.public_ip_address_id)),
            "primary": first if primary is None else primary,
            "gatewayLoadBalancer": reference(given(self.gateway_load_balancer_frontend_ip_configuration_id)),
        }
        return {"name": self.name, "properties": pruned(properties)}

    def _fixed_address(self) -> str | None:
        """A dynamic address is Azure's to choose, also where the state knows the last one."""
        fixed = self.private_ip_address_allocation.lower() == "static"
        return (given(self.private_ip_address) or None) if fixed else None

    def assign(self, found: Found) -> None:
        """Fill in what only Azure knows."""
        properties = found["properties"]
        if not is_known(self.private_ip_address) or self.private_ip_address_allocation.lower() == "dynamic":
            self.private_ip_address = properties.get("privateIPAddress") or ""
        if not is_known(self.primary):
            self.primary = bool(properties.get("primary"))

    @classmethod
    def found(cls, item: Found) -> IpConfiguration:
        properties = item["properties"]
        return cls(
            name=item["name"],
            subnet_id=referred(properties.get("subnet")) or None,
            private_ip_address_allocation=properties["privateIPAllocationMethod"],
            private_ip_address=properties.get("privateIPAddress") or "",
            private_ip_address_version=properties.get("privateIPAddressVersion") or "IPv4",
            public_ip_address_id=referred(properties.get("publicIPAddress")) or None,
            primary=bool(properties.get("primary")),
            gateway_load_balancer_frontend_ip_configuration_id=referred(properties.get("gatewayLoadBalancer")) or None,
        )


class NetworkInterface(Tagged, name="azurerm_network_interface"):
    """What a machine has in a subnet."""

    kind = NIC_KIND
    path = (ids.NETWORK, "networkInterfaces")

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[NAME], description="Name of the interface.")
    resource_group_name: str = attribute(
        required=True, force_new=True, validators=[GROUP_NAME], normalize=same_text, description=GROUP
    )
    location: str = attribute(required=True, force_new=True, normalize=same_region, description=LOCATION)
    accelerated_networking_enabled: bool = attribute(default=False, description="Past the host's switch.")
    ip_forwarding_enabled: bool = attribute(default=False, description="Takes traffic for other addresses.")
    auxiliary_mode: str | None = attribute(optional=True, validators=[one_of(*MODES)], description="For many flows.")
    auxiliary_sku: str | None = attribute(
        optional=True, validators=[one_of("A1", "A2", "A4", "A8")], description="With auxiliary_mode."
    )
    dns_servers: list[str] | None = attribute(optional=True, computed=True, description="Name servers.")
    edge_zone: str | None = attribute(optional=True, force_new=True, description="Edge zone.")
    internal_dns_name_label: str | None = attribute(optional=True, computed=True, description="Name in the network.")
    applied_dns_servers: list[str] = attribute(computed=True)
    internal_domain_name_suffix: str = attribute(computed=True)
    mac_address: str = attribute(computed=True)
    private_ip_address: str = attribute(computed=True, description="The first of its addresses.")
    private_ip_addresses: list[str] = attribute(computed=True)
    virtual_machine_id: str = attribute(computed=True)
    ip_configuration: list[IpConfiguration] = block(IpConfiguration, min_items=1)
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        for index, item in enumerate(self.ip_configuration):
            where = f"ip_configuration[{index}]"
            if given(item.private_ip_address_allocation) == "Static" and item.private_ip_address is None:
                context.error("private_ip_address is missing", "A static address must be said.", where)
            if item.subnet_id is None and given(item.private_ip_address_version) != "IPv6":
                context.error("subnet_id is missing", "An IPv4 address is in a subnet.", where)
        if len(self.ip_configuration) > 1 and not any(
            not is_known(item.primary) or item.primary for item in self.ip_configuration
        ):
            context.error("No primary address", "Set primary = true in one ip_configuration.", "ip_configuration")

    def _body(self, context: Context, present: Found | None = None) -> Found:
        there = (present or {}).get("properties") or {}
        dns = {
            "dnsServers": list(given(self.dns_servers) or ()) or None,
            "internalDnsNameLabel": given(self.internal_dns_name_label) or None,
        }
        first = not any(given(item.primary) for item in self.ip_configuration)
        properties = {
            "ipConfigurations": [
                item.body(first=first and index == 0) for index, item in enumerate(self.ip_configuration)
            ],
            "enableAcceleratedNetworking": self.accelerated_networking_enabled,
            "enableIPForwarding": self.ip_forwarding_enabled,
            "auxiliaryMode": given(self.auxiliary_mode),
            "auxiliarySku": given(self.auxiliary_sku),
            "dnsSettings": dns if any(dns.values()) else None,
            # Put there by the association resource.
            "networkSecurityGroup": reference(referred(there.get("networkSecurityGroup"))),
        }
        body: Found = pruned(
            {
                "location": region(self.location),
                "extendedLocation": {"type": "EdgeZone", "name": self.edge_zone} if self.edge_zone else None,
                "tags": self.all_tags(context, present),
                "properties": properties,
            }
        )
        return body

    def create(self, context: Context) -> None:
        with self.limited(context, "create") as inner:
            self._assign(inner, self.make(inner, self._body(inner), field=_field))

    def _assign(self, context: Context, found: Found) -> None:
        properties = found["properties"]
        dns = properties.get("dnsSettings") or {}
        by_name = {item["name"]: item for item in properties["ipConfigurations"]}
        for item in self.ip_configuration:
            item.assign(by_name[item.name])
        addresses = [item["properties"].get("privateIPAddress") for item in properties["ipConfigurations"]]
        self.id = self.made_id(context)
        self.private_ip_addresses = [address for address in addresses if address]
        self.private_ip_address = next(iter(self.private_ip_addresses), "")
        self.mac_address = properties.get("macAddress") or ""
        self.virtual_machine_id = referred(properties.get("virtualMachine"))
        self.applied_dns_servers = list(dns.get("appliedDnsServers") or ())
        self.internal_domain_name_suffix = dns.get("internalDomainNameSuffix") or ""
        if not is_known(self.dns_servers):
            self.dns_servers = list(dns.get("dnsServers") or ())
        if not is_known(self.internal_dns_name_label):
            self.internal_dns_name_label = dns.get("internalDnsNameLabel") or ""

    def read(self, context: Context) -> bool:
        with self.limited(context, "read") as inner:
            found = self.look(inner)
        if found is None:
            return False
        properties = found["properties"]
        dns = properties.get("dnsSettings") or {}
        self.read_location(found)
        self.accelerated_networking_enabled = bool(properties.get("enableAcceleratedNetworking"))
        self.ip_forwarding_enabled = bool(properties.get("enableIPForwarding"))
        self.auxiliary_mode = _unless_none(properties.get("auxiliaryMode"))
        self.auxiliary_sku = _unless_none(properties.get("auxiliarySku"))
        self.edge_zone = (found.get("extendedLocation") or {}).get("name") or None
        self.dns_servers = list(dns.get("dnsServers") or ())
        self.internal_dns_name_label = dns.get("internalDnsNameLabel") or ""
        self.ip_configuration = [IpConfiguration.found(item) for item in properties["ipConfigurations"]]
        self.read_tags(found)
        self._assign(context, found)
        return True

    def update(self, context: Context, prior: NetworkInterface) -> None:
        del prior
        with self.limited(context, "update") as inner, cloud_of(inner).exclusive(inner, self.id):
            self._assign(inner, self.change(inner, self._body(inner, self.must_look(inner)), field=_field))

    def delete(self, context: Context) -> None:
        with self.limited(context, "delete") as inner, cloud_of(inner).exclusive(inner, self.id):
            self.remove(inner)


def _unless_none(value: Any) -> str | None:
    return None if value in (None, "", "None") else str(value)


def _field(failure: ProviderFailure) -> str | None:
    words = failure.message.lower()
    if "subnet" in words:
        return "ip_configuration[0].subnet_id"
    return "ip_configuration[0].public_ip_address_id" if "publicipaddress" in words else None


class SecurityGroupAssociation(Resource, name="azurerm_network_interface_security_group_association"):
    """A security group of an interface. Nothing by itself: it goes with the interface."""

    id: str = attribute(computed=True)
    network_interface_id: str = attribute(
        required=True, force_new=True, validators=[is_interface], normalize=ids.same, description="The interface."
    )
    network_security_group_id: str = attribute(
        required=True, force_new=True, validators=[is_group], normalize=ids.same, description="The security group."
    )
    timeouts: FixedTimeouts | None = block(FixedTimeouts, nesting=Nesting.SINGLE)

    def _interface(self) -> NetworkInterface:
        found = NetworkInterface.from_id(self.network_interface_id)
        if found is None:
            raise ProviderFailure(
                f"{self.network_interface_id} is no id of an interface.", field="network_interface_id"
            )
        return found

    def _limited(self, context: Context, step: str) -> Any:
        text = given(getattr(self.timeouts, step, None))
        return limited(context, seconds(text) if text else 1800.0)

    def _set(self, context: Context, interface: NetworkInterface, found: Found, group: str | None) -> None:
        properties = {name: value for name, value in found["properties"].items() if name in WRITABLE}
        properties["networkSecurityGroup"] = reference(group)
        dns = properties.pop("dnsSettings", None) or {}
        kept = {name: dns[name] for name in ("dnsServers", "internalDnsNameLabel") if dns.get(name)}
        properties["dnsSettings"] = kept or None
        properties["ipConfigurations"] = [_address_body(item) for item in properties["ipConfigurations"]]
        body = {name: found[name] for name in ("location", "tags", "extendedLocation") if found.get(name)}
        interface.change(context, {**body, "properties": pruned(properties)}, field="network_security_group_id")

    def create(self, context: Context) -> None:
        interface = self._interface()
        with self._limited(context, "create") as inner, cloud_of(inner).exclusive(inner, self.network_interface_id):
            found = interface.expect(inner)
            if found is None:
                raise ResourceNotFound(f"There is no {interface.called}.", field="network_interface_id")
            present = referred(found["properties"].get("networkSecurityGroup"))
            if present and not ids.same(present, self.network_security_group_id):
                raise ResourceConflict(f"{interface.called} has the security group {present} already.")
            if not present:
                with told(self, self._made_id()):
                    self._set(inner, interface, found, self.network_security_group_id)
            self.id = self._made_id()

    def _made_id(self) -> str:
        return f"{self.network_interface_id}|{self.network_security_group_id}"

    def _present(self, context: Context) -> Found | None:
        found = self._interface().look(context)
        group = referred(((found or {}).get("properties") or {}).get("networkSecurityGroup"))
        return found if ids.same(group, self.network_security_group_id) else None

    def read(self, context: Context) -> bool:
        return self._present(context) is not None

    def delete(self, context: Context) -> None:
        with self._limited(context, "delete") as inner, cloud_of(inner).exclusive(inner, self.network_interface_id):
            found = self._present(inner)
            if found is not None:
                self._set(inner, self._interface(), found, None)

    @classmethod
    def import_(cls, context: Context, identity: str) -> Self | None:
        """``INTERFACE|GROUP``, as the original provider takes it."""
        interface, _, group = identity.partition("|")
        made = cls(id=identity, network_interface_id=interface, network_security_group_id=group)
        return made if made.read(context) else None


WRITABLE = (
    "ipConfigurations",
    "enableAcceleratedNetworking",
    "enableIPForwarding",
    "auxiliaryMode",
    "auxiliarySku",
    "dnsSettings",
)
ONLY_AZURES = ("provisioningState", "privateLinkConnectionProperties")


def _address_body(found: Found) -> Found:
    """An address as Azure tells it, as it may be put again."""
    properties = {name: value for name, value in found["properties"].items() if name not in ONLY_AZURES}
    for name in ("subnet", "publicIPAddress"):
        if properties.get(name):
            properties[name] = reference(referred(properties[name]))
    if properties.get("privateIPAllocationMethod") == "Dynamic":
        properties.pop("privateIPAddress", None)
    return {"name": found["name"], "properties": properties}
