"""Rules of security groups: what templates write, and what AWS's calls take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stead.api.provider import ObjectSchema, attribute
from stead.api.provider.values import is_wholly_known
from stead_aws.cloud import Found

NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58", "all": "-1"}
NAMES = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}


def protocol_of(text: str) -> str:
    """As AWS writes it: names for those that have one, ``-1`` for all."""
    lower = text.lower()
    return "-1" if lower in ("all", "-1") else NAMES.get(lower, lower)


class Rule(ObjectSchema):
    """Who may come in, or where traffic may go."""

    from_port: int | None = attribute(optional=True, description="First port.")
    to_port: int | None = attribute(optional=True, description="Last port.")
    protocol: str | None = attribute(optional=True, description="tcp, udp, icmp, or -1 for all.")
    cidr_blocks: list[str] | None = attribute(optional=True, description="Networks.")
    ipv6_cidr_blocks: list[str] | None = attribute(optional=True, description="IPv6 networks.")
    prefix_list_ids: list[str] | None = attribute(optional=True, description="Prefix lists.")
    security_groups: set[str] | None = attribute(optional=True, description="Other security groups.")
    self_: bool | None = attribute(optional=True, name="self", description="The group itself.")
    description: str | None = attribute(optional=True, description="What it is for.")


Atom = tuple[str, int, int, str, str, str]  # protocol, first port, last port, kind, source, description


def atoms(rule: Any, group: str, owner: str = "") -> set[Atom]:
    """One entry for every source, which is how AWS keeps them."""
    protocol = protocol_of(str(rule.protocol or "-1"))
    low, high = (-1, -1) if protocol == "-1" else (rule.from_port or 0, rule.to_port or 0)
    head, text = (protocol, low, high), rule.description or ""
    found = {(*head, "cidr", item, text) for item in rule.cidr_blocks or ()}
    found |= {(*head, "cidr6", item, text) for item in rule.ipv6_cidr_blocks or ()}
    found |= {(*head, "prefix", item, text) for item in rule.prefix_list_ids or ()}
    found |= {(*head, "group", _bare(item, owner), text) for item in rule.security_groups or ()}
    if rule.self_:
        found.add((*head, "group", group, text))
    return found


def same_rules(before: Iterable[Rule], after: Iterable[Rule]) -> bool:
    """Whether two sets of rules let the same through, whatever they leave out and however they are grouped."""
    if not (is_wholly_known(before) and is_wholly_known(after)):
        return False
    one, other = ({atom for rule in rules for atom in atoms(rule, "self")} for rules in (before, after))
    return one == other


def _bare(group: str, owner: str) -> str:
    return group.removeprefix(f"{owner}/") if owner else group


def atoms_of_api(permissions: Iterable[Found], owner: str) -> set[Atom]:
    found: set[Atom] = set()
    for item in permissions:
        protocol = protocol_of(str(item["IpProtocol"]))
        low, high = (-1, -1) if protocol == "-1" else (item.get("FromPort", 0), item.get("ToPort", 0))
        for kind, member, key in _SOURCES:
            for source in item.get(member) or ():
                found.add((protocol, low, high, kind, _source(source, key, owner), source.get("Description") or ""))
    return found


_SOURCES = (
    ("cidr", "IpRanges", "CidrIp"),
    ("cidr6", "Ipv6Ranges", "CidrIpv6"),
    ("prefix", "PrefixListIds", "PrefixListId"),
    ("group", "UserIdGroupPairs", "GroupId"),
)


def _source(source: Found, key: str, owner: str) -> str:
    name = str(source[key])
    other = source.get("UserId")
    return f"{other}/{name}" if key == "GroupId" and other and other != owner else name


def to_api(found: Iterable[Atom]) -> list[Found]:
    """Permissions for the calls, one for each entry."""
    result = []
    for protocol, low, high, kind, source, text in sorted(found):
        member, key = next((member, key) for name, member, key in _SOURCES if name == kind)
        entry: Found = {key: source}
        if kind == "group" and "/" in source:
            entry = {"UserId": source.partition("/")[0], "GroupId": source.partition("/")[2]}
        if text:
            entry["Description"] = text
        ports = {} if protocol == "-1" else {"FromPort": low, "ToPort": high}
        result.append({"IpProtocol": protocol, **ports, member: [entry]})
    return result


def to_rules(found: Iterable[Atom], group: str) -> list[Rule]:
    """Rules as the original provider tells them: sources of one protocol, ports and description together."""
    together: dict[tuple[str, int, int, str], list[tuple[str, str]]] = {}
    for protocol, low, high, kind, source, text in sorted(found):
        together.setdefault((protocol, low, high, text), []).append((kind, source))
    return [_rule(key, sources, group) for key, sources in together.items()]


def _rule(key: tuple[str, int, int, str], sources: list[tuple[str, str]], group: str) -> Rule:
    protocol, low, high, text = key
    by_kind = {kind: [source for name, source in sources if name == kind] for kind, _, _ in _SOURCES}
    every = protocol == "-1"
    return Rule(
        from_port=0 if every else low,
        to_port=0 if every else high,
        protocol=protocol,
        cidr_blocks=by_kind["cidr"],
        ipv6_cidr_blocks=by_kind["cidr6"],
        prefix_list_ids=by_kind["prefix"],
        security_groups={item for item in by_kind["group"] if item != group},
        self_=group in by_kind["group"],
        description=text,
    )
