"""``azurerm_public_ip``."""

from __future__ import annotations

from stead.api.provider import Context, Nesting, attribute, between, block, matches, one_of
from stead_azure import ids
from stead_azure.base import (
    GROUP,
    GROUP_NAME,
    LOCATION,
    NAME,
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
from stead_azure.cloud import Found
from stead_azure.operations import IP_KIND

LABEL = matches(
    r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
    "must begin with a lower-case letter, end with one or a digit, and have at most 63 of these and '-'",
)
SCOPES = ("NoReuse", "ResourceGroupReuse", "SubscriptionReuse", "TenantReuse")


class PublicIp(Tagged, name="azurerm_public_ip"):
    """A public address."""

    kind = IP_KIND
    path = (ids.NETWORK, "publicIPAddresses")

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[NAME], description="Name of the address.")
    resource_group_name: str = attribute(
        required=True, force_new=True, validators=[GROUP_NAME], normalize=same_text, description=GROUP
    )
    location: str = attribute(required=True, force_new=True, normalize=same_region, description=LOCATION)
    allocation_method: str = attribute(
        required=True, validators=[one_of("Static", "Dynamic")], description="Static keeps it."
    )
    sku: str = attribute(
        default="Standard", force_new=True, validators=[one_of("Basic", "Standard")], description="Basic or Standard."
    )
    sku_tier: str = attribute(
        default="Regional", force_new=True, validators=[one_of("Regional", "Global")], description="Regional or Global."
    )
    ip_version: str = attribute(
        default="IPv4", force_new=True, validators=[one_of("IPv4", "IPv6")], description="IPv4 or IPv6."
    )
    zones: set[str] | None = attribute(optional=True, force_new=True, description="Availability zones.")
    domain_name_label: str | None = attribute(
        optional=True, validators=[LABEL], description="NAME in NAME.REGION.cloudapp.azure.com."
    )
    domain_name_label_scope: str | None = attribute(
        optional=True, force_new=True, validators=[one_of(*SCOPES)], description="Who may use the label again."
    )
    reverse_fqdn: str | None = attribute(optional=True, description="Name to which the address leads back.")
    idle_timeout_in_minutes: int = attribute(default=4, validators=[between(4, 30)], description="Of idle connections.")
    ip_tags: dict[str, str] | None = attribute(optional=True, force_new=True, description="Tags for routing.")
    public_ip_prefix_id: str | None = attribute(optional=True, force_new=True, description="Prefix that it is from.")
    edge_zone: str | None = attribute(optional=True, force_new=True, description="Edge zone.")
    ddos_protection_mode: str = attribute(
        default="VirtualNetworkInherited",
        validators=[one_of("VirtualNetworkInherited", "Enabled", "Disabled")],
        description="Protection against floods.",
    )
    ddos_protection_plan_id: str | None = attribute(optional=True, description="Its plan.")
    ip_address: str = attribute(computed=True, description="The address, once there is one.")
    fqdn: str = attribute(computed=True, description="Its name, with domain_name_label.")
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        if given(self.sku) == "Standard" and given(self.allocation_method) == "Dynamic":
            context.error("Standard addresses are static", 'Set allocation_method = "Static".', "allocation_method")

    def _body(self, context: Context, present: Found | None = None) -> Found:
        dns = {
            "domainNameLabel": given(self.domain_name_label),
            "domainNameLabelScope": given(self.domain_name_label_scope),
            "reverseFqdn": given(self.reverse_fqdn),
        }
        properties = {
            "publicIPAllocationMethod": self.allocation_method,
            "publicIPAddressVersion": self.ip_version,
            "idleTimeoutInMinutes": self.idle_timeout_in_minutes,
            "dnsSettings": dns if any(dns.values()) else None,
            "publicIPPrefix": reference(given(self.public_ip_prefix_id)),
            "ipTags": [{"ipTagType": name, "tag": tag} for name, tag in sorted((self.ip_tags or {}).items())] or None,
            "ddosSettings": {
                "protectionMode": self.ddos_protection_mode,
                "ddosProtectionPlan": reference(given(self.ddos_protection_plan_id)),
            },
        }
        body: Found = pruned(
            {
                "location": region(self.location),
                "extendedLocation": {"type": "EdgeZone", "name": self.edge_zone} if self.edge_zone else None,
                "sku": {"name": self.sku, "tier": self.sku_tier},
                "zones": sorted(self.zones) if self.zones else None,
                "tags": self.all_tags(context, present),
                "properties": properties,
            }
        )
        return body

    def create(self, context: Context) -> None:
        with self.limited(context, "create") as inner:
            self._assign(inner, self.make(inner, self._body(inner)))

    def _assign(self, context: Context, found: Found) -> None:
        properties = found["properties"]
        self.id, self.ip_address = self.made_id(context), properties.get("ipAddress") or ""
        self.fqdn = (properties.get("dnsSettings") or {}).get("fqdn") or ""

    def read(self, context: Context) -> bool:
        with self.limited(context, "read") as inner:
            found = self.look(inner)
        if found is None:
            return False
        properties, sku = found["properties"], found.get("sku") or {}
        dns, ddos = properties.get("dnsSettings") or {}, properties.get("ddosSettings") or {}
        self.read_location(found)
        self.allocation_method = properties["publicIPAllocationMethod"]
        self.ip_version = properties.get("publicIPAddressVersion") or "IPv4"
        self.idle_timeout_in_minutes = properties.get("idleTimeoutInMinutes") or 4
        self.sku, self.sku_tier = sku.get("name") or "Basic", sku.get("tier") or "Regional"
        self.zones = set(found.get("zones") or ()) or None
        self.domain_name_label = dns.get("domainNameLabel") or None
        self.domain_name_label_scope = dns.get("domainNameLabelScope") or None
        self.reverse_fqdn = dns.get("reverseFqdn") or None
        self.ip_tags = {item["ipTagType"]: item["tag"] for item in properties.get("ipTags") or ()} or None
        self.public_ip_prefix_id = referred(properties.get("publicIPPrefix")) or None
        self.edge_zone = (found.get("extendedLocation") or {}).get("name") or None
        self.ddos_protection_mode = ddos.get("protectionMode") or "VirtualNetworkInherited"
        self.ddos_protection_plan_id = referred(ddos.get("ddosProtectionPlan")) or None
        self.read_tags(found)
        self._assign(context, found)
        return True

    def update(self, context: Context, prior: PublicIp) -> None:
        del prior
        with self.limited(context, "update") as inner:
            self._assign(inner, self.change(inner, self._body(inner, self.must_look(inner))))
