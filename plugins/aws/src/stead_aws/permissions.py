"""Which permissions the credentials lack: asked by dry runs and by changes to what does not exist. Changes nothing."""

from __future__ import annotations

import secrets
from typing import Any

from botocore import xform_name

from stead.api.errors import PermissionMissing
from stead.api.provider import Context
from stead_aws.cloud import Cloud
from stead_aws.failures import SDK_ERRORS, is_passing, translate
from stead_aws.policy import actions

NOBODY = "i-00000000000000000"
DISK = "vol-00000000000000000"
GROUP = "sg-00000000000000000"
SPOT = "sir-00000000"
# Arguments with which AWS judges the permission of a dry run.
DRY_RUNS: dict[str, dict[str, Any]] = {
    "RunInstances": {"ImageId": "ami-00000000000000000", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1},
    "StartInstances": {"InstanceIds": [NOBODY]},
    "StopInstances": {"InstanceIds": [NOBODY]},
    "TerminateInstances": {"InstanceIds": [NOBODY]},
    "CreateVolume": {"AvailabilityZone": "", "Size": 1},
    "DeleteVolume": {"VolumeId": DISK},
    "ModifyVolume": {"VolumeId": DISK, "Size": 2},
    "AttachVolume": {"Device": "/dev/sdz", "InstanceId": NOBODY, "VolumeId": DISK},
    "DetachVolume": {"InstanceId": NOBODY, "VolumeId": DISK},
    "CreateSecurityGroup": {"GroupName": "stead-permissions", "Description": "stead"},
    "DeleteSecurityGroup": {"GroupId": GROUP},
    "CreateTags": {"Resources": [NOBODY], "Tags": [{"Key": "stead.key", "Value": "x"}]},
    "ModifyInstanceAttribute": {"InstanceId": NOBODY, "InstanceType": {"Value": "t3.micro"}},
    "AuthorizeSecurityGroupIngress": {"GroupId": GROUP, "CidrIp": "192.0.2.0/24", "IpProtocol": "-1"},
    "RevokeSecurityGroupEgress": {"GroupId": GROUP},
    "DescribeInstances": {},
    "DescribeVolumes": {},
    "DescribeImages": {"Owners": ["self"]},
    "DescribeSecurityGroups": {},
    "DescribeVpcs": {},
    "DescribeSubnets": {},
    "DescribeAvailabilityZones": {},
    "DescribeSpotInstanceRequests": {},
    "CancelSpotInstanceRequests": {"SpotInstanceRequestIds": [SPOT]},
}


def missing_permissions(cloud: Cloud, context: Context) -> tuple[list[str], list[str]]:
    """Actions that are denied: those that every template needs, and those of templates that make roles."""
    called = set(actions())
    required = [
        f"ec2:{name}"
        for name, arguments in DRY_RUNS.items()
        if f"ec2:{name}" in called and _denied(cloud, context, "ec2", name, {**arguments, "DryRun": True})
    ]
    optional = [
        f"iam:{name}"
        for name, arguments in _nobody().items()
        if f"iam:{name}" in called and _denied(cloud, context, "iam", name, arguments)
    ]
    return required, optional


def _nobody() -> dict[str, dict[str, Any]]:
    """Calls about a role that does not exist: with permission AWS says so, and without it does not say."""
    name = f"stead-permissions-{secrets.token_hex(8)}"
    role, profile = {"RoleName": name}, {"InstanceProfileName": name}
    policy = {**role, "PolicyName": name}
    attachment = {**role, "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
    return {
        "GetRole": role,
        "DeleteRole": role,
        "PutRolePolicy": {**policy, "PolicyDocument": '{"Version": "2012-10-17", "Statement": []}'},
        "GetRolePolicy": policy,
        "DeleteRolePolicy": policy,
        "AttachRolePolicy": attachment,
        "DetachRolePolicy": attachment,
        "GetInstanceProfile": profile,
        "DeleteInstanceProfile": profile,
        "AddRoleToInstanceProfile": {**role, **profile},
        "RemoveRoleFromInstanceProfile": {**role, **profile},
    }


def _denied(cloud: Cloud, context: Context, service: str, operation: str, arguments: dict[str, Any]) -> bool:
    context.check()
    if "AvailabilityZone" in arguments:
        arguments = {**arguments, "AvailabilityZone": f"{cloud.region}a"}
    try:
        getattr(cloud.client(service), xform_name(operation))(**arguments)
    except SDK_ERRORS as error:
        failure = translate(error, f"{service}:{operation} could not be checked")
        if is_passing(error):
            raise failure from error
        return isinstance(failure, PermissionMissing)
    return False
