"""``azurerm_network_security_group``, with its rules."""

from __future__ import annotations

from typing import Any

from stead.api.provider import (
    Context,
    Nesting,
    ObjectSchema,
    attribute,
    between,
    block,
    is_known,
    length,
    matches,
    one_of,
)
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
    region,
    same_region,
    same_text,
)
from stead_azure.cloud import Found
from stead_azure.operations import NSG_KIND

PORTS = matches(r"\*|\d{1,5}(-\d{1,5})?", "must be a port, a range such as 8000-8100, or *")
PROTOCOLS = ("*", "Tcp", "Udp", "Icmp", "Ah", "Esp")
TEXTS = {
    "access": "access",
    "description": "description",
    "destination_address_prefix": "destinationAddressPrefix",
    "destination_port_range": "destinationPortRange",
    "direction": "direction",
    "protocol": "protocol",
    "source_address_prefix": "sourceAddressPrefix",
    "source_port_range": "sourcePortRange",
}
SETS = {
    "destination_address_prefixes": "destinationAddressPrefixes",
    "destination_port_ranges": "destinationPortRanges",
    "source_address_prefixes": "sourceAddressPrefixes",
    "source_port_ranges": "sourcePortRanges",
}
GROUPS = {
    "destination_application_security_group_ids": "destinationApplicationSecurityGroups",
    "source_application_security_group_ids": "sourceApplicationSecurityGroups",
}


class SecurityRule(ObjectSchema):
    """Who may, or may not, reach what."""

    name: str = attribute(required=True, validators=[NAME], description="Name of the rule.")
    priority: int = attribute(required=True, validators=[between(100, 4096)], description="The lowest counts first.")
    direction: str = attribute(required=True, validators=[one_of("Inbound", "Outbound")], description="Inbound …")
    access: str = attribute(required=True, validators=[one_of("Allow", "Deny")], description="Allow or Deny.")
    protocol: str = attribute(required=True, validators=[one_of(*PROTOCOLS)], description="Tcp, Udp, Icmp, * …")
    description: str | None = attribute(optional=True, validators=[length(0, 140)], description="What it is for.")
    source_port_range: str | None = attribute(optional=True, validators=[PORTS], description="22, 8000-8100 or *.")
    source_port_ranges: set[str] | None = attribute(optional=True, description="Several of them.")
    destination_port_range: str | None = attribute(optional=True, validators=[PORTS], description="22 or *.")
    destination_port_ranges: set[str] | None = attribute(optional=True, description="Several of them.")
    source_address_prefix: str | None = attribute(optional=True, description="Range, service tag or *.")
    source_address_prefixes: set[str] | None = attribute(optional=True, description="Several of them.")
    destination_address_prefix: str | None = attribute(optional=True, description="Range, service tag or *.")
    destination_address_prefixes: set[str] | None = attribute(optional=True, description="Several of them.")
    source_application_security_group_ids: set[str] | None = attribute(optional=True, description="Ids.")
    destination_application_security_group_ids: set[str] | None = attribute(optional=True, description="Ids.")

    def body(self) -> Found:
        properties: Found = {"priority": self.priority}
        properties |= {wire: given(getattr(self, name)) or None for name, wire in TEXTS.items()}
        properties |= {wire: sorted(given(getattr(self, name)) or ()) or None for name, wire in SETS.items()}
        for name, wire in GROUPS.items():
            properties[wire] = [{"id": item} for item in sorted(given(getattr(self, name)) or ())] or None
        return {"name": self.name, "properties": pruned(properties)}

    @classmethod
    def found(cls, item: Found) -> SecurityRule:
        properties = item["properties"]
        values: dict[str, Any] = {name: properties.get(wire) or None for name, wire in TEXTS.items()}
        values |= {name: set(properties.get(wire) or ()) or None for name, wire in SETS.items()}
        for name, wire in GROUPS.items():
            values[name] = {group["id"] for group in properties.get(wire) or ()} or None
        return cls(name=item["name"], priority=properties["priority"], **values)


class SecurityGroup(Tagged, name="azurerm_network_security_group"):
    """Rules for the traffic of interfaces and subnets."""

    kind = NSG_KIND
    path = (ids.NETWORK, "networkSecurityGroups")

    id: str = attribute(computed=True)
    name: str = attribute(required=True, force_new=True, validators=[NAME], description="Name of the group.")
    resource_group_name: str = attribute(
        required=True, force_new=True, validators=[GROUP_NAME], normalize=same_text, description=GROUP
    )
    location: str = attribute(required=True, force_new=True, normalize=same_region, description=LOCATION)
    security_rule: set[SecurityRule] | None = attribute(
        optional=True, computed=True, as_blocks=True, description="Rules; [] for none."
    )
    timeouts: Timeouts | None = block(Timeouts, nesting=Nesting.SINGLE)

    def validate(self, context: Context) -> None:
        seen: dict[tuple[str, int], str] = {}
        for rule in given(self.security_rule) or ():
            for side in ("source", "destination"):
                _check_side(context, rule, side)
            if is_known(rule.direction) and is_known(rule.priority):
                other = seen.setdefault((rule.direction, rule.priority), rule.name)
                if other != rule.name:
                    text = f"{other} and {rule.name} both have {rule.priority} ({rule.direction})."
                    context.error("Two rules have one priority", text, "security_rule")

    def _body(self, context: Context, present: Found | None = None) -> Found:
        rules = given(self.security_rule)
        if rules is None:
            there = ((present or {}).get("properties") or {}).get("securityRules") or ()
            rules = [SecurityRule.found(item) for item in there]
        bodies = sorted((rule.body() for rule in rules), key=lambda body: str(body["name"]))
        return {
            "location": region(self.location),
            "tags": self.all_tags(context, present),
            "properties": {"securityRules": bodies},
        }

    def create(self, context: Context) -> None:
        with self.limited(context, "create") as inner:
            found = self.make(inner, self._body(inner))
            self.id = self.made_id(inner)
            if not is_known(self.security_rule):
                self._read_rules(found)

    def _read_rules(self, found: Found) -> None:
        rules = found["properties"].get("securityRules") or ()
        self.security_rule = [SecurityRule.found(item) for item in rules]  # type: ignore[assignment]

    def read(self, context: Context) -> bool:
        with self.limited(context, "read") as inner:
            found = self.look(inner)
        if found is None:
            return False
        self.read_location(found)
        self._read_rules(found)
        self.read_tags(found)
        return True

    def update(self, context: Context, prior: SecurityGroup) -> None:
        del prior
        with self.limited(context, "update") as inner:
            self.change(inner, self._body(inner, self.must_look(inner)))


def _check_side(context: Context, rule: SecurityRule, side: str) -> None:
    """Azure wants ports and addresses of both sides, each in one of the ways to say them."""
    ways = (
        (f"{side}_port_range", f"{side}_port_ranges"),
        (f"{side}_address_prefix", f"{side}_address_prefixes", f"{side}_application_security_group_ids"),
    )
    for names in ways:
        values = [getattr(rule, name) for name in names]
        said = [name for name, value in zip(names, values, strict=True) if value is not None]
        if len(said) != 1 and all(is_known(value) for value in values):
            context.error(
                f"Rule {rule.name} needs one of {', '.join(names)}",
                f"It has {' and '.join(said) or 'none'} of them.",
                "security_rule",
            )
