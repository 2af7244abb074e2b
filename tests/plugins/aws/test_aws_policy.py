"""The least-privilege policy: with signatures and IAM on, it is enough, and each permission less is named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from stead.api.errors import PermissionMissing
from stead_aws import permissions, policy
from stead_aws.instance import Instance, InstanceState
from stead_aws.platform import AwsPlatform
from stead_aws.provider import Aws
from stead_aws.security_group import SecurityGroup
from stead_aws.settings import AwsSettings
from stead_aws.volume import Volume, VolumeAttachment

SETUP_CALLS = 4


@pytest.fixture(scope="module")
def guarded(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of its own that asks for signatures and permissions after the first calls."""
    server = request.getfixturevalue("moto_factory")
    with server(INITIAL_NO_AUTH_ACTION_COUNT=str(SETUP_CALLS)) as address:
        yield address


def _user(address: str, document: dict[str, Any]) -> AwsSettings:
    """A user that has this policy and nothing else. As many calls as ``SETUP_CALLS`` says."""
    iam = boto3.client(
        "iam", region_name="us-east-1", endpoint_url=address, aws_access_key_id="a", aws_secret_access_key="b"
    )
    iam.create_user(UserName="stead")
    # moto knows no conditions on requests: what they hold is checked in a test of its own.
    plain = [{name: value for name, value in item.items() if name != "Condition"} for item in document["Statement"]]
    text = json.dumps({**document, "Statement": plain})
    arn = iam.create_policy(PolicyName="stead", PolicyDocument=text)["Policy"]["Arn"]
    iam.attach_user_policy(UserName="stead", PolicyArn=arn)
    key = iam.create_access_key(UserName="stead")["AccessKey"]
    return AwsSettings(
        region="us-east-1",
        access_key=key["AccessKeyId"],
        secret_key=key["SecretAccessKey"],
        endpoints=dict.fromkeys(("ec2", "iam", "sts"), address),
        pause=0.01,
        poll=0.02,
        settle=0.5,
    )


def test_the_policy_is_enough_for_a_life(guarded: str, make_rig) -> None:
    settings = _user(guarded, policy.document())
    rig = make_rig(settings)
    report = AwsPlatform(settings).check_credentials()
    assert report.ok, report
    assert report.remedies == ()

    group = rig.create(SecurityGroup(name="ours"), "g")
    image = rig.ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    machine = rig.create(Instance(ami=image, instance_type="t3.micro", vpc_security_group_ids={group.id}), "i")
    volume = rig.create(Volume(availability_zone=machine.availability_zone, size=1), "v")
    attached = rig.create(VolumeAttachment(device_name="/dev/sdh", instance_id=machine.id, volume_id=volume.id))
    state = rig.create(InstanceState(instance_id=machine.id, state="stopped"))
    assert state.read(rig.context())
    attached.delete(rig.context())
    for item in rig.platform.owned_resources(rig.name):
        rig.platform.destroy_owned(item)
    assert rig.owned() == {}


def test_a_missing_permission_is_named(moto_factory, make_rig) -> None:
    document = policy.document()
    for statement in document["Statement"]:
        statement["Action"] = [item for item in statement["Action"] if item not in ("ec2:AttachVolume", "iam:GetRole")]
    with moto_factory(INITIAL_NO_AUTH_ACTION_COUNT=str(SETUP_CALLS)) as address:
        settings = _user(address, document)
        report = AwsPlatform(settings).check_credentials()
        rig = make_rig(settings)
        attachment = VolumeAttachment(device_name="/dev/sdh", instance_id="i-1", volume_id="vol-1")
        with pytest.raises(PermissionMissing, match="ec2:AttachVolume"):
            rig.provider.cloud.ask(
                rig.context(), "It failed", "ec2", "AttachVolume",
                Device=attachment.device_name, InstanceId="i-1", VolumeId="vol-1",
            )  # fmt: skip
    assert not report.ok
    assert report.remedies == ("Allow ec2:AttachVolume.", "Allow iam:GetRole if templates make roles of their own.")


def test_the_document_is_what_the_code_calls() -> None:
    document = policy.document()
    listed = [action for statement in document["Statement"] for action in statement["Action"]]
    assert sorted(listed) == sorted(set(listed)), "each once"
    assert set(listed) == {item for item in policy.actions() if not item.startswith("sts:")}
    sources = "".join(path.read_text() for path in policy.FOLDER.glob("*.py"))
    for name in re.findall(r'"((?:Describe|Create|Delete|Modify|Attach|Detach)[A-Z]\w+)"', sources):
        if name not in ("DeleteOnTermination", "DeleteConflict", "CreateDate", "CreateTime"):
            assert f"ec2:{name}" in policy.actions() or f"iam:{name}" in policy.actions(), name
    assert len(json.dumps(document, separators=(",", ":"))) < 6144, "a managed policy may be so long"


def test_what_is_not_ours_stays_untouched() -> None:
    document = policy.document("here")
    conditions = {item["Sid"]: item.get("Condition") for item in document["Statement"]}
    own = {"StringLike": {"aws:ResourceTag/stead.deployment": "here"}}
    assert conditions["SteadChangeItsOwn"] == own
    assert conditions["SteadChangeItsOwnRoles"] == own
    by_sid = {item["Sid"]: item["Action"] for item in document["Statement"]}
    for action in ("ec2:TerminateInstances", "ec2:DeleteVolume", "ec2:StopInstances", "ec2:DeleteSecurityGroup"):
        assert action in by_sid["SteadChangeItsOwn"]
    assert "iam:DeleteRole" in by_sid["SteadChangeItsOwnRoles"]
    assert all("*" not in action for actions in by_sid.values() for action in actions)


def test_every_dry_run_is_of_a_call_that_the_code_makes() -> None:
    assert {f"ec2:{name}" for name in permissions.DRY_RUNS} <= set(policy.actions())


def test_the_command_prints_it() -> None:
    command = [sys.executable, "-m", "stead_aws.policy", "--deployment", "d1"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ran.stdout) == policy.document("d1")


def test_roles_are_assumed_and_what_is_wrong_is_said(rig, tmp_path: Path) -> None:
    from stead_aws.provider import AssumeRole

    role = f"arn:aws:iam::{rig.edge.account}:role/builder"
    provider = Aws(settings=rig.settings, assume_role=[AssumeRole(role_arn=role, session_name="dev", duration="1h")])
    identity = provider.cloud.identity(rig.context())
    assert "AssumeRole" in rig.edge.calls
    assert identity["Arn"].endswith("assumed-role/builder/dev")
    rig.edge.fail("AssumeRole", "error", code="AccessDenied", status=403)
    denied = Aws(settings=rig.settings, assume_role=[AssumeRole(role_arn=role)])
    with pytest.raises(PermissionMissing, match="sts:AssumeRole"):
        denied.cloud.identity(rig.context())
