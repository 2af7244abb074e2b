"""``aws_security_group``."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from stead.api.errors import ProviderFailure, ResourceConflict, ResourceNotFound
from stead.api.provider import Context, Nesting, attribute, block, is_known, length
from stead_aws import security_rules as rules
from stead_aws import tags as tagging
from stead_aws.base import (
    CreateDeleteTimeouts,
    RegionalTagged,
    effective_tags,
    given,
    key_filter,
    limit_of,
    read_tags,
)
from stead_aws.cloud import Found, cause_code, cloud_of, limited
from stead_aws.security_rules import Atom, Rule, same_rules


class SecurityGroup(RegionalTagged, name="aws_security_group", version=1):
    """Who may reach machines, and what they may reach. Rules stand inside or as resources of their own."""

    id: str = attribute(computed=True)
    arn: str | None = attribute(computed=True)
    owner_id: str | None = attribute(computed=True)
    name: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[length(0, 255)],
        conflicts_with=["name_prefix"],
        description="Name, unique in the network.",
    )
    name_prefix: str | None = attribute(
        optional=True, computed=True, force_new=True, validators=[length(0, 100)], description="Beginning of the name."
    )
    description: str = attribute(
        default="Managed by Terraform", force_new=True, validators=[length(0, 255)], description="What it is for."
    )
    vpc_id: str | None = attribute(optional=True, computed=True, force_new=True, description="Network.")
    revoke_rules_on_delete: bool = attribute(default=False, description="Remove its rules before it is deleted.")
    ingress: set[Rule] | None = attribute(
        optional=True, computed=True, as_blocks=True, normalize=same_rules, description="Who may come in."
    )
    egress: set[Rule] | None = attribute(
        optional=True, computed=True, as_blocks=True, normalize=same_rules, description="Where traffic may go."
    )
    timeouts: CreateDeleteTimeouts | None = block(CreateDeleteTimeouts, nesting=Nesting.SINGLE)

    def create(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "create", 600.0)) as inner:
            self._name()
            network = given(self.vpc_id)
            self.id = cloud_of(inner).make(
                inner,
                f"Security group {self.name} could not be created",
                lambda: self._own(inner),
                "ec2",
                "CreateSecurityGroup",
                accept=lambda answer: str(answer["GroupId"]),
                region=self.where(inner),
                field=lambda failure: "name" if isinstance(failure, ResourceConflict) else None,
                GroupName=self.name,
                Description=self.description,
                VpcId=network or None,
                TagSpecifications=tagging.specification("security-group", effective_tags(inner, given(self.tags))),
            )
            found = self._settled(inner)
            self._identity(inner, found)
            self._rules(inner, found)

    def _name(self) -> None:
        prefix = given(self.name_prefix)
        if not given(self.name):
            self.name = f"{prefix or 'terraform-'}{secrets.token_hex(13)}"
        if not is_known(self.name_prefix):
            self.name_prefix = ""

    def _own(self, context: Context) -> str | None:
        if not context.key:
            return None
        doing = "Security groups could not be listed"
        found = self.ask(context, doing, "DescribeSecurityGroups", Filters=key_filter(context))["SecurityGroups"]
        if found:
            self.name = found[0]["GroupName"] if not given(self.name) else self.name
        return found[0]["GroupId"] if found else None

    def _settled(self, context: Context) -> Found:
        doing = f"Security group {self.id} could not be read"
        found: Found = self.settle(context, doing, "DescribeSecurityGroups", GroupIds=[self.id])["SecurityGroups"][0]
        return found

    def _describe(self, context: Context) -> Found | None:
        doing = f"Security group {self.id} could not be read"
        answer = self.find(context, doing, "DescribeSecurityGroups", GroupIds=[self.id])
        groups = (answer or {}).get("SecurityGroups") or [None]
        return groups[0]

    def _identity(self, context: Context, found: Found) -> None:
        self.owner_id = found["OwnerId"]
        self.vpc_id = found.get("VpcId") or ""
        self.name = found["GroupName"]
        self.arn = self.arn_of(context, f"security-group/{self.id}")

    def _rules(self, context: Context, found: Found, prior: SecurityGroup | None = None) -> None:
        """Bring the group to the rules inside it. Where a template writes none, others keep them."""
        owner = str(found["OwnerId"])
        for name, member in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
            present = rules.atoms_of_api(found.get(member) or (), owner)
            wanted = given(getattr(self, name))
            if wanted is None and name == "egress" and prior is None:
                wanted = []  # AWS allows everything out of a new group; Terraform does not
            target = {atom for rule in wanted or () for atom in rules.atoms(rule, self.id, owner)}
            known = (getattr(prior, name) or ()) if prior else None
            if known is not None and target == {atom for rule in known for atom in rules.atoms(rule, self.id, owner)}:
                continue  # rules that are resources of their own may just be coming
            if wanted is None:
                setattr(self, name, rules.to_rules(present, self.id))
                continue
            self._revoke(context, name, present - target)
            self._authorize(context, name, target - present)
            setattr(self, name, wanted)

    def _authorize(self, context: Context, name: str, atoms: set[Atom]) -> None:
        if not atoms:
            return
        doing = f"Rules of {self.id} could not be set"
        arguments = {"GroupId": self.id, "IpPermissions": rules.to_api(atoms)}
        for part in _one_by_one(arguments):
            self._tolerant(context, doing, "Authorize", name, part, "InvalidPermission.Duplicate")

    def _revoke(self, context: Context, name: str, atoms: set[Atom]) -> None:
        if not atoms:
            return
        doing = f"Rules of {self.id} could not be removed"
        arguments = {"GroupId": self.id, "IpPermissions": rules.to_api(atoms)}
        for part in _one_by_one(arguments):
            self._tolerant(context, doing, "Revoke", name, part, "InvalidPermission.NotFound")

    def _tolerant(self, context: Context, doing: str, verb: str, name: str, arguments: Found, fine: str) -> None:
        """A rule that is there already, or gone already, is as it should be: an answer was lost."""
        calls = {
            ("Authorize", "ingress"): authorize_ingress,
            ("Authorize", "egress"): authorize_egress,
            ("Revoke", "ingress"): revoke_ingress,
            ("Revoke", "egress"): revoke_egress,
        }
        calls[verb, name](self, context, doing, arguments, fine)

    def read(self, context: Context) -> bool:
        found = self._describe(context)
        if found is None:
            return False
        self._identity(context, found)
        self.description = found["Description"]
        owner = str(found["OwnerId"])
        for name, member in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
            present = rules.atoms_of_api(found.get(member) or (), owner)
            known = getattr(self, name) or []
            if {atom for rule in known for atom in rules.atoms(rule, self.id, owner)} != present:
                setattr(self, name, rules.to_rules(present, self.id))
        read_tags(context, self, found.get("Tags"))
        return True

    def update(self, context: Context, prior: SecurityGroup) -> None:
        self.retag(context, self.id, prior)
        found = self._describe(context)
        if found is None:
            raise ResourceNotFound(f"Security group {self.id} was deleted by somebody while it was being changed.")
        self._rules(context, found, prior)

    def delete(self, context: Context) -> None:
        with limited(context, limit_of(self.timeouts, "delete", 900.0)) as inner:
            found = self._describe(inner)
            if found is not None and self.revoke_rules_on_delete is True:
                owner = str(found["OwnerId"])
                self._revoke(inner, "ingress", rules.atoms_of_api(found.get("IpPermissions") or (), owner))
                self._revoke(inner, "egress", rules.atoms_of_api(found.get("IpPermissionsEgress") or (), owner))
            # Interfaces of ended machines hold it for some seconds more.
            self.remove(
                inner,
                f"Security group {self.id} could not be deleted",
                "DeleteSecurityGroup",
                busy=("DependencyViolation", "InvalidGroup.InUse"),
                GroupId=self.id,
            )

    @classmethod
    def import_(cls, context: Context, identity: str) -> SecurityGroup | None:
        group = cls(id=identity, name_prefix="", revoke_rules_on_delete=False)
        return group if group.read(context) else None


def _one_by_one(arguments: Found) -> list[Found]:
    """A call for each rule: AWS refuses a whole call for one rule that is there already."""
    return [{**arguments, "IpPermissions": [item]} for item in arguments["IpPermissions"]]


def authorize_ingress(group: Any, context: Context, doing: str, arguments: Found, fine: str) -> Found | None:
    return accepted(lambda: group.settle(context, doing, "AuthorizeSecurityGroupIngress", **arguments), fine)


def authorize_egress(group: Any, context: Context, doing: str, arguments: Found, fine: str) -> Found | None:
    return accepted(lambda: group.settle(context, doing, "AuthorizeSecurityGroupEgress", **arguments), fine)


def revoke_ingress(group: Any, context: Context, doing: str, arguments: Found, fine: str) -> None:
    accepted(lambda: group.ask(context, doing, "RevokeSecurityGroupIngress", **arguments), fine)


def revoke_egress(group: Any, context: Context, doing: str, arguments: Found, fine: str) -> None:
    accepted(lambda: group.ask(context, doing, "RevokeSecurityGroupEgress", **arguments), fine)


def accepted(call: Callable[[], Found], fine: str) -> Found | None:
    """The answer; ``None`` where AWS refuses with the code that means that nothing is to be done."""
    try:
        return call()
    except ProviderFailure as failure:
        if cause_code(failure) != fine:
            raise
        return None
