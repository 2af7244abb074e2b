"""``azurerm_virtual_network`` and ``azurerm_subnet``."""

from __future__ import annotations

from typing import Any, Self

from stead.api.errors import SteadError
from stead.api.provider import (
    BlockSchema,
    Context,
    Nesting,
    ObjectSchema,
    attribute,
    between,
    block,
    is_known,
    non_empty,
    one_of,
)
from stead_azure import ids
from stead_azure import tags as tagging
from stead_azure.base import (
    GROUP,
    GROUP_NAME,
    LOCATION,
    NAME,
    Arm,
    Tagged,
    Timeouts,
    given,
    pruned,
    reference,
    referred,
    region,
    same_region,
    same_text,
)
from stead_azure.cloud import Found, cloud_of
from stead_azure.operations import SUBNET_KIND, TAGS_MERGE, VNET_KIND

NETWORK_POLICIES = ("Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled")


class DdosPlan(BlockSchema):
    """Protection against floods."""

    id: str = attribute(required=True, description="Id of the protection plan.")
    enable: bool = attribute(required=True, description="Whether it protects.")


class Encryption(BlockSchema):
    """Encryption between machines of the network."""

    enforcement: str = attribute(
        required=True, validators=[one_of("AllowUnencrypted", "DropUnencrypted")], description="What is not encrypted."
    )


class InlineSubnet(ObjectSchema):
    """A subnet that stands in the network itself. Do not mix it with ``azurerm_subnet``."""

    name: str | None = attribute(optional=True, computed=True, description="Name.")
    address_prefixes: list[str] | None = attribute(optional=True, computed=True, description="Address ranges.")
    security_group: str | None = attribute(optional=True, computed=True, description="Id of a security group.")
    default_outbound_access_enabled: bool | None = attribute(optional=True, computed=True, description="Way out.")
    service_endpoints: set[str] | None = attribute(optional=True, computed=True, description="Microsoft.Storage …")
    route_table_id: str | None = attribute(optional=True, computed=True, description="Id of a route table.")
    id: str | None = attribute(computed=True)


class VirtualNetwork(Tagged, name="azurerm_virtual_network"):
    """A network of its own."""

    kind = VNET_KIND
    path = (ids.NETWORK, "virtualNetworks")

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[NAME], description="Name of the network.")
    resource_group_name: str = attribute(
        required=True, force_new=True, validators=[GROUP_NAME], normalize=same_text, description=GROUP
    )
    location: str = attribute(required=True, force_new=True, normalize=same_region, description=LOCATION)
    address_space: set[str] | None = attribute(
        optional=True, validators=[non_empty], description='Its ranges: ["10.0.0.0/16"].'
    )
    dns_servers: list[str] | None = attribute(optional=True, computed=True, description="Name servers.")
    bgp_community: str | None = attribute(optional=True, description="ASN:VALUE.")
    edge_zone: str | None = attribute(optional=True, force_new=True, description="Edge zone.")
    flow_timeout_in_minutes: int | None = attribute(
        optional=True, validators=[between(4, 30)], description="Minutes that an idle flow lives."
    )
    private_endpoint_vnet_policies: str = attribute(
        default="Disabled", validators=[one_of("Disabled", "Basic")], description="Disabled or Basic."
    )
    guid: str = attribute(computed=True)
    ddos_protection_plan: list[DdosPlan] = block(DdosPlan, max_items=1)
    encryption: list[Encryption] = block(Encryption, max_items=1)
    subnet: list[InlineSubnet] | None = attribute(
        optional=True, computed=True, as_blocks=True, description="Subnets that stand here."
    )
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        if self.address_space is None:
            context.error("address_space is missing", "A network needs its address ranges.", "address_space")

    def _body(self, context: Context, present: Found | None = None) -> Found:
        plan = self.ddos_protection_plan[0] if self.ddos_protection_plan else None
        encryption = self.encryption[0] if self.encryption else None
        servers = given(self.dns_servers)
        properties = {
            "addressSpace": {"addressPrefixes": sorted(self.address_space or ())},
            "dhcpOptions": {"dnsServers": list(servers)} if servers is not None else None,
            "subnets": self._subnets(present),
            "enableDdosProtection": plan.enable if plan else None,
            "ddosProtectionPlan": reference(plan.id) if plan else None,
            "encryption": {"enabled": True, "enforcement": encryption.enforcement} if encryption else None,
            "bgpCommunities": {"virtualNetworkCommunity": self.bgp_community} if self.bgp_community else None,
            "flowTimeoutInMinutes": given(self.flow_timeout_in_minutes),
            "privateEndpointVNetPolicies": self.private_endpoint_vnet_policies,
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

    def _subnets(self, present: Found | None) -> list[Found] | None:
        """Those of the template, or those that are there: a network that is put without them loses them."""
        there = ((present or {}).get("properties") or {}).get("subnets") or []
        if given(self.subnet) is None:
            return [_writable(item) for item in there] or None
        known = {str(item["name"]).lower(): _writable(item) for item in there}
        return [{**known.get(str(item.name).lower(), {}), **_inline_body(item)} for item in self.subnet or ()]

    def create(self, context: Context) -> None:
        with self.limited(context, "create") as inner:
            self._assign(inner, self.make(inner, self._body(inner)))

    def _assign(self, context: Context, found: Found) -> None:
        properties = found["properties"]
        self.id, self.guid = self.made_id(context), properties.get("resourceGuid") or ""
        if not is_known(self.dns_servers):
            self.dns_servers = list((properties.get("dhcpOptions") or {}).get("dnsServers") or [])
        if not is_known(self.subnet):
            self.subnet = [_inline(item) for item in properties.get("subnets") or ()]
        for item in self.subnet or ():
            there = _by_name(properties.get("subnets"), item.name)
            _settle(item, _inline(there) if there else InlineSubnet())

    def read(self, context: Context) -> bool:
        with self.limited(context, "read") as inner:
            found = self.look(inner)
        if found is None:
            return False
        properties = found["properties"]
        self.read_location(found)
        self.address_space = set((properties.get("addressSpace") or {}).get("addressPrefixes") or ())
        self.dns_servers = list((properties.get("dhcpOptions") or {}).get("dnsServers") or [])
        self.bgp_community = (properties.get("bgpCommunities") or {}).get("virtualNetworkCommunity") or None
        self.flow_timeout_in_minutes = properties.get("flowTimeoutInMinutes")
        self.private_endpoint_vnet_policies = properties.get("privateEndpointVNetPolicies") or "Disabled"
        self.edge_zone = (found.get("extendedLocation") or {}).get("name") or None
        encryption = properties.get("encryption") or {}
        self.encryption = [Encryption(enforcement=encryption["enforcement"])] if encryption.get("enabled") else []
        plan = referred(properties.get("ddosProtectionPlan"))
        self.ddos_protection_plan = (
            [DdosPlan(id=plan, enable=bool(properties.get("enableDdosProtection")))] if plan else []
        )
        self.subnet = [_inline(item) for item in properties.get("subnets") or ()]
        self.read_tags(found)
        self._assign(context, found)
        return True

    def update(self, context: Context, prior: VirtualNetwork) -> None:
        del prior
        with self.limited(context, "update") as inner, cloud_of(inner).exclusive(inner, self.id):
            self._assign(inner, self.change(inner, self._body(inner, self.must_look(inner))))

    def delete(self, context: Context) -> None:
        with self.limited(context, "delete") as inner, cloud_of(inner).exclusive(inner, self.id):
            self.remove(inner)


def _by_name(items: list[Found] | None, name: Any) -> Found | None:
    return next((item for item in items or () if str(item["name"]).lower() == str(name).lower()), None)


def _writable(subnet: Found) -> Found:
    """A subnet as Azure tells it, without what only Azure may say."""
    dropped = {"provisioningState", "ipConfigurations", "purpose", "privateEndpoints", "resourceNavigationLinks"}
    dropped |= {"serviceAssociationLinks", "ipConfigurationProfiles", "interfaceEndpoints"}
    properties = {name: value for name, value in subnet.get("properties", {}).items() if name not in dropped}
    return {"id": subnet.get("id"), "name": subnet["name"], "properties": properties}


def _inline(subnet: Found) -> InlineSubnet:
    properties = subnet.get("properties") or {}
    return InlineSubnet(
        id=subnet.get("id") or "",
        name=subnet["name"],
        address_prefixes=_prefixes(properties),
        security_group=referred(properties.get("networkSecurityGroup")),
        default_outbound_access_enabled=properties.get("defaultOutboundAccess", True),
        service_endpoints={item["service"] for item in properties.get("serviceEndpoints") or ()},
        route_table_id=referred(properties.get("routeTable")),
    )


def _settle(item: InlineSubnet, found: InlineSubnet) -> None:
    for name in type(item).schema().attributes:
        if not is_known(getattr(item, name)):
            setattr(item, name, getattr(found, name))


def _inline_body(item: InlineSubnet) -> Found:
    services = given(item.service_endpoints)
    properties = {
        "addressPrefixes": list(given(item.address_prefixes) or []),
        "networkSecurityGroup": reference(given(item.security_group)),
        "routeTable": reference(given(item.route_table_id)),
        "defaultOutboundAccess": given(item.default_outbound_access_enabled),
        "serviceEndpoints": [{"service": name} for name in sorted(services)] if services else None,
    }
    return {"name": item.name, "properties": pruned(properties)}


def _prefixes(properties: Found) -> list[str]:
    single = properties.get("addressPrefix")
    return list(properties.get("addressPrefixes") or ([single] if single else []))


class ServiceDelegation(BlockSchema):
    """To which service."""

    name: str = attribute(required=True, description="Microsoft.ContainerInstance/containerGroups and the like.")
    actions: set[str] | None = attribute(optional=True, description="What the service may do.")


class Delegation(BlockSchema):
    """A service of Azure that may use the subnet."""

    name: str = attribute(required=True, description="Name of the delegation.")
    service_delegation: list[ServiceDelegation] = block(ServiceDelegation, min_items=1, max_items=1)


class Subnet(Arm, name="azurerm_subnet"):
    """A part of a network."""

    kind = SUBNET_KIND
    path = (ids.NETWORK, "virtualNetworks", "subnets")

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[NAME], description="Name of the subnet.")
    resource_group_name: str = attribute(
        required=True, force_new=True, validators=[GROUP_NAME], normalize=same_text, description=GROUP
    )
    virtual_network_name: str = attribute(required=True, force_new=True, description="Network that it is part of.")
    address_prefixes: list[str] | None = attribute(
        optional=True, validators=[non_empty], description='Its ranges: ["10.0.1.0/24"].'
    )
    default_outbound_access_enabled: bool = attribute(default=True, description="Machines get out without more.")
    private_endpoint_network_policies: str = attribute(
        default="Disabled", validators=[one_of(*NETWORK_POLICIES)], description="For private endpoints."
    )
    private_link_service_network_policies_enabled: bool = attribute(default=True, description="For private links.")
    service_endpoints: set[str] | None = attribute(optional=True, description="Microsoft.Storage and the like.")
    service_endpoint_policy_ids: set[str] | None = attribute(
        optional=True, validators=[non_empty], description="Ids of policies."
    )
    sharing_scope: str | None = attribute(
        optional=True, validators=[one_of("Tenant")], description="Tenant, where others may use it."
    )
    delegation: list[Delegation] = block(Delegation)
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def names(self) -> tuple[str, ...]:
        return (self.resource_group_name, self.virtual_network_name, self.name)

    @classmethod
    def named(cls, found: ids.Id) -> Self:
        return cls(
            id=str(found), resource_group_name=found.group, virtual_network_name=found.names[0], name=found.names[1]
        )

    def validate(self, context: Context) -> None:
        if self.address_prefixes is None:
            context.error("address_prefixes is missing", "A subnet needs its address ranges.", "address_prefixes")

    def _network(self) -> VirtualNetwork:
        return VirtualNetwork(name=self.virtual_network_name, resource_group_name=self.resource_group_name)

    def _body(self, present: Found | None = None) -> Found:
        there = (present or {}).get("properties") or {}
        kept = ("networkSecurityGroup", "routeTable", "natGateway")  # what association resources put there
        linked = self.private_link_service_network_policies_enabled
        properties = {
            **{name: reference(referred(there[name])) for name in kept if there.get(name)},
            "addressPrefixes": list(self.address_prefixes or ()),
            "defaultOutboundAccess": self.default_outbound_access_enabled,
            "privateEndpointNetworkPolicies": self.private_endpoint_network_policies,
            "privateLinkServiceNetworkPolicies": "Enabled" if linked else "Disabled",
            "serviceEndpoints": [{"service": name} for name in sorted(self.service_endpoints or ())] or None,
            "serviceEndpointPolicies": [{"id": item} for item in sorted(self.service_endpoint_policy_ids or ())]
            or None,
            "sharingScope": given(self.sharing_scope),
            "delegations": [_delegation_body(item) for item in self.delegation] or None,
        }
        return {"name": self.name, "properties": pruned(properties)}

    def is_own(self, context: Context, found: Found) -> bool:
        del found
        network = self._network().look(context) or {}
        marked = (network.get("tags") or {}).get(tagging.SUBNET + self.name, "")
        return bool(context.key) and marked == tagging.subnet_mark(context.build.deployment, context.key)

    def create(self, context: Context) -> None:
        network = self._network().made_id(context)
        with self.limited(context, "create") as inner, cloud_of(inner).exclusive(inner, network):
            if self.look(inner) is None:
                self._mark(inner, network)
            self.make(inner, self._body())
            self.id = self.made_id(inner)

    def _mark(self, context: Context, network: str) -> None:
        """Say in the network's tags whose subnet this is going to be: before it is, so that nothing is ever lost."""
        if not context.key:
            return
        mark = {tagging.SUBNET + self.name: tagging.subnet_mark(context.build.deployment, context.key)}
        self._tag(context, network, "Merge", mark)

    def _tag(self, context: Context, network: str, operation: str, mark: tagging.Tags) -> None:
        doing = f"Network {self.virtual_network_name} could not be tagged for subnet {self.name}"
        body = {"operation": operation, "properties": {"tags": mark}}
        cloud_of(context).patient(context, doing, TAGS_MERGE, network.lstrip("/"), body, field="virtual_network_name")

    def discard(self, context: Context, why: SteadError) -> None:
        super().discard(context, why)
        late = self.late(context)
        try:
            if self.look(late) is None:
                self._unmark(late)
        except SteadError as error:
            context.log(f"The mark of subnet {self.name} may be left over: {error}", "warn")

    def _unmark(self, context: Context) -> None:
        network = self._network()
        found = network.look(context) or {}
        name = tagging.SUBNET + self.name
        if name in (found.get("tags") or {}):
            self._tag(context, network.made_id(context), "Delete", {name: found["tags"][name]})

    def read(self, context: Context) -> bool:
        with self.limited(context, "read") as inner:
            found = self.look(inner)
        if found is None:
            return False
        properties = found["properties"]
        self.address_prefixes = _prefixes(properties)
        self.default_outbound_access_enabled = properties.get("defaultOutboundAccess", True)
        self.private_endpoint_network_policies = properties.get("privateEndpointNetworkPolicies") or "Disabled"
        link = properties.get("privateLinkServiceNetworkPolicies", "Enabled")
        self.private_link_service_network_policies_enabled = link == "Enabled"
        self.service_endpoints = {item["service"] for item in properties.get("serviceEndpoints") or ()} or None
        self.service_endpoint_policy_ids = {
            item["id"] for item in properties.get("serviceEndpointPolicies") or ()
        } or None
        self.sharing_scope = properties.get("sharingScope") or None
        self.delegation = [_delegation(item) for item in properties.get("delegations") or ()]
        return True

    def update(self, context: Context, prior: Subnet) -> None:
        del prior
        network = self._network().made_id(context)
        with self.limited(context, "update") as inner, cloud_of(inner).exclusive(inner, network):
            self.change(inner, self._body(self.must_look(inner)))

    def delete(self, context: Context) -> None:
        network = self._network().made_id(context)
        with self.limited(context, "delete") as inner, cloud_of(inner).exclusive(inner, network):
            self.remove(inner)

    def remove(self, context: Context, **options: Any) -> bool:
        gone = super().remove(context, **options)
        self._unmark(context)
        return gone


def _delegation_body(item: Delegation) -> Found:
    service = item.service_delegation[0]
    actions = sorted(service.actions or ())
    properties = {"serviceName": service.name, "actions": actions or None}
    return {"name": item.name, "properties": pruned(properties)}


def _delegation(found: Found) -> Delegation:
    properties = found["properties"]
    actions = set(properties.get("actions") or ()) or None
    service = ServiceDelegation(name=properties["serviceName"], actions=actions)
    return Delegation(name=found["name"], service_delegation=[service])
