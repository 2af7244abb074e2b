"""AWS passes what every provider and platform must do, on moto, behind an edge where answers get lost."""

from __future__ import annotations

import inspect
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3.exceptions
import pytest
from botocore import exceptions as sdk

from stead.api import Platform
from stead.api.provider import BuildContext, Provider, Resource
from stead.testing.conformance import (
    PlatformConformance,
    ProviderConformance,
    Rig,
    Sample,
    configured,
    exceptions_of,
)
from stead_aws import plugin
from stead_aws.failures import translate
from stead_aws.iam_profile import InstanceProfile
from stead_aws.iam_role import Role, RolePolicy, RolePolicyAttachment
from stead_aws.instance import Instance, InstanceState
from stead_aws.security_group import SecurityGroup
from stead_aws.security_rule import EgressRule, IngressRule, SecurityGroupRule
from stead_aws.security_rules import Rule
from stead_aws.settings import AwsSettings
from stead_aws.spot import SpotInstanceRequest
from stead_aws.volume import Volume, VolumeAttachment

ZONE = "us-east-1a"
OFFICE = "192.0.2.0/24"
TRUST = (
    '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"}}],'
    '"Version":"2012-10-17"}'
)
LOOK = '{"Statement":[{"Action":"ec2:Describe*","Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}'
STARE = LOOK.replace("Describe*", "Get*")
PORTS = {"from_port": 443, "to_port": 443}
# The call that makes each of them.
CALLS = {
    "aws_ebs_volume": "CreateVolume",
    "aws_ec2_instance_state": "StopInstances",
    "aws_iam_instance_profile": "CreateInstanceProfile",
    "aws_iam_role": "CreateRole",
    "aws_iam_role_policy": "PutRolePolicy",
    "aws_iam_role_policy_attachment": "AttachRolePolicy",
    "aws_instance": "RunInstances",
    "aws_security_group": "CreateSecurityGroup",
    "aws_security_group_rule": "AuthorizeSecurityGroupIngress",
    "aws_spot_instance_request": "RequestSpotInstances",
    "aws_volume_attachment": "AttachVolume",
    "aws_vpc_security_group_egress_rule": "AuthorizeSecurityGroupEgress",
    "aws_vpc_security_group_ingress_rule": "AuthorizeSecurityGroupIngress",
}


def _client(rig: Rig, name: str) -> Any:
    return rig.provider.cloud.client(name, "us-east-1")  # type: ignore[attr-defined]


def _image(rig: Rig) -> str:
    images = _client(rig, "ec2").describe_images(Owners=["099720109477"])["Images"]
    return str(next(item["ImageId"] for item in images if item["Architecture"] == "x86_64"))


def _instance(rig: Rig) -> Instance:
    return Instance(ami=_image(rig), instance_type="t3.micro", tags={"team": "red"})


def _group(rig: Rig) -> str:
    return rig.create(SecurityGroup(name=rig.unique(), description="of others")).id


def _role(rig: Rig) -> str:
    return rig.create(Role(name=rig.unique(), assume_role_policy=TRUST)).name


def _attachment(rig: Rig) -> VolumeAttachment:
    machine = rig.create(Instance(ami=_image(rig), instance_type="t3.micro", availability_zone=ZONE))
    volume = rig.create(Volume(availability_zone=ZONE, size=1))
    return VolumeAttachment(device_name="/dev/sdh", instance_id=machine.id, volume_id=volume.id)


def _policy_attachment(rig: Rig) -> RolePolicyAttachment:
    made = _client(rig, "iam").create_policy(PolicyName=rig.unique(), PolicyDocument=LOOK)
    return RolePolicyAttachment(role=_role(rig), policy_arn=made["Policy"]["Arn"])


def _security_group(rig: Rig) -> SecurityGroup:
    inside = [Rule(from_port=22, to_port=22, protocol="tcp", cidr_blocks=[OFFICE])]
    return SecurityGroup(name=rig.unique(), ingress=inside, tags={"team": "red"})


def _spot(rig: Rig) -> SpotInstanceRequest:
    return SpotInstanceRequest(ami=_image(rig), instance_type="t3.micro", wait_for_fulfillment=True)


def _rule(kind: type[Resource], **arguments: Any) -> Any:
    return lambda rig: kind(security_group_id=_group(rig), **PORTS, **arguments)


def _maker(kind: type[Exception]) -> Any:
    """Many of the SDK's errors take the words of their message by name."""
    fixed = {
        sdk.ClientError: lambda: kind({"Error": {"Code": "Strange", "Message": "No."}}, "RunInstances"),
        sdk.WaiterError: lambda: kind(name="w", reason="r", last_response={}),
        sdk.HTTPClientError: lambda: kind(error="e", request=None, response=None, endpoint_url="u", proxy_url="p"),
    }
    for base, make in fixed.items():
        if issubclass(kind, base):
            return make
    if kind is sdk.MissingServiceIdError:
        return lambda: kind(service_name="s")
    if kind is sdk.OperationNotPageableError:
        return lambda: kind(operation_name="o")
    if not issubclass(kind, sdk.BotoCoreError) or "__init__" in vars(kind):
        return None
    names = [part[1].partition("[")[0] for part in string.Formatter().parse(kind.fmt) if part[1]]
    return lambda: kind(**dict.fromkeys(names, "a value"))


@dataclass
class Shared:
    """One login and one set of the SDK's clients for all tests: making them takes most of a second."""

    edge: Any
    settings: AwsSettings
    provider: Provider
    platform: Platform


@pytest.fixture(scope="module")
def shared(shared_edge: Any) -> Shared:
    settings = AwsSettings(
        region="us-east-1",
        access_key="test",
        secret_key="a-secret-key",
        endpoints=dict.fromkeys(("ec2", "iam", "sts"), shared_edge.address),
        attempts=3,
        pause=0.01,
        poll=0.02,
        settle=0.5,
        timeout=30,
    )
    (provider,), (platform,) = plugin.stead_terraform_providers(), plugin.stead_platforms()
    made = configured(provider, settings, {}, BuildContext())
    return Shared(shared_edge, settings, made, platform.factory(settings))


class TestAws(PlatformConformance, ProviderConformance):
    plugin = plugin
    sdk_modules = ("boto3", "botocore")
    samples = {
        "aws_instance": Sample(_instance, change={"tags": {"team": "blue"}, "instance_type": "t3.small"}),
        "aws_ec2_instance_state": Sample(
            lambda rig: InstanceState(instance_id=rig.create(_instance(rig)).id, state="stopped"),
            change={"state": "running"},
            labelled=False,
            outlives=True,
        ),
        "aws_ebs_volume": Sample(lambda rig: Volume(availability_zone=ZONE, size=5), change={"size": 8}),
        "aws_volume_attachment": Sample(_attachment, labelled=False),
        "aws_security_group": Sample(_security_group, change={"tags": {"team": "blue"}}),
        "aws_security_group_rule": Sample(
            _rule(SecurityGroupRule, type="ingress", protocol="tcp", cidr_blocks=[OFFICE]), labelled=False
        ),
        "aws_vpc_security_group_ingress_rule": Sample(_rule(IngressRule, ip_protocol="tcp", cidr_ipv4=OFFICE)),
        "aws_vpc_security_group_egress_rule": Sample(_rule(EgressRule, ip_protocol="tcp", cidr_ipv4=OFFICE)),
        "aws_iam_role": Sample(
            lambda rig: Role(name=rig.unique(), assume_role_policy=TRUST), change={"description": "of machines"}
        ),
        "aws_iam_role_policy": Sample(
            lambda rig: RolePolicy(name=rig.unique(), role=_role(rig), policy=LOOK),
            change={"policy": STARE},
            labelled=False,
        ),
        "aws_iam_role_policy_attachment": Sample(_policy_attachment, labelled=False),
        "aws_iam_instance_profile": Sample(lambda rig: InstanceProfile(name=rig.unique(), role=_role(rig))),
        "aws_spot_instance_request": Sample(_spot, not_imported=frozenset({"wait_for_fulfillment"})),
    }

    @pytest.fixture
    def settings(self, shared: Shared, forget_environment: None) -> Iterator[AwsSettings]:
        self.edge = shared.edge
        yield shared.settings
        self.edge.faults.clear()

    @pytest.fixture
    def provider(self, shared: Shared) -> Provider:
        return shared.provider

    @pytest.fixture
    def platform(self, shared: Shared) -> Platform:
        return shared.platform

    @pytest.fixture
    def refused_settings(self, settings: AwsSettings) -> AwsSettings:
        self.edge.fail(".*", "error", code="UnauthorizedOperation", status=403, times=99)
        return settings

    @contextmanager
    def midway(self, rig: Rig, type_name: str) -> Iterator[None]:
        """AWS does it; its answer is lost, and so is whatever is tried then."""
        self.edge.fail(CALLS[type_name], "lost", times=1)
        self.edge.fail(CALLS[type_name], "error", code="InternalError", status=500, times=99)
        yield
        with self.edge.lock:
            assert self.edge.faults[0].times == 0
            self.edge.faults.clear()

    def sdk_errors(self) -> Iterator[Exception]:
        modules = (sdk, boto3.exceptions)
        kinds = [item for module in modules for _, item in inspect.getmembers(module, inspect.isclass)]
        makers = {kind.__name__: _maker(kind) for kind in kinds if issubclass(kind, Exception)}
        return exceptions_of(*modules, makers={name: make for name, make in makers.items() if make})

    def translate(self, error: Exception) -> Exception:
        return translate(error, "It could not be done")
