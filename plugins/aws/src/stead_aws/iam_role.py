"""``aws_iam_role``, ``aws_iam_role_policy``, ``aws_iam_role_policy_attachment``."""

from __future__ import annotations

import json
import secrets
import urllib.parse
from collections.abc import Iterator
from typing import Any

from stead.api.errors import ProviderFailure, ResourceConflict
from stead.api.provider import BlockSchema, Context, Nesting, attribute, between, block, is_known, length
from stead_aws import tags as tagging
from stead_aws.base import Global, GlobalTagged, effective_tags, given, read_tags, told
from stead_aws.cloud import Found, cause_code, cloud_of

CHANGING = ("DeleteConflict", "ConcurrentModification", "EntityTemporarilyUnmodifiable")


def is_json(value: str) -> None:
    """A validator."""
    try:
        json.loads(value)
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from None


def same_json(prior: str, planned: str) -> bool:
    """Whether two documents differ only in spaces and order."""
    try:
        return _plain(json.loads(prior)) == _plain(json.loads(planned))
    except (ValueError, TypeError):
        return prior == planned


def _plain(value: Any, key: str = "") -> Any:
    """Policies mean the same by one value and by a list of one; order in a list does not count."""
    if isinstance(value, dict):
        return {name: _plain(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [_plain(item) for item in value]
        return items[0] if len(items) == 1 else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    del key
    return value


def document_of(found: Any) -> str:
    """The SDK decodes documents that AWS sends URL-encoded; as text they go into the state."""
    return json.dumps(found) if isinstance(found, dict) else urllib.parse.unquote(str(found))


def made_up(resource: Any, context: Context) -> str:
    """The name: given, or made up of the prefix. The same try of a creation always makes up the same one."""
    if given(resource.name):
        return str(resource.name)
    tail = context.key.replace("-", "")[:26] or secrets.token_hex(13)
    return f"{given(resource.name_prefix) or 'terraform-'}{tail}"


def all_of(context: Context, doing: str, operation: str, member: str, **arguments: Any) -> Iterator[Any]:
    """Every item of a listing of IAM, over all its pages."""
    token: Found = {}
    while True:
        page = _listing(context, doing, operation, {**arguments, **token})
        yield from page[member]
        if not page.get("IsTruncated"):
            return
        token = {"Marker": page["Marker"]}


def _listing(context: Context, doing: str, operation: str, arguments: Found) -> Found:
    cloud = cloud_of(context)
    if operation == "ListRolePolicies":
        return cloud.ask(context, doing, "iam", "ListRolePolicies", **arguments)
    if operation == "ListAttachedRolePolicies":
        return cloud.settle(context, doing, "iam", "ListAttachedRolePolicies", **arguments)
    return cloud.ask(context, doing, "iam", "ListInstanceProfilesForRole", **arguments)


class InlinePolicy(BlockSchema):
    """A policy inside the role."""

    name: str | None = attribute(optional=True, description="Its name.")
    policy: str | None = attribute(optional=True, normalize=same_json, description="The document (JSON).")


class Role(GlobalTagged, name="aws_iam_role"):
    """What machines may do in the account."""

    id: str = attribute(computed=True)
    arn: str | None = attribute(computed=True)
    create_date: str | None = attribute(computed=True)
    unique_id: str | None = attribute(computed=True)
    assume_role_policy: str = attribute(
        required=True, validators=[is_json], normalize=same_json, description="Who may have the role (JSON)."
    )
    name: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[length(1, 64)],
        conflicts_with=["name_prefix"],
        description="Name, unique in the account.",
    )
    name_prefix: str | None = attribute(
        optional=True, computed=True, force_new=True, validators=[length(1, 38)], description="Beginning of the name."
    )
    path: str = attribute(default="/", force_new=True, description="Path, /teams/.")
    description: str | None = attribute(optional=True, description="What it is for.")
    force_detach_policies: bool = attribute(default=False, description="Detach others' policies at its end.")
    max_session_duration: int = attribute(default=3600, validators=[between(3600, 43200)], description="Seconds.")
    permissions_boundary: str | None = attribute(optional=True, description="Policy that bounds it.")
    managed_policy_arns: set[str] | None = attribute(
        optional=True,
        computed=True,
        deprecated="use aws_iam_role_policy_attachment",
        description="Managed policies, these and no others.",
    )
    inline_policy: list[InlinePolicy] = block(InlinePolicy, nesting=Nesting.SET, deprecated="use aws_iam_role_policy")

    def create(self, context: Context) -> None:
        self.name = made_up(self, context)
        if not is_known(self.name_prefix):
            self.name_prefix = ""
        arguments: dict[str, Any] = {
            "Path": self.path,
            "AssumeRolePolicyDocument": self.assume_role_policy,
            "Description": self.description or None,
            "MaxSessionDuration": self.max_session_duration,
            "PermissionsBoundary": self.permissions_boundary or None,
            "Tags": tagging.to_api(effective_tags(context, given(self.tags))),
        }
        found = cloud_of(context).make(
            context,
            f"Role {self.name} could not be created",
            lambda: self._own(context),
            "iam",
            "CreateRole",
            accept=lambda answer: answer["Role"],
            field=lambda failure: "name" if isinstance(failure, ResourceConflict) else _document_field(failure),
            unsettled="Invalid principal in policy",
            RoleName=self.name,
            **arguments,
        )
        self.id = str(found["RoleName"])
        self._identity(found)
        self._policies(context, None)

    def _own(self, context: Context) -> Found | None:
        """What an earlier try has made. A role of this name that others made is refused by AWS."""
        found = self._get(context, str(self.name))
        carried = tagging.of_api((found or {}).get("Tags")).get(tagging.KEY)
        return found if context.key and carried == context.key else None

    @staticmethod
    def _get(context: Context, name: str) -> Found | None:
        answer = cloud_of(context).find(context, f"Role {name} could not be read", "iam", "GetRole", RoleName=name)
        return None if answer is None else answer["Role"]

    def _identity(self, found: Found) -> None:
        self.arn, self.unique_id = found["Arn"], found["RoleId"]
        self.create_date = found["CreateDate"].isoformat() if found.get("CreateDate") else ""
        self.name = found["RoleName"]

    def _policies(self, context: Context, prior: Role | None) -> None:
        self._managed(context)
        doing = f"Policies of role {self.id} could not be changed"
        wanted = {item.name: item.policy for item in self.inline_policy if item.name and item.policy}
        before = {item.name for item in prior.inline_policy} if prior else set()
        for name, policy in wanted.items():
            cloud_of(context).settle(
                context, doing, "iam", "PutRolePolicy", RoleName=self.id, PolicyName=name, PolicyDocument=policy
            )
        for gone in before - wanted.keys():
            cloud_of(context).find(context, doing, "iam", "DeleteRolePolicy", RoleName=self.id, PolicyName=gone)

    def _managed(self, context: Context) -> None:
        wanted = given(self.managed_policy_arns)
        present = self._attached(context)
        if wanted is None:
            self.managed_policy_arns = present
            return
        doing = f"Policies of role {self.id} could not be changed"
        for arn in sorted(wanted - present):
            cloud_of(context).settle(context, doing, "iam", "AttachRolePolicy", RoleName=self.id, PolicyArn=arn)
        for arn in sorted(present - wanted):
            cloud_of(context).find(context, doing, "iam", "DetachRolePolicy", RoleName=self.id, PolicyArn=arn)

    def _attached(self, context: Context) -> set[str]:
        doing = f"Policies of role {self.id} could not be read"
        found = all_of(context, doing, "ListAttachedRolePolicies", "AttachedPolicies", RoleName=self.id)
        return {item["PolicyArn"] for item in found}

    def read(self, context: Context) -> bool:
        found = self._get(context, self.id)
        if found is None:
            return False
        self._identity(found)
        document = document_of(found["AssumeRolePolicyDocument"])
        if not same_json(self.assume_role_policy or "", document):
            self.assume_role_policy = document
        self.path = found["Path"]
        self.description = found.get("Description") or (None if not self.description else "")
        self.max_session_duration = found.get("MaxSessionDuration") or 3600
        boundary = (found.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        self.permissions_boundary = boundary or (None if not self.permissions_boundary else "")
        self.managed_policy_arns = self._attached(context)
        read_tags(context, self, found.get("Tags"))
        return True

    def update(self, context: Context, prior: Role) -> None:
        doing, cloud = f"Role {self.id} could not be changed", cloud_of(context)
        if not same_json(prior.assume_role_policy, self.assume_role_policy):
            cloud.ask(
                context, doing, "iam", "UpdateAssumeRolePolicy", field="assume_role_policy",
                RoleName=self.id, PolicyDocument=self.assume_role_policy,
            )  # fmt: skip
        if (self.description, self.max_session_duration) != (prior.description, prior.max_session_duration):
            cloud.ask(
                context, doing, "iam", "UpdateRole",
                RoleName=self.id, Description=self.description or "", MaxSessionDuration=self.max_session_duration,
            )  # fmt: skip
        if (self.permissions_boundary or "") != (prior.permissions_boundary or ""):
            self._bound(context, doing)
        if given(self.managed_policy_arns) != prior.managed_policy_arns or self.inline_policy != prior.inline_policy:
            self._policies(context, prior)
        gone, changed = tagging.difference(prior.tags_all or {}, given(self.tags_all) or {})
        if gone:
            cloud.ask(context, doing, "iam", "UntagRole", RoleName=self.id, TagKeys=gone)
        if changed:
            cloud.ask(context, doing, "iam", "TagRole", RoleName=self.id, Tags=tagging.to_api(changed))

    def _bound(self, context: Context, doing: str) -> None:
        cloud, bound = cloud_of(context), self.permissions_boundary
        if bound:
            cloud.ask(context, doing, "iam", "PutRolePermissionsBoundary", RoleName=self.id, PermissionsBoundary=bound)
        else:
            cloud.find(context, doing, "iam", "DeleteRolePermissionsBoundary", RoleName=self.id)

    def delete(self, context: Context) -> None:
        empty_role(context, self.id, everything=self.force_detach_policies is True, own=self._made())
        cloud_of(context).remove(
            context, f"Role {self.id} could not be deleted", "iam", "DeleteRole", busy=CHANGING[1:], RoleName=self.id
        )

    def _made(self) -> tuple[set[str], set[str]]:
        inline = {item.name for item in self.inline_policy if item.name}
        return inline, set(given(self.managed_policy_arns) or ())

    @classmethod
    def import_(cls, context: Context, identity: str) -> Role | None:
        role = cls(id=identity, name_prefix="", force_detach_policies=False)
        return role if role.read(context) else None


def empty_role(
    context: Context, name: str, *, everything: bool, own: tuple[set[str], set[str]] = (set(), set())
) -> None:
    """Take a role out of profiles and policies, which AWS wants before it deletes it.

    :param everything: also what others gave to it.
    """
    doing, cloud = f"Role {name} could not be deleted", cloud_of(context)
    if cloud.find(context, doing, "iam", "GetRole", RoleName=name) is None:
        return
    inline = list(all_of(context, doing, "ListRolePolicies", "PolicyNames", RoleName=name)) if everything else own[0]
    for policy in inline:
        cloud.find(context, doing, "iam", "DeleteRolePolicy", RoleName=name, PolicyName=policy)
    attached = list(all_of(context, doing, "ListAttachedRolePolicies", "AttachedPolicies", RoleName=name))
    for item in attached:
        if everything or item["PolicyArn"] in own[1]:
            arn = item["PolicyArn"]
            cloud.find(context, doing, "iam", "DetachRolePolicy", RoleName=name, PolicyArn=arn)
    if everything:
        profiles = list(all_of(context, doing, "ListInstanceProfilesForRole", "InstanceProfiles", RoleName=name))
        for item in profiles:
            profile = item["InstanceProfileName"]
            cloud.find(
                context, doing, "iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=profile, RoleName=name
            )


def _document_field(failure: ProviderFailure) -> str | None:
    return "assume_role_policy" if cause_code(failure) == "MalformedPolicyDocument" else None


class RolePolicy(Global, name="aws_iam_role_policy"):
    """A policy inside a role."""

    id: str = attribute(computed=True)
    role: str = attribute(required=True, force_new=True, description="The role, by name.")
    policy: str = attribute(
        required=True, validators=[is_json], normalize=same_json, description="The document (JSON)."
    )
    name: str | None = attribute(
        optional=True, computed=True, force_new=True, conflicts_with=["name_prefix"], description="Name in the role."
    )
    name_prefix: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Beginning of the name."
    )

    def create(self, context: Context) -> None:
        self.name = made_up(self, context)
        if not is_known(self.name_prefix):
            self.name_prefix = ""
        with told(self, f"{self.role}:{self.name}"):
            self._put(context)
        self.id = f"{self.role}:{self.name}"

    def _put(self, context: Context) -> None:
        """AWS itself takes the same policy twice for one."""
        cloud_of(context).settle(
            context,
            f"Policy {self.name} of role {self.role} could not be set",
            "iam",
            "PutRolePolicy",
            field="policy",
            RoleName=self.role,
            PolicyName=self.name,
            PolicyDocument=self.policy,
        )

    def read(self, context: Context) -> bool:
        doing = f"Policy {self.name} of role {self.role} could not be read"
        answer = cloud_of(context).find(
            context, doing, "iam", "GetRolePolicy", RoleName=self.role, PolicyName=self.name
        )
        if answer is None:
            return False
        document = document_of(answer["PolicyDocument"])
        if not same_json(self.policy or "", document):
            self.policy = document
        return True

    def update(self, context: Context, prior: RolePolicy) -> None:
        del prior
        self._put(context)

    def delete(self, context: Context) -> None:
        doing = f"Policy {self.name} of role {self.role} could not be deleted"
        cloud_of(context).remove(
            context, doing, "iam", "DeleteRolePolicy", busy=CHANGING[1:], RoleName=self.role, PolicyName=self.name
        )

    @classmethod
    def import_(cls, context: Context, identity: str) -> RolePolicy | None:
        role, found, name = identity.partition(":")
        policy = cls(id=identity, role=role, name=name, name_prefix="")
        return policy if found and policy.read(context) else None


class RolePolicyAttachment(Global, name="aws_iam_role_policy_attachment"):
    """A managed policy that a role has."""

    id: str = attribute(computed=True)
    role: str = attribute(required=True, force_new=True, description="The role, by name.")
    policy_arn: str = attribute(required=True, force_new=True, description="The policy.")

    def create(self, context: Context) -> None:
        """AWS itself takes attaching twice for once."""
        doing = f"{self.policy_arn} could not be attached to role {self.role}"
        with told(self, f"{self.role}/{self.policy_arn}"):
            cloud_of(context).settle(
                context, doing, "iam", "AttachRolePolicy", RoleName=self.role, PolicyArn=self.policy_arn
            )
        self.id = f"{self.role}/{self.policy_arn}"

    def read(self, context: Context) -> bool:
        doing = f"Policies of role {self.role} could not be read"
        if cloud_of(context).find(context, doing, "iam", "GetRole", RoleName=self.role) is None:
            return False
        found = all_of(context, doing, "ListAttachedRolePolicies", "AttachedPolicies", RoleName=self.role)
        return self.policy_arn in {item["PolicyArn"] for item in found}

    def delete(self, context: Context) -> None:
        doing = f"{self.policy_arn} could not be detached from role {self.role}"
        cloud_of(context).remove(
            context, doing, "iam", "DetachRolePolicy", busy=CHANGING[1:], RoleName=self.role, PolicyArn=self.policy_arn
        )

    @classmethod
    def import_(cls, context: Context, identity: str) -> RolePolicyAttachment | None:
        role, found, arn = identity.partition("/")
        attachment = cls(id=identity, role=role, policy_arn=arn)
        return attachment if found and attachment.read(context) else None
