"""Rules of security groups as resources of their own."""

from __future__ import annotations

import hashlib
import time
from types import SimpleNamespace
from typing import Any

from stead.api.errors import ResourceConflict, ResourceNotFound
from stead.api.provider import BlockSchema, Context, Nesting, Plan, attribute, block, is_known, one_of
from stead.api.provider.durations import is_duration
from stead_aws import security_rules as rules
from stead_aws import tags as tagging
from stead_aws.base import (
    Regional,
    RegionalTagged,
    effective_tags,
    given,
    key_filter,
    limit_of,
    read_tags,
    told,
)
from stead_aws.cloud import Found, cloud_of, limited
from stead_aws.security_group import authorize_egress, authorize_ingress, revoke_egress, revoke_ingress
from stead_aws.security_rules import Atom

DUPLICATE, MISSING = "InvalidPermission.Duplicate", "InvalidPermission.NotFound"


class CreateTimeouts(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its creation.")


class SecurityGroupRule(Regional, name="aws_security_group_rule", version=2):
    """One rule with all its sources."""

    id: str = attribute(computed=True)
    security_group_rule_id: str | None = attribute(computed=True)
    security_group_id: str = attribute(required=True, force_new=True, description="The group.")
    type: str = attribute(
        required=True, force_new=True, validators=[one_of("ingress", "egress")], description="ingress or egress."
    )
    from_port: int = attribute(required=True, force_new=True, description="First port.")
    to_port: int = attribute(required=True, force_new=True, description="Last port.")
    protocol: str = attribute(
        required=True,
        force_new=True,
        normalize=lambda prior, planned: rules.protocol_of(prior) == rules.protocol_of(planned),
        description="tcp, udp, icmp, or -1 for all.",
    )
    cidr_blocks: list[str] | None = attribute(optional=True, force_new=True, description="Networks.")
    ipv6_cidr_blocks: list[str] | None = attribute(optional=True, force_new=True, description="IPv6 networks.")
    prefix_list_ids: list[str] | None = attribute(optional=True, force_new=True, description="Prefix lists.")
    source_security_group_id: str | None = attribute(
        optional=True, computed=True, force_new=True, conflicts_with=["self", "cidr_blocks"], description="A group."
    )
    self_: bool = attribute(default=False, name="self", force_new=True, description="The group itself.")
    description: str | None = attribute(optional=True, description="What it is for.")
    timeouts: CreateTimeouts | None = block(CreateTimeouts, nesting=Nesting.SINGLE)

    def _atoms(self) -> set[Atom]:
        groups = {self.source_security_group_id} if given(self.source_security_group_id) else set()
        rule = SimpleNamespace(
            protocol=self.protocol,
            from_port=self.from_port,
            to_port=self.to_port,
            cidr_blocks=self.cidr_blocks,
            ipv6_cidr_blocks=self.ipv6_cidr_blocks,
            prefix_list_ids=self.prefix_list_ids,
            security_groups=groups,
            self_=self.self_,
            description=self.description,
        )
        return rules.atoms(rule, self.security_group_id)

    def create(self, context: Context) -> None:
        limit = limit_of(self.timeouts, "create", 300.0)
        with limited(context, limit) as inner, told(self, self._made_up_id()):
            self._authorize(inner)
        self.id = self._made_up_id()
        self.security_group_rule_id = ""
        if not is_known(self.source_security_group_id):
            self.source_security_group_id = None

    def _made_up_id(self) -> str:
        parts = [self.security_group_id, self.type, *(str(atom[:5]) for atom in sorted(self._atoms()))]
        return f"sgrule-{int(hashlib.sha256('|'.join(parts).encode()).hexdigest()[:8], 16)}"

    def _authorize(self, context: Context) -> None:
        """All sources in one call, so that there is never a part of the rule."""
        doing = f"A rule of {self.security_group_id} could not be made"
        call = authorize_ingress if self.type == "ingress" else authorize_egress
        until = time.monotonic() + cloud_of(context).settings.settle
        while missing := self._atoms() - self._present(context):
            arguments = {"GroupId": self.security_group_id, "IpPermissions": rules.to_api(missing)}
            # A duplicate means that an answer was lost, or that AWS does not list it yet.
            if call(self, context, doing, arguments, DUPLICATE) is not None or time.monotonic() > until:
                return
            context.wait(cloud_of(context).settings.pause)

    def _present(self, context: Context) -> set[Atom]:
        """Rules that the group has; :class:`ResourceNotFound` where there is no group."""
        doing = f"Security group {self.security_group_id} could not be read"
        groups = self._groups(context, doing)
        if not groups:
            raise ResourceNotFound(f"There is no security group {self.security_group_id}.", field="security_group_id")
        member = "IpPermissions" if self.type == "ingress" else "IpPermissionsEgress"
        return rules.atoms_of_api(groups[0].get(member) or (), str(groups[0]["OwnerId"]))

    def _groups(self, context: Context, doing: str) -> list[Found]:
        """The group, in a list; a creation waits for one that was made a moment ago."""
        ask = self.find if given(self.id) else self.settle
        try:
            answer = ask(context, doing, "DescribeSecurityGroups", GroupIds=[self.security_group_id])
        except ResourceNotFound:
            return []
        return list((answer or {}).get("SecurityGroups") or ())

    def read(self, context: Context) -> bool:
        self.where(context)
        try:
            present = {atom[:5] for atom in self._present(context)}
        except ResourceNotFound:
            return False
        return {atom[:5] for atom in self._atoms()} <= present

    def update(self, context: Context, prior: SecurityGroupRule) -> None:
        """Only the description can change: AWS keeps it with each source."""
        doing = f"A rule of {self.security_group_id} could not be changed"
        permissions = rules.to_api({(*atom[:5], self.description or "") for atom in self._atoms()})
        del prior
        arguments: dict[str, Any] = {"GroupId": self.security_group_id, "IpPermissions": permissions}
        if self.type == "ingress":
            self.ask(context, doing, "UpdateSecurityGroupRuleDescriptionsIngress", **arguments)
        else:
            self.ask(context, doing, "UpdateSecurityGroupRuleDescriptionsEgress", **arguments)

    def delete(self, context: Context) -> None:
        doing = f"A rule of {self.security_group_id} could not be removed"
        call = revoke_ingress if self.type == "ingress" else revoke_egress
        try:
            present = self._present(context)
        except ResourceNotFound:
            return
        mine = {atom[:5] for atom in self._atoms()}
        for item in rules.to_api({atom for atom in present if atom[:5] in mine}):
            call(self, context, doing, {"GroupId": self.security_group_id, "IpPermissions": [item]}, MISSING)

    @property
    def identity(self) -> str:
        """As the original provider imports it: ``sg-1_ingress_tcp_443_443_192.0.2.0/24``."""
        if not is_known(self.id) or not self.id:
            return ""
        sources = [*(self.cidr_blocks or ()), *(self.ipv6_cidr_blocks or ()), *(self.prefix_list_ids or ())]
        sources += [self.source_security_group_id] if given(self.source_security_group_id) else []
        sources += ["self"] if self.self_ else []
        head = (self.security_group_id, self.type, self.protocol, str(self.from_port), str(self.to_port))
        return "_".join([*head, *sources])

    @classmethod
    def import_(cls, context: Context, identity: str) -> SecurityGroupRule | None:
        head, sources = identity.split("_")[:5], identity.split("_")[5:]
        if not sources or head[1] not in ("ingress", "egress") or not _is_port(head[3]) or not _is_port(head[4]):
            return None
        rule = cls(
            security_group_id=head[0],
            type=head[1],
            protocol=head[2],
            from_port=int(head[3]),
            to_port=int(head[4]),
            cidr_blocks=[item for item in sources if "." in item] or None,
            ipv6_cidr_blocks=[item for item in sources if ":" in item] or None,
            prefix_list_ids=[item for item in sources if item.startswith("pl-")] or None,
            source_security_group_id=next((item for item in sources if item.startswith("sg-")), None),
            self_="self" in sources,
            security_group_rule_id="",
        )
        rule.id = rule._made_up_id()
        return rule if rule.read(context) else None


def _is_port(text: str) -> bool:
    return text.removeprefix("-").isdigit()


class GroupRule(RegionalTagged):
    """One rule with one source. It has an id and tags of its own."""

    egress: bool = False

    id: str = attribute(computed=True)
    arn: str | None = attribute(computed=True)
    security_group_rule_id: str | None = attribute(computed=True)
    security_group_id: str = attribute(required=True, force_new=True, description="The group.")
    ip_protocol: str = attribute(
        required=True,
        normalize=lambda prior, planned: rules.protocol_of(prior) == rules.protocol_of(planned),
        description="tcp, udp, icmp, or -1 for all.",
    )
    from_port: int | None = attribute(optional=True, description="First port.")
    to_port: int | None = attribute(optional=True, description="Last port.")
    cidr_ipv4: str | None = attribute(
        optional=True,
        exactly_one_of=["cidr_ipv6", "prefix_list_id", "referenced_security_group_id"],
        description="A network.",
    )
    cidr_ipv6: str | None = attribute(optional=True, description="An IPv6 network.")
    prefix_list_id: str | None = attribute(optional=True, description="A prefix list.")
    referenced_security_group_id: str | None = attribute(optional=True, description="A group.")
    description: str | None = attribute(optional=True, description="What it is for.")

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        # AWS could change a rule in place; making it anew is the same to everyone, and never half done.
        for name in plan.changed - {"tags", "tags_all", "region", "security_group_id"}:
            plan.require_replace(name)

    def _permission(self) -> Found:
        kinds = {
            "cidr": self.cidr_ipv4,
            "cidr6": self.cidr_ipv6,
            "prefix": self.prefix_list_id,
            "group": self.referenced_security_group_id,
        }
        kind, source = next((kind, source) for kind, source in kinds.items() if source)
        protocol = rules.protocol_of(self.ip_protocol)
        low, high = (self.from_port, self.to_port) if protocol != "-1" else (-1, -1)
        atom = (
            protocol,
            -1 if low is None else low,
            -1 if high is None else high,
            kind,
            source,
            self.description or "",
        )
        return rules.to_api([atom])[0]

    def create(self, context: Context) -> None:
        doing = f"A rule of {self.security_group_id} could not be made"
        permission = self._permission()
        arguments = {
            "GroupId": self.security_group_id,
            "IpPermissions": [permission],
            "TagSpecifications": tagging.specification(
                "security-group-rule", effective_tags(context, given(self.tags))
            ),
        }
        found = self._own(context)
        if found is None:
            call = authorize_egress if self.egress else authorize_ingress
            answer = call(self, context, doing, arguments, DUPLICATE) or {}
            found = next(iter(answer.get("SecurityGroupRules") or ()), None) or self._listed(context, permission)
        if found is None:
            raise ResourceConflict(
                f"{doing}: the group has such a rule already.", remedy="Import it, or remove it from the group."
            )
        self.id = self.security_group_rule_id = str(found["SecurityGroupRuleId"])
        self.arn = self.arn_of(context, f"security-group-rule/{self.id}")

    def _listed(self, context: Context, permission: Found) -> Found | None:
        """What a call has made whose answer was lost, when AWS lists it; ``None`` where the rule is somebody else's."""
        settings = cloud_of(context).settings
        until = time.monotonic() + settings.settle
        while (found := self._own(context)) is None and time.monotonic() < until:
            if not rules.atoms_of_api([permission], "").isdisjoint(self._others(context)):
                return None
            context.wait(min(settings.poll, 2.0))
        return found

    def _others(self, context: Context) -> set[Atom]:
        """Every rule of the group, whoever made it."""
        doing = f"Security group {self.security_group_id} could not be read"
        answer = self.find(context, doing, "DescribeSecurityGroups", GroupIds=[self.security_group_id]) or {}
        member = "IpPermissionsEgress" if self.egress else "IpPermissions"
        groups = answer.get("SecurityGroups") or ()
        found = [rules.atoms_of_api(item.get(member) or (), str(item["OwnerId"])) for item in groups]
        return set().union(*found)

    def _own(self, context: Context) -> Found | None:
        """The rule that carries the key of this creation: that there is an equal one does not make it ours."""
        filters = [*key_filter(context), {"Name": "group-id", "Values": [self.security_group_id]}]
        found = self.ask(context, "Rules could not be listed", "DescribeSecurityGroupRules", Filters=filters)
        mine = [
            item
            for item in found["SecurityGroupRules"]
            if tagging.of_api(item.get("Tags")).get(tagging.KEY) == context.key
        ]
        return mine[0] if mine else None

    def read(self, context: Context) -> bool:
        doing = f"Rule {self.id} could not be read"
        answer = self.find(context, doing, "DescribeSecurityGroupRules", SecurityGroupRuleIds=[self.id])
        found = ((answer or {}).get("SecurityGroupRules") or [None])[0]
        if found is None:
            return False
        self._assign(context, found)
        return True

    def _assign(self, context: Context, found: Found) -> None:
        self.security_group_rule_id, self.security_group_id = self.id, found["GroupId"]
        self.arn = self.arn_of(context, f"security-group-rule/{self.id}")
        self.ip_protocol = found["IpProtocol"]
        everything = self.ip_protocol == "-1"
        if not everything:
            self.from_port, self.to_port = found.get("FromPort"), found.get("ToPort")
        self.cidr_ipv4, self.cidr_ipv6 = found.get("CidrIpv4"), found.get("CidrIpv6")
        self.prefix_list_id = found.get("PrefixListId")
        self.referenced_security_group_id = (found.get("ReferencedGroupInfo") or {}).get("GroupId")
        self.description = found.get("Description") or None
        read_tags(context, self, found.get("Tags"))

    def update(self, context: Context, prior: Any) -> None:
        self.retag(context, self.id, prior)

    def delete(self, context: Context) -> None:
        doing = f"Rule {self.id} could not be removed"
        arguments = {"GroupId": self.security_group_id, "SecurityGroupRuleIds": [self.id]}
        call = revoke_egress if self.egress else revoke_ingress
        if not self._gone(context):
            call(self, context, doing, arguments, MISSING)

    def _gone(self, context: Context) -> bool:
        doing = f"Rule {self.id} could not be read"
        answer = self.find(context, doing, "DescribeSecurityGroupRules", SecurityGroupRuleIds=[self.id])
        return not (answer or {}).get("SecurityGroupRules")

    @classmethod
    def import_(cls, context: Context, identity: str) -> Any:
        rule = cls(id=identity)
        rule.where(context)
        return rule if rule.read(context) else None


class IngressRule(GroupRule, name="aws_vpc_security_group_ingress_rule"):
    """Who may come in."""


class EgressRule(GroupRule, name="aws_vpc_security_group_egress_rule"):
    """Where traffic may go."""

    egress = True
