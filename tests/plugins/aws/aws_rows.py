"""One row for each resource type: how to make one, what AWS's calls for it are, and how many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stead_aws.iam_profile import InstanceProfile
from stead_aws.iam_role import Role, RolePolicy, RolePolicyAttachment
from stead_aws.instance import Instance, InstanceState
from stead_aws.security_group import SecurityGroup
from stead_aws.security_rule import EgressRule, IngressRule, SecurityGroupRule
from stead_aws.security_rules import Rule
from stead_aws.spot import SpotInstanceRequest
from stead_aws.volume import Volume, VolumeAttachment

TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "ec2.amazonaws.com"}}]}'
)
LOOK = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]}'


def _group(rig) -> str:
    return str(rig.ec2.create_security_group(GroupName="others", Description="others")["GroupId"])


def _role(rig) -> str:
    return str(rig.iam.create_role(RoleName="others", AssumeRolePolicyDocument=TRUST)["Role"]["RoleName"])


def _machine(rig) -> str:
    run = rig.ec2.run_instances(ImageId=rig.image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    return str(run["Instances"][0]["InstanceId"])


def _attachment(rig) -> VolumeAttachment:
    volume = rig.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    return VolumeAttachment(device_name="/dev/sdh", instance_id=_machine(rig), volume_id=volume)


def _policy_attachment(rig) -> RolePolicyAttachment:
    arn = rig.iam.create_policy(PolicyName="look", PolicyDocument=LOOK)["Policy"]["Arn"]
    return RolePolicyAttachment(role=_role(rig), policy_arn=arn)


def _attached(rig) -> int:
    volumes = rig.ec2.describe_volumes()["Volumes"]
    return sum(item["Device"] == "/dev/sdh" for volume in volumes for item in volume.get("Attachments") or ())


def _rules(rig, *, egress: bool) -> int:
    found = rig.ec2.describe_security_group_rules()["SecurityGroupRules"]
    return sum(item["IsEgress"] is egress and item.get("FromPort") == 443 for item in found)


def _groups(rig) -> int:
    return sum(item["GroupName"] == "ours" for item in rig.ec2.describe_security_groups()["SecurityGroups"])


def _volumes(rig) -> int:
    return len(rig.ec2.describe_volumes()["Volumes"])


def _names(found: list[dict[str, Any]], name: str) -> int:
    return sum(item[name] == "ours" for item in found)


def _ours(rig) -> list[str]:
    """Machines that Stead's calls have made, not those that a row stands on."""
    return [
        item["InstanceId"]
        for item in rig.machines()
        if item.get("InstanceLifecycle") == "spot" or any(tag["Key"] == "stead.key" for tag in item.get("Tags", ()))
    ]


def _end_machines(rig) -> None:
    found = rig.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    open_ = [item["SpotInstanceRequestId"] for item in found if item["State"] in ("open", "active")]
    if open_:
        rig.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=open_)
    if _ours(rig):
        rig.ec2.terminate_instances(InstanceIds=_ours(rig))


def _end_volumes(rig) -> None:
    for item in rig.ec2.describe_volumes()["Volumes"]:
        rig.ec2.delete_volume(VolumeId=item["VolumeId"])


def _take_out(rig) -> None:
    for volume in rig.ec2.describe_volumes()["Volumes"]:
        for item in volume.get("Attachments") or ():
            if item["Device"] == "/dev/sdh":
                rig.ec2.detach_volume(VolumeId=volume["VolumeId"], InstanceId=item["InstanceId"])


def _end_groups(rig) -> None:
    for item in rig.ec2.describe_security_groups()["SecurityGroups"]:
        if item["GroupName"] == "ours":
            rig.ec2.delete_security_group(GroupId=item["GroupId"])


def _end_rules(rig) -> None:
    for item in rig.ec2.describe_security_group_rules()["SecurityGroupRules"]:
        if item.get("FromPort") == 443:
            revoke = rig.ec2.revoke_security_group_egress if item["IsEgress"] else rig.ec2.revoke_security_group_ingress
            revoke(GroupId=item["GroupId"], SecurityGroupRuleIds=[item["SecurityGroupRuleId"]])


def _end_profile(rig) -> None:
    for item in rig.iam.list_instance_profiles()["InstanceProfiles"]:
        if item["InstanceProfileName"] == "ours":
            for role in item["Roles"]:
                rig.iam.remove_role_from_instance_profile(InstanceProfileName="ours", RoleName=role["RoleName"])
            rig.iam.delete_instance_profile(InstanceProfileName="ours")


def _detach_policies(rig) -> None:
    for item in rig.iam.list_attached_role_policies(RoleName="others")["AttachedPolicies"]:
        rig.iam.detach_role_policy(RoleName="others", PolicyArn=item["PolicyArn"])


def _end_role(rig) -> None:
    if _names(rig.iam.list_roles()["Roles"], "RoleName"):
        rig.iam.delete_role(RoleName="ours")


def _end_policy(rig) -> None:
    for name in rig.iam.list_role_policies(RoleName="others")["PolicyNames"]:
        rig.iam.delete_role_policy(RoleName="others", PolicyName=name)


def _wake(rig) -> None:
    asleep = [item["InstanceId"] for item in rig.machines() if item["State"]["Name"] == "stopped"]
    if asleep:
        rig.ec2.start_instances(InstanceIds=asleep)


def _fail_volume(rig) -> None:
    rig.edge.fail(
        "DescribeVolumes", "rewrite", rewrite=(b"<status>available<", b"<status>error<"), after="CreateVolume"
    )


def _fail_spot(rig) -> None:
    """AWS takes the request, and then has no machine for it."""
    rig.edge.fail("RequestSpotInstances", "vanish", undo=lambda _: _end_machines(rig))


AT_ONCE = "AWS makes it at once, or not at all"
ANY_STATE = "AWS takes it in any state"


@dataclass(frozen=True)
class Case:
    """How to make one, what AWS's calls for it are, and how many there are.

    :param tagged: the owned listing tells of it.
    :param vanish: somebody else removes it.
    :param unseen: the question about it, and what AWS answers while it does not know yet what it has just made.
    :param fails_later: makes a creation that AWS has taken fail afterwards; or why there is no such thing.
    :param conflict: the call, and the code with which AWS refuses it while something else changes; or why not.
    :param busy: the code with which AWS refuses to remove it for the moment; or why not.
    :param stays: it has no end of its own.
    """

    make: Callable[[Any], Any]
    create: str
    delete: str
    count: Callable[[Any], int]
    tagged: bool = True
    vanish: Callable[[Any], None] = _end_machines
    unseen: tuple[str, str] = ("DescribeInstances", "InvalidInstanceID.NotFound")
    fails_later: Callable[[Any], None] | str = AT_ONCE
    conflict: tuple[str, str] | str = ANY_STATE
    busy: str | None = None
    stays: bool = False


CASES = {
    "aws_instance": Case(
        lambda rig: Instance(ami=rig.image, instance_type="t3.micro"),
        "RunInstances",
        "TerminateInstances",
        lambda rig: len(rig.machines()),
        fails_later=lambda rig: rig.edge.fail("RunInstances", "vanish", undo=lambda _: _end_machines(rig)),
        conflict=("RunInstances", "InvalidGroup.NotFound"),
    ),
    "aws_ec2_instance_state": Case(
        lambda rig: InstanceState(instance_id=_machine(rig), state="stopped"),
        "StopInstances",
        "Nothing",
        lambda rig: sum(item["State"]["Name"] == "stopped" for item in rig.machines()),
        tagged=False,
        vanish=_wake,
        conflict=("StopInstances", "IncorrectInstanceState"),
        stays=True,
    ),
    "aws_ebs_volume": Case(
        lambda rig: Volume(availability_zone="us-east-1a", size=5),
        "CreateVolume",
        "DeleteVolume",
        _volumes,
        vanish=_end_volumes,
        unseen=("DescribeVolumes", "InvalidVolume.NotFound"),
        fails_later=_fail_volume,
        busy="VolumeInUse",
    ),
    "aws_volume_attachment": Case(
        _attachment,
        "AttachVolume",
        "DetachVolume",
        _attached,
        tagged=False,
        vanish=_take_out,
        unseen=("DescribeVolumes", "InvalidVolume.NotFound"),
        conflict=("AttachVolume", "IncorrectState"),
        busy="IncorrectState",
    ),
    "aws_security_group": Case(
        lambda rig: SecurityGroup(
            name="ours", ingress=[Rule(from_port=22, to_port=22, protocol="tcp", cidr_blocks=["192.0.2.0/24"])]
        ),
        "CreateSecurityGroup|AuthorizeSecurityGroupIngress",
        "DeleteSecurityGroup",
        _groups,
        vanish=_end_groups,
        unseen=("DescribeSecurityGroup.*", "InvalidGroup.NotFound"),
        conflict=("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound"),
        busy="DependencyViolation",
    ),
    "aws_security_group_rule": Case(
        lambda rig: SecurityGroupRule(
            security_group_id=_group(rig),
            type="ingress",
            from_port=443,
            to_port=443,
            protocol="tcp",
            cidr_blocks=["192.0.2.0/24"],
        ),
        "AuthorizeSecurityGroupIngress",
        "RevokeSecurityGroupIngress",
        lambda rig: _rules(rig, egress=False),
        tagged=False,
        vanish=_end_rules,
        unseen=("DescribeSecurityGroup.*", "InvalidGroup.NotFound"),
        conflict=("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound"),
    ),
    "aws_vpc_security_group_ingress_rule": Case(
        lambda rig: IngressRule(
            security_group_id=_group(rig), ip_protocol="tcp", from_port=443, to_port=443, cidr_ipv4="192.0.2.0/24"
        ),
        "AuthorizeSecurityGroupIngress",
        "RevokeSecurityGroupIngress",
        lambda rig: _rules(rig, egress=False),
        vanish=_end_rules,
        unseen=("DescribeSecurityGroup.*", "InvalidGroup.NotFound"),
        conflict=("AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound"),
    ),
    "aws_vpc_security_group_egress_rule": Case(
        lambda rig: EgressRule(
            security_group_id=_group(rig), ip_protocol="tcp", from_port=443, to_port=443, cidr_ipv4="192.0.2.0/24"
        ),
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupEgress",
        lambda rig: _rules(rig, egress=True),
        vanish=_end_rules,
        unseen=("DescribeSecurityGroup.*", "InvalidGroup.NotFound"),
        conflict=("AuthorizeSecurityGroupEgress", "InvalidGroup.NotFound"),
    ),
    "aws_iam_role": Case(
        lambda rig: Role(name="ours", assume_role_policy=TRUST),
        "CreateRole",
        "DeleteRole",
        lambda rig: _names(rig.iam.list_roles()["Roles"], "RoleName"),
        vanish=_end_role,
        unseen=("GetRole|ListAttachedRolePolicies", "NoSuchEntity"),
        conflict=("CreateRole", "ConcurrentModification"),
        busy="ConcurrentModification",
    ),
    "aws_iam_role_policy": Case(
        lambda rig: RolePolicy(name="ours", role=_role(rig), policy=LOOK),
        "PutRolePolicy",
        "DeleteRolePolicy",
        lambda rig: len(rig.iam.list_role_policies(RoleName="others")["PolicyNames"]),
        tagged=False,
        vanish=_end_policy,
        unseen=("GetRolePolicy", "NoSuchEntity"),
        conflict=("PutRolePolicy", "NoSuchEntity"),
        busy="ConcurrentModification",
    ),
    "aws_iam_role_policy_attachment": Case(
        _policy_attachment,
        "AttachRolePolicy",
        "DetachRolePolicy",
        lambda rig: len(rig.iam.list_attached_role_policies(RoleName="others")["AttachedPolicies"]),
        tagged=False,
        vanish=_detach_policies,
        unseen=("ListAttachedRolePolicies", "NoSuchEntity"),
        conflict=("AttachRolePolicy", "ConcurrentModification"),
        busy="EntityTemporarilyUnmodifiable",
    ),
    "aws_iam_instance_profile": Case(
        lambda rig: InstanceProfile(name="ours", role=_role(rig)),
        "CreateInstanceProfile|AddRoleToInstanceProfile",
        "DeleteInstanceProfile|RemoveRoleFromInstanceProfile",
        lambda rig: _names(rig.iam.list_instance_profiles()["InstanceProfiles"], "InstanceProfileName"),
        vanish=_end_profile,
        unseen=("GetInstanceProfile", "NoSuchEntity"),
        conflict=("AddRoleToInstanceProfile", "NoSuchEntity"),
        busy="ConcurrentModification",
    ),
    "aws_spot_instance_request": Case(
        lambda rig: SpotInstanceRequest(ami=rig.image, instance_type="t3.micro", wait_for_fulfillment=True),
        "RequestSpotInstances",
        "CancelSpotInstanceRequests",
        lambda rig: len(rig.machines()),
        unseen=("DescribeSpotInstanceRequests", "InvalidSpotInstanceRequestID.NotFound"),
        fails_later=_fail_spot,
        conflict=("RequestSpotInstances", "InvalidGroup.NotFound"),
    ),
}
