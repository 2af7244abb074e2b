"""AWS as a place where workspaces run: do the credentials work, what is ours, what does it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stead.api import CredentialsReport, OwnedResource, Platform, Price, Trial
from stead.api.errors import PermissionMissing, ProviderFailure
from stead.api.provider import BuildContext, Context, Resource
from stead_aws import tags as tagging
from stead_aws.base import key_filter
from stead_aws.iam_profile import InstanceProfile
from stead_aws.iam_role import Role, empty_role
from stead_aws.instance import Instance
from stead_aws.instance_fields import InstanceFields
from stead_aws.permissions import missing_permissions
from stead_aws.prices import bundled
from stead_aws.provider import Aws
from stead_aws.security_group import SecurityGroup
from stead_aws.security_rule import EgressRule, IngressRule
from stead_aws.settings import AwsSettings
from stead_aws.spot import OVER, SpotInstanceRequest
from stead_aws.volume import Volume

KINDS: dict[str, type[Resource]] = {
    item.type_name: item
    for item in (
        Instance,
        InstanceProfile,
        Role,
        SecurityGroup,
        IngressRule,
        EgressRule,
        SpotInstanceRequest,
        Volume,
    )
}
ROOT_SIZE = 8  # GiB of most Linux images


class AwsPlatform(Platform):
    """The account that the settings name, in the settings' region."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._provider = Aws(settings=settings)

    def _context(self) -> Context:
        return Context(provider=self._provider, build=BuildContext())

    def check_credentials(self) -> CredentialsReport:
        context = self._context()
        try:
            identity = self._provider.cloud.identity(context)
            region = self._provider.cloud.region
            if not region:
                raise ProviderFailure("No region is set.", remedy="Set region in [plugins.aws].")
            required, optional = missing_permissions(self._provider.cloud, context)
        except PermissionMissing as failure:
            return CredentialsReport(False, failure.message, (failure.remedy or "",))
        except ProviderFailure as failure:
            return CredentialsReport(False, failure.message, tuple(filter(None, [failure.remedy])))
        who = f"AWS knows the credentials as {identity['Arn']}, for region {region}"
        remedies = tuple(f"Allow {action}." for action in required)
        remedies += tuple(f"Allow {action} if templates make roles of their own." for action in optional)
        if required:
            return CredentialsReport(False, f"{who}; {len(required)} permissions are missing.", remedies)
        return CredentialsReport(True, f"{who}.", remedies)

    def trial(self) -> Trial:
        raise ProviderFailure(
            "AWS cannot be tried on this machine: machines there must reach the server, and they cost money.",
            remedy="Start the server with an access URL that AWS reaches, and use the starter template aws/aws-linux.",
        )

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        """Machines first: disks, groups and roles cannot go before them."""
        return tuple(self._owned(deployment))

    def _owned(self, deployment: str) -> Iterator[OwnedResource]:
        context, cloud = self._context(), self._provider.cloud
        mine = [{"Name": f"tag:{tagging.DEPLOYMENT}", "Values": [deployment]}]
        doing = "What Stead has made could not be listed"
        claimed: set[str] = set()
        machines: set[str] = set()  # keys under which a machine is: its disks go with it, by destroy_owned
        for item in cloud.pages(
            context, doing, "ec2", "DescribeSpotInstanceRequests", "SpotInstanceRequests", Filters=mine
        ):
            if item["State"] not in OVER:
                claimed.add(item.get("InstanceId", ""))
                machines.add(_key(item))
                yield from _owned("aws_spot_instance_request", item["SpotInstanceRequestId"], item, deployment)
        for group in cloud.pages(context, doing, "ec2", "DescribeInstances", "Reservations", Filters=mine):
            for item in group["Instances"]:
                if item["State"]["Name"] not in ("terminated", "shutting-down") and item["InstanceId"] not in claimed:
                    machines.add(_key(item))
                    yield from _owned("aws_instance", item["InstanceId"], item, deployment)
        for item in cloud.pages(context, doing, "ec2", "DescribeVolumes", "Volumes", Filters=mine):
            gone = item["State"] in ("deleting", "deleted")
            if not gone and _key(item) not in machines and not _goes_with_machine(item):
                yield from _owned("aws_ebs_volume", item["VolumeId"], item, deployment)
        for item in cloud.pages(
            context, doing, "ec2", "DescribeSecurityGroupRules", "SecurityGroupRules", Filters=mine
        ):
            kind = EgressRule if item.get("IsEgress") else IngressRule
            yield from _owned(kind.type_name, item["SecurityGroupRuleId"], item, deployment)
        for item in cloud.pages(context, doing, "ec2", "DescribeSecurityGroups", "SecurityGroups", Filters=mine):
            yield from _owned("aws_security_group", item["GroupId"], item, deployment)
        yield from self._roles(context, deployment)

    def _roles(self, context: Context, deployment: str) -> Iterator[OwnedResource]:
        """IAM's listings tell no tags, so each is asked for its own. Without permission there are none of ours."""
        cloud, doing = self._provider.cloud, "Roles could not be listed"
        try:
            profiles = list(_marked(cloud, context, doing, "ListInstanceProfiles", "InstanceProfiles"))
            roles = list(_marked(cloud, context, doing, "ListRoles", "Roles"))
            for item in profiles:
                name = item["InstanceProfileName"]
                found = cloud.find(context, doing, "iam", "GetInstanceProfile", InstanceProfileName=name)
                yield from _owned("aws_iam_instance_profile", name, (found or {}).get("InstanceProfile"), deployment)
            for item in roles:
                name = item["RoleName"]
                if not item["Path"].startswith("/aws-service-role/"):
                    found = cloud.find(context, doing, "iam", "GetRole", RoleName=name)
                    yield from _owned("aws_iam_role", name, (found or {}).get("Role"), deployment)
        except PermissionMissing:
            return

    def destroy_owned(self, resource: OwnedResource) -> None:
        kind = KINDS.get(resource.type_name)
        if kind is None:
            raise ProviderFailure(f"{resource.type_name} is nothing that carries Stead's tags.")
        context = replace(self._context(), key=resource.key)
        if resource.type_name == "aws_iam_role":
            empty_role(context, resource.identity, everything=True)
        found: Any = kind.import_(context, resource.identity)
        if found is not None:
            found.delete(context)
        if issubclass(kind, InstanceFields) and resource.key:
            self._remove_disks(context)

    def _remove_disks(self, context: Context) -> None:
        """Disks that came with a machine and stay when it ends carry its key, and only that tells whose they are."""
        doing = "The disks of a machine could not be listed"
        mine = key_filter(context)
        for item in self._provider.cloud.pages(context, doing, "ec2", "DescribeVolumes", "Volumes", Filters=mine):
            disk = Volume.import_(context, item["VolumeId"])
            if disk is not None:
                disk.delete(context)

    def price(self, type_name: str, attributes: Mapping[str, Any]) -> Price | None:
        table, region = bundled(), str(attributes.get("region") or self._provider.cloud.region)
        hourly: float | None = None
        if type_name in ("aws_instance", "aws_spot_instance_request"):
            hourly = table.machine(str(attributes.get("instance_type") or ""), region)
            hourly = None if hourly is None else hourly + self._root_price(attributes, region)
        elif type_name == "aws_ebs_volume":
            hourly = table.disk(str(attributes.get("type") or "gp2"), float(attributes.get("size") or 0), region)
        return None if hourly is None else Price(hourly, table.as_of)

    @staticmethod
    def _root_price(attributes: Mapping[str, Any], region: str) -> float:
        root: Mapping[str, Any] = next(iter(attributes.get("root_block_device") or ()), {})
        size = float(root.get("volume_size") or ROOT_SIZE)
        return bundled().disk(str(root.get("volume_type") or "gp2"), size, region) or 0.0


def _marked(cloud: Any, context: Context, doing: str, operation: str, member: str) -> Iterator[Any]:
    token: dict[str, Any] = {}
    while True:
        if operation == "ListRoles":
            page = cloud.ask(context, doing, "iam", "ListRoles", **token)
        else:
            page = cloud.ask(context, doing, "iam", "ListInstanceProfiles", **token)
        yield from page[member]
        if not page.get("IsTruncated"):
            return
        token = {"Marker": page["Marker"]}


def _key(found: Mapping[str, Any]) -> str:
    return tagging.of_api(found.get("Tags")).get(tagging.KEY, "")


def _goes_with_machine(volume: Mapping[str, Any]) -> bool:
    return any(item.get("DeleteOnTermination") for item in volume.get("Attachments") or ())


def _owned(kind: str, identity: str, found: Mapping[str, Any] | None, deployment: str) -> Iterator[OwnedResource]:
    tags = tagging.of_api((found or {}).get("Tags"))
    if tags.get(tagging.KEY) and tags.get(tagging.DEPLOYMENT) == deployment:
        own = {name: value for name, value in tags.items() if name.startswith(tagging.OWN)}
        yield OwnedResource(tags[tagging.KEY], kind, identity, deployment, own)
