"""``aws_iam_instance_profile``."""

from __future__ import annotations

from stead.api.provider import Context, attribute, is_known, length
from stead_aws import tags as tagging
from stead_aws.base import GlobalTagged, effective_tags, given, read_tags
from stead_aws.cloud import Found, cloud_of
from stead_aws.iam_role import CHANGING, made_up


class InstanceProfile(GlobalTagged, name="aws_iam_instance_profile"):
    """Gives a role to machines."""

    id: str = attribute(computed=True)
    arn: str | None = attribute(computed=True)
    create_date: str | None = attribute(computed=True)
    unique_id: str | None = attribute(computed=True)
    name: str | None = attribute(
        optional=True,
        computed=True,
        force_new=True,
        validators=[length(1, 128)],
        conflicts_with=["name_prefix"],
        description="Name, unique in the account.",
    )
    name_prefix: str | None = attribute(
        optional=True, computed=True, force_new=True, description="Beginning of the name."
    )
    path: str = attribute(default="/", force_new=True, description="Path.")
    role: str | None = attribute(optional=True, description="The role, by name.")

    def create(self, context: Context) -> None:
        self.name = made_up(self, context)
        if not is_known(self.name_prefix):
            self.name_prefix = ""
        found = cloud_of(context).make(
            context,
            f"Instance profile {self.name} could not be created",
            lambda: self._own(context),
            "iam",
            "CreateInstanceProfile",
            accept=lambda answer: answer["InstanceProfile"],
            field="name",
            InstanceProfileName=self.name,
            Path=self.path,
            Tags=tagging.to_api(effective_tags(context, given(self.tags))),
        )
        self.id = str(found["InstanceProfileName"])
        self._identity(found)
        self._give(context, [item["RoleName"] for item in found.get("Roles") or ()])

    def _own(self, context: Context) -> Found | None:
        found = self._get(context, str(self.name))
        carried = tagging.of_api((found or {}).get("Tags")).get(tagging.KEY)
        return found if context.key and carried == context.key else None

    @staticmethod
    def _get(context: Context, name: str) -> Found | None:
        doing = f"Instance profile {name} could not be read"
        answer = cloud_of(context).find(context, doing, "iam", "GetInstanceProfile", InstanceProfileName=name)
        return None if answer is None else answer["InstanceProfile"]

    def _identity(self, found: Found) -> None:
        self.arn, self.unique_id = found["Arn"], found["InstanceProfileId"]
        self.create_date = found["CreateDate"].isoformat() if found.get("CreateDate") else ""
        self.name = found["InstanceProfileName"]

    def _give(self, context: Context, present: list[str]) -> None:
        """A profile has one role; taking the old one out comes first."""
        doing, cloud = f"The role of instance profile {self.id} could not be changed", cloud_of(context)
        for old in present:
            if old != self.role:
                cloud.find(
                    context, doing, "iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=self.id, RoleName=old
                )
        if self.role and self.role not in present:
            self._add(context, doing, str(self.role))

    def _add(self, context: Context, doing: str, role: str) -> None:
        def there() -> bool | None:
            found = self._get(context, self.id)
            return True if found and role in [item["RoleName"] for item in found["Roles"]] else None

        cloud_of(context).make(
            context,
            doing,
            there,
            "iam",
            "AddRoleToInstanceProfile",
            accept=lambda _: True,
            field="role",
            unsettled="NoSuchEntity",
            InstanceProfileName=self.id,
            RoleName=role,
        )

    def read(self, context: Context) -> bool:
        found = self._get(context, self.id)
        if found is None:
            return False
        self._identity(found)
        self.path = found["Path"]
        roles = [item["RoleName"] for item in found.get("Roles") or ()]
        self.role = roles[0] if roles else None
        read_tags(context, self, found.get("Tags"))
        return True

    def update(self, context: Context, prior: InstanceProfile) -> None:
        found = self._get(context, self.id)
        self._give(context, [item["RoleName"] for item in (found or {}).get("Roles") or ()])
        doing, cloud = f"Instance profile {self.id} could not be changed", cloud_of(context)
        gone, changed = tagging.difference(prior.tags_all or {}, given(self.tags_all) or {})
        if gone:
            cloud.ask(context, doing, "iam", "UntagInstanceProfile", InstanceProfileName=self.id, TagKeys=gone)
        if changed:
            tags = tagging.to_api(changed)
            cloud.ask(context, doing, "iam", "TagInstanceProfile", InstanceProfileName=self.id, Tags=tags)

    def delete(self, context: Context) -> None:
        doing, cloud = f"Instance profile {self.id} could not be deleted", cloud_of(context)
        found = self._get(context, self.id)
        for item in (found or {}).get("Roles") or ():
            role = item["RoleName"]
            cloud.find(
                context, doing, "iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=self.id, RoleName=role
            )
        cloud.remove(context, doing, "iam", "DeleteInstanceProfile", busy=CHANGING[1:], InstanceProfileName=self.id)

    @classmethod
    def import_(cls, context: Context, identity: str) -> InstanceProfile | None:
        profile = cls(id=identity, name_prefix="")
        return profile if profile.read(context) else None
