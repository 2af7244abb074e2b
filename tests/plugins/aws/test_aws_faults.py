"""Throttling, lost answers, half-made and vanished things, at the HTTP edge, for every resource type."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stead.api.errors import (
    BuildCanceled,
    CapacityExhausted,
    OperationTimedOut,
    PermissionMissing,
    ProviderFailure,
    QuotaExceeded,
    Throttled,
)
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


@dataclass(frozen=True)
class Case:
    """How to make one, what AWS's calls for it are, and how many there are."""

    make: Callable[[Any], Any]
    create: str
    delete: str
    count: Callable[[Any], int]
    tagged: bool = True


CASES = {
    "aws_instance": Case(
        lambda rig: Instance(ami=rig.image, instance_type="t3.micro"),
        "RunInstances",
        "TerminateInstances",
        lambda rig: len(rig.machines()),
    ),
    "aws_ec2_instance_state": Case(
        lambda rig: InstanceState(instance_id=_machine(rig), state="stopped"),
        "StopInstances",
        "Nothing",
        lambda rig: sum(item["State"]["Name"] == "stopped" for item in rig.machines()),
        tagged=False,
    ),
    "aws_ebs_volume": Case(
        lambda rig: Volume(availability_zone="us-east-1a", size=5), "CreateVolume", "DeleteVolume", _volumes
    ),
    "aws_volume_attachment": Case(_attachment, "AttachVolume", "DetachVolume", _attached, tagged=False),
    "aws_security_group": Case(
        lambda rig: SecurityGroup(
            name="ours", ingress=[Rule(from_port=22, to_port=22, protocol="tcp", cidr_blocks=["192.0.2.0/24"])]
        ),
        "CreateSecurityGroup|AuthorizeSecurityGroupIngress",
        "DeleteSecurityGroup",
        _groups,
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
    ),
    "aws_vpc_security_group_ingress_rule": Case(
        lambda rig: IngressRule(
            security_group_id=_group(rig), ip_protocol="tcp", from_port=443, to_port=443, cidr_ipv4="192.0.2.0/24"
        ),
        "AuthorizeSecurityGroupIngress",
        "RevokeSecurityGroupIngress",
        lambda rig: _rules(rig, egress=False),
        tagged=False,
    ),
    "aws_vpc_security_group_egress_rule": Case(
        lambda rig: EgressRule(
            security_group_id=_group(rig), ip_protocol="tcp", from_port=443, to_port=443, cidr_ipv4="192.0.2.0/24"
        ),
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupEgress",
        lambda rig: _rules(rig, egress=True),
        tagged=False,
    ),
    "aws_iam_role": Case(
        lambda rig: Role(name="ours", assume_role_policy=TRUST),
        "CreateRole",
        "DeleteRole",
        lambda rig: _names(rig.iam.list_roles()["Roles"], "RoleName"),
    ),
    "aws_iam_role_policy": Case(
        lambda rig: RolePolicy(name="ours", role=_role(rig), policy=LOOK),
        "PutRolePolicy",
        "DeleteRolePolicy",
        lambda rig: len(rig.iam.list_role_policies(RoleName="others")["PolicyNames"]),
        tagged=False,
    ),
    "aws_iam_role_policy_attachment": Case(
        _policy_attachment,
        "AttachRolePolicy",
        "DetachRolePolicy",
        lambda rig: len(rig.iam.list_attached_role_policies(RoleName="others")["AttachedPolicies"]),
        tagged=False,
    ),
    "aws_iam_instance_profile": Case(
        lambda rig: InstanceProfile(name="ours", role=_role(rig)),
        "CreateInstanceProfile|AddRoleToInstanceProfile",
        "DeleteInstanceProfile|RemoveRoleFromInstanceProfile",
        lambda rig: _names(rig.iam.list_instance_profiles()["InstanceProfiles"], "InstanceProfileName"),
    ),
    "aws_spot_instance_request": Case(
        lambda rig: SpotInstanceRequest(ami=rig.image, instance_type="t3.micro", wait_for_fulfillment=True),
        "RequestSpotInstances",
        "CancelSpotInstanceRequests",
        lambda rig: len(rig.machines()),
    ),
}
ALL = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def delete(rig, thing: Any) -> None:
    thing.delete(rig.context("key"))


def test_every_type_has_a_case(rig) -> None:
    assert set(CASES) == {kind.type_name for kind in type(rig.provider).resources}


@ALL
def test_throttled_and_lost_and_twice(rig, case: Case) -> None:
    """Answers get lost on every way, calls are throttled, and the creation is tried again: there is one, then none."""
    thing = case.make(rig)
    same = copy.deepcopy(thing)
    rig.edge.fail("Describe.*|Get.*|List.*", times=2)
    rig.edge.fail(case.create, times=2)
    rig.edge.fail(case.create, "lost", times=1)
    rig.edge.fail(case.create, "error", code="InternalError", status=500)
    made = rig.create(thing, "key")
    assert case.count(rig) == 1
    assert made.read(rig.context("key"))
    again = rig.create(same, "key")
    assert case.count(rig) == 1
    assert again.identity == made.identity

    rig.edge.fail(case.delete, times=2)
    rig.edge.fail(case.delete, "lost")
    delete(rig, made)
    delete(rig, made)
    if case.delete != "Nothing":
        assert case.count(rig) == 0
        assert not made.read(rig.context("key"))


@ALL
def test_what_dies_midway_is_found_and_goes(rig, case: Case) -> None:
    """The creation reaches AWS, and then the provider dies: its answer is lost, and nothing works any more."""
    thing = case.make(rig)
    rig.edge.fail(case.create, "lost")
    settings = rig.provider.cloud.settings
    rig.provider.cloud.settings = settings.model_copy(update={"attempts": 1})
    try:
        with contextlib.suppress(ProviderFailure):
            rig.create(thing, "key")
    finally:
        rig.provider.cloud.settings = settings
    if not case.tagged:  # goes with what it belongs to
        return
    owned = rig.platform.owned_resources(rig.name)
    assert {item.key for item in owned} == {"key"}
    for item in owned:
        rig.platform.destroy_owned(item)
        rig.platform.destroy_owned(item)
    assert case.count(rig) == 0
    assert rig.machines() == []


@ALL
def test_what_others_removed_is_gone(rig, case: Case) -> None:
    if case.delete == "Nothing":
        pytest.skip("a state has no end of its own")
    made = rig.create(case.make(rig), "key")
    delete(rig, made)
    assert not made.read(rig.context("key"))
    delete(rig, made)


@ALL
def test_imported_is_as_it_was(rig, case: Case) -> None:
    made = rig.create(case.make(rig), "key")
    assert made.read(rig.context("key"))
    found = type(made).import_(rig.context("key"), made.identity)
    assert found is not None
    free = {"root_block_device", "spot_type", "force_detach", "skip_destroy", "wait_for_fulfillment", "name_prefix"}
    free |= {"egress", "ingress", "volume_tags", "source_dest_check", "stop_instance_before_detaching", "create_date"}
    for name in type(made).schema().attributes.keys() - free:
        one, other = getattr(made, name, None), getattr(found, name, None)
        assert (one or None) == (other or None), name
    unknown = {"aws_iam_role_policy": "a:b", "aws_iam_role_policy_attachment": "a/arn:aws:iam::1:policy/b"}
    nowhere = unknown.get(type(made).type_name, made.identity[:4] + "0" * 13)
    assert type(made).import_(rig.context("key"), nowhere) is None


@ALL
def test_a_refusal_is_said_at_once(rig, case: Case) -> None:
    thing = case.make(rig)
    rig.edge.fail(case.create, "error", code="UnauthorizedOperation", status=403, times=99)
    before = case.count(rig)
    with pytest.raises(PermissionMissing, match=r"lack \w+:\w+"):
        rig.create(thing, "key")
    assert case.count(rig) in (before, 1 if case.create.count("|") else before)


@pytest.mark.parametrize(
    ("code", "status", "failure"),
    [
        ("InsufficientInstanceCapacity", 500, CapacityExhausted),
        ("VcpuLimitExceeded", 400, QuotaExceeded),
        ("RequestLimitExceeded", 503, Throttled),
    ],
)
def test_why_there_is_no_machine(rig, code: str, status: int, failure: type[ProviderFailure]) -> None:
    rig.edge.fail("RunInstances", "error", code=code, status=status, times=99)
    with pytest.raises(failure) as caught:
        rig.create(Instance(ami=rig.image, instance_type="t3.micro"))
    assert caught.value.remedy
    calls = rig.settings.attempts if failure is Throttled else 1
    assert rig.edge.count("RunInstances") == calls


def test_a_canceled_build_and_a_deadline_end_the_tries(rig) -> None:
    rig.edge.fail("CreateVolume", times=10**6)
    rig.provider.cloud.settings = rig.settings.model_copy(update={"attempts": 50, "pause": 0.2})
    context = rig.context(deadline=time.monotonic() + 0.5)
    volume = Volume(availability_zone="us-east-1a", size=1)
    with pytest.raises(OperationTimedOut):
        volume.create(context)
    canceled = rig.context()
    canceled.canceled.set()
    with pytest.raises(BuildCanceled):
        volume.create(canceled)
    assert rig.edge.count("CreateVolume") < 10


def test_a_machine_that_never_comes_up_is_ended_by_its_timeout(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Instance(ami=rig.image, instance_type="t3.micro", timeouts=_timeouts("500ms"))
    rig.edge.fail("DescribeInstances", "error", code="InvalidInstanceID.NotFound", status=400, times=10**6)
    rig.provider.cloud.settings = rig.settings.model_copy(update={"settle": 60})
    with pytest.raises((OperationTimedOut, ProviderFailure)):
        rig.create(machine)


def _timeouts(create: str) -> Any:
    from stead_aws.base import AllTimeouts

    return AllTimeouts(create=create)
