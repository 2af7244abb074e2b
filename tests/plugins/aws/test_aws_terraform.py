"""The provider under the real Terraform, through the real SDK, on moto."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stead.api.errors import BuildFailure
from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.templates import TemplateRunner
from stead.testing.terraform import MemoryJournal
from stead_aws import plugin


class Bench(TemplateRunner):
    """A workspace's runs in the rig's account."""

    def start(self, template: str, **changes: Any) -> None:
        self.apply(template, transition="start", **changes)

    def stop(self, template: str, **changes: Any) -> None:
        self.apply(template, transition="stop", **changes)


@pytest.fixture
def bench(rig, tmp_path: Path) -> Iterator[Bench]:
    ours = [(spec, rig.settings) for spec in plugin.stead_terraform_providers()]
    engine = Engine(EngineOptions(network=False), [*((spec, spec.settings()) for spec in builtin_providers()), *ours])
    context = replace(
        rig.build, access_url="http://stead.test", init_scripts=lambda system, arch: f"echo {system} {arch}"
    )
    yield Bench(engine, tmp_path, context, journal=MemoryJournal())
    engine.close()


HEAD = """
terraform {
  required_providers {
    aws   = { source = "hashicorp/aws" }
    coder = { source = "coder/coder" }
  }
}
provider "aws" {
  default_tags {
    tags = { Team = "red" }
  }
}
data "aws_ami" "image" {
  most_recent = true
  owners      = ["099720109477"]
  filter {
    name   = "architecture"
    values = ["x86_64"]
  }
}
"""


def template_of(name: str) -> str:
    (path,) = [item.path for item in plugin.STARTERS if item.name == name]
    return (path / "main.tf").read_text()


def changes_of(plan: Any) -> dict[str, str]:
    return {change.address: change.action for change in plan.changes if change.action != "read"}


def owned_but_root_disks(rig) -> dict[str, list[str]]:
    """moto lists the disks that go with a machine as if they stayed."""
    return {kind: found for kind, found in rig.owned().items() if kind != "aws_ebs_volume"}


def test_starter_keeps_its_disk_while_it_is_stopped(bench: Bench, rig) -> None:
    text, size = template_of("aws-linux"), {"instance_type": "t3.small"}
    bench.start(text)
    (machine,) = rig.machines()
    disk = machine["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert machine["State"]["Name"] == "running"
    assert bench.attributes("aws_instance.workspace")["user_data"].count("CODER_AGENT_TOKEN") == 2
    assert bench.attributes("coder_metadata.workspace")["item"][2]["value"] == "8 GB"
    again = changes_of(bench.plan(text))
    assert set(again) <= {"aws_instance.workspace"}, "only the agent's new token differs"
    assert "deprecated" not in bench.log

    bench.stop(text)
    (stopped,) = rig.machines()
    assert (stopped["InstanceId"], stopped["State"]["Name"]) == (machine["InstanceId"], "stopped")
    assert stopped["BlockDeviceMappings"][0]["Ebs"]["VolumeId"] == disk

    bench.start(text, parameters=size)
    (started,) = rig.machines()
    assert (started["InstanceId"], started["State"]["Name"]) == (machine["InstanceId"], "running")
    assert started["InstanceType"] == "t3.small"

    bench.destroy(text, parameters=size)
    assert rig.machines() == []
    assert owned_but_root_disks(rig) == {}


@pytest.mark.parametrize("spot", ["true", "false"])
def test_starter_with_a_home_of_its_own(bench: Bench, rig, spot: str) -> None:
    text, given = template_of("aws-spot"), {"spot": spot, "region": "us-east-1"}
    bench.start(text, parameters=given)
    (machine,) = rig.machines()
    home = bench.attributes("aws_ebs_volume.home")["id"]
    assert (machine.get("InstanceLifecycle") == "spot") is (spot == "true")
    assert bench.attributes("aws_volume_attachment.home")["volume_id"] == home
    assert bench.attributes("coder_metadata.machine")["daily_cost"] == 1
    tags = {item["Key"]: item["Value"] for item in machine["Tags"]}
    assert tags["Owner"] == "alice"
    assert tags["stead.deployment"] == rig.name
    assert changes_of(bench.plan(text, parameters=given)) == {}, "a second plan is empty"
    assert "deprecated" not in bench.log
    data = bench.attributes("aws_instance.workspace")["user_data"]
    assert 'CODER_AGENT_AUTH="aws-instance-identity"' in data
    assert "AGENT_TOKEN" not in data, "the machine proves which one it is"
    assert machine["IamInstanceProfile"]["Arn"].endswith(bench.attributes("aws_iam_instance_profile.workspace")["name"])

    bench.stop(text, parameters=given)
    assert rig.machines() == []
    assert bench.attributes("aws_ebs_volume.home")["id"] == home
    assert changes_of(bench.plan(text, parameters=given, transition="stop")) == {}

    larger = {**given, "home": "30", "instance_type": "t3.large"}
    bench.start(text, parameters=larger)
    assert rig.machines()[0]["InstanceType"] == "t3.large"
    assert rig.ec2.describe_volumes(VolumeIds=[home])["Volumes"][0]["Size"] == 30

    bench.destroy(text, parameters=larger)
    assert rig.machines() == []
    assert rig.owned() == {}
    assert {entry["status"] for entry in bench.journal.entries.values()} == {"deleted"}


EVERYTHING = (
    HEAD
    + """
data "aws_region" "here" {}
data "aws_caller_identity" "me" {}
data "aws_vpc" "default" { default = true }
data "aws_subnet" "first" {
  vpc_id            = data.aws_vpc.default.id
  availability_zone = "us-east-1a"
}
data "aws_ec2_instance_type" "size" { instance_type = "t3.micro" }
variable "memory" { default = "t3.micro" }
variable "port" { default = 22 }
variable "team" { default = "blue" }
resource "aws_security_group" "ssh" {
  name   = "ssh"
  vpc_id = data.aws_vpc.default.id
  ingress {
    from_port   = var.port
    to_port     = var.port
    protocol    = "tcp"
    cidr_blocks = ["192.0.2.0/24", "198.51.100.0/24"]
    description = "the office"
  }
  ingress {
    from_port = 0
    to_port   = 0
    protocol  = "-1"
    self      = true
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
  tags = { Team = var.team }
}
resource "aws_security_group" "bare" {
  name   = "bare"
  vpc_id = data.aws_vpc.default.id
}
resource "aws_security_group_rule" "web" {
  type              = "ingress"
  security_group_id = aws_security_group.bare.id
  from_port         = 443
  to_port           = 443
  protocol          = "tcp"
  cidr_blocks       = ["203.0.113.0/24"]
}
resource "aws_vpc_security_group_ingress_rule" "dns" {
  security_group_id = aws_security_group.bare.id
  ip_protocol       = "udp"
  from_port         = 53
  to_port           = 53
  cidr_ipv4         = "203.0.113.0/24"
  tags              = { Team = var.team }
}
resource "aws_vpc_security_group_egress_rule" "out" {
  security_group_id            = aws_security_group.bare.id
  ip_protocol                  = "tcp"
  from_port                    = 80
  to_port                      = 80
  referenced_security_group_id = aws_security_group.ssh.id
}
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}
data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = ["s3:GetObject", "s3:ListBucket"]
    resources = ["arn:aws:s3:::things/&{aws:username}"]
  }
}
resource "aws_iam_role" "machine" {
  name               = "machine"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = { Team = var.team }
}
resource "aws_iam_role_policy" "read" {
  name   = "read"
  role   = aws_iam_role.machine.name
  policy = data.aws_iam_policy_document.read.json
}
resource "aws_iam_role_policy_attachment" "managed" {
  role       = aws_iam_role.machine.name
  policy_arn = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:policy/look"
}
resource "aws_iam_instance_profile" "machine" {
  name = "machine"
  role = aws_iam_role.machine.name
  tags = { Team = var.team }
}
resource "aws_instance" "dev" {
  ami                    = data.aws_ami.image.id
  instance_type          = var.memory
  subnet_id              = data.aws_subnet.first.id
  vpc_security_group_ids = [aws_security_group.ssh.id]
  iam_instance_profile   = try(aws_iam_instance_profile.machine.name, null)
  user_data              = "#cloud-config"
  monitoring             = true
  root_block_device {
    volume_size = 12
    volume_type = "gp3"
  }
  ebs_block_device {
    device_name = "/dev/sdf"
    volume_size = 3
  }
  timeouts { create = "5m" }
  tags = { Name = "dev", Team = var.team }
}
resource "aws_ebs_volume" "home" {
  availability_zone = aws_instance.dev.availability_zone
  size              = 5
  tags              = { Team = var.team }
}
resource "aws_volume_attachment" "home" {
  device_name = "/dev/sdh"
  instance_id = aws_instance.dev.id
  volume_id   = aws_ebs_volume.home.id
}
resource "aws_ec2_instance_state" "dev" {
  instance_id = aws_instance.dev.id
  state       = "running"
  depends_on  = [aws_volume_attachment.home]
}
resource "aws_spot_instance_request" "cheap" {
  ami                  = data.aws_ami.image.id
  instance_type        = "t3.micro"
  wait_for_fulfillment = true
  tags                 = { Team = var.team }
}
output "account" { value = data.aws_caller_identity.me.account_id }
output "region" { value = data.aws_region.here.region }
output "memory" { value = data.aws_ec2_instance_type.size.memory_size }
output "policy" { value = jsondecode(data.aws_iam_policy_document.read.json) }
"""
)


LOOK = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]}'


def altered(text: str, **values: Any) -> str:
    for name, value in values.items():
        head, _, tail = text.partition(f'variable "{name}" {{ default = ')
        text = f'{head}variable "{name}" {{ default = {value} }}{tail.partition("}")[2]}'
    return text


def test_every_resource_through_its_life(bench: Bench, rig) -> None:
    rig.iam.create_policy(PolicyName="look", PolicyDocument=LOOK)
    applied = bench.apply(EVERYTHING)
    assert applied.outputs["account"] == rig.edge.account
    assert applied.outputs["region"] == "us-east-1"
    assert applied.outputs["memory"] == 1024
    assert applied.outputs["policy"]["Statement"][0]["Resource"] == "arn:aws:s3:::things/${aws:username}"
    assert changes_of(bench.plan(EVERYTHING)) == {}, "a second plan is empty"
    group = rig.ec2.describe_security_groups(GroupNames=["ssh"])["SecurityGroups"][0]
    assert len([source for rule in group["IpPermissions"] for source in rule["IpRanges"]]) == 2
    keys = {item.key for item in rig.platform.owned_resources(rig.name)}
    assert keys <= set(bench.journal.entries)

    changed = altered(EVERYTHING, memory='"t3.small"', port=2222, team='"green"')
    actions = changes_of(bench.plan(changed))
    assert set(actions.values()) == {"update"}, actions
    machine = bench.attributes("aws_instance.dev")["id"]
    bench.apply(changed)
    assert changes_of(bench.plan(changed)) == {}
    found = next(item for item in rig.machines() if item["InstanceId"] == machine)
    assert (found["InstanceType"], found["State"]["Name"]) == ("t3.small", "running")
    group = rig.ec2.describe_security_groups(GroupNames=["ssh"])["SecurityGroups"][0]
    assert 2222 in [rule.get("FromPort") for rule in group["IpPermissions"]]
    tags = {item["Key"]: item["Value"] for item in found["Tags"]}
    assert tags["Team"] == "green"
    assert tags["stead.key"]

    bench.destroy(changed)
    assert owned_but_root_disks(rig) == {}
    assert rig.machines() == []


MACHINE = (
    HEAD
    + """
resource "aws_instance" "it" {
  ami                         = data.aws_ami.image.id
  instance_type               = "t3.micro"
  user_data_replace_on_change = true
  USER
}
"""
)
SPOT = (
    HEAD
    + """
resource "aws_spot_instance_request" "it" {
  ami                  = data.aws_ami.image.id
  instance_type        = "t3.micro"
  wait_for_fulfillment = true
  USER
}
"""
)
PLAIN = 'user_data = "#!/bin/sh\\necho hello\\n"'
ENCODED = 'user_data_base64 = base64encode("#!/bin/sh\\necho hello\\n")'
BINARY = 'user_data_base64 = base64gzip("#!/bin/sh\\necho hello\\n")'


def importing(template: str, bench: Bench, address: str) -> str:
    return f'{template}\nimport {{\n  to = {address}\n  id = "{bench.attributes(address)["id"]}"\n}}\n'


@pytest.mark.parametrize(
    ("template", "data"),
    [(MACHINE, PLAIN), (MACHINE, BINARY), (MACHINE, ENCODED), (SPOT, PLAIN), (SPOT, ENCODED)],
    ids=["text", "not text", "text in base64", "spot", "spot in base64"],
)
def test_an_import_keeps_a_machine_with_user_data(bench: Bench, rig, template: str, data: str) -> None:
    text = template.replace("USER", data)
    address = "aws_instance.it" if template is MACHINE else "aws_spot_instance_request.it"
    bench.apply(text)
    again = importing(text, bench, address)
    bench.state = None
    assert changes_of(bench.plan(again)) == {address: "update"}
    bench.apply(again)
    assert len(rig.machines()) == 1
    assert rig.edge.count("StopInstances") == 0, "what only the state did not know changes no machine"
    assert changes_of(bench.plan(text)) == {}
    bench.destroy(text)
    assert rig.machines() == []


def test_user_data_goes_from_one_argument_to_the_other(bench: Bench, rig) -> None:
    text = MACHINE.replace("user_data_replace_on_change = true", "")
    before, after = text.replace("USER", PLAIN), text.replace("USER", ENCODED.replace("hello", "goodbye"))
    for template, word in ((before, b"hello"), (after, b"goodbye"), (before, b"hello")):
        bench.apply(template)
        (machine,) = rig.machines()
        answer = rig.ec2.describe_instance_attribute(InstanceId=machine["InstanceId"], Attribute="userData")
        assert word in base64.b64decode(answer["UserData"]["Value"])
        assert changes_of(bench.plan(template)) == {}
    bench.destroy(before)


def test_drift_is_seen_and_mended(bench: Bench, rig) -> None:
    rig.iam.create_policy(PolicyName="look", PolicyDocument=LOOK)
    bench.apply(EVERYTHING)
    machine = bench.attributes("aws_instance.dev")["id"]
    rig.ec2.stop_instances(InstanceIds=[machine])
    rig.ec2.create_tags(Resources=[machine], Tags=[{"Key": "Team", "Value": "purple"}])
    home = bench.attributes("aws_ebs_volume.home")["id"]
    rig.ec2.detach_volume(VolumeId=home, InstanceId=machine)
    rig.iam.delete_role_policy(RoleName="machine", PolicyName="read")
    group = bench.attributes("aws_security_group.ssh")["id"]
    rig.ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    assert changes_of(bench.plan(EVERYTHING)) == {
        "aws_instance.dev": "update",
        "aws_ec2_instance_state.dev": "update",
        "aws_volume_attachment.home": "create",
        "aws_iam_role_policy.read": "create",
        "aws_security_group.ssh": "update",
    }
    bench.apply(EVERYTHING)
    assert changes_of(bench.plan(EVERYTHING)) == {}

    rig.ec2.terminate_instances(InstanceIds=[machine])
    again = changes_of(bench.plan(EVERYTHING))
    assert again["aws_instance.dev"] == "create"
    bench.apply(EVERYTHING)
    assert changes_of(bench.plan(EVERYTHING)) == {}
    bench.destroy(EVERYTHING)
    assert owned_but_root_disks(rig) == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('instance_type = "t3.micro"', ["ami"]),
        ('ami = "ami-00000000"\n  instance_type = "t3.micro"', ["ami-00000000"]),
        ('ami = data.aws_ami.image.id\n  instance_type = "t99.vast"', ["t99.vast"]),
        ('ami = data.aws_ami.image.id\n  instance_type = "t3.micro"\n  no_such = 1', ["no_such"]),
        ('ami = data.aws_ami.image.id\n  instance_type = "t3.micro"\n  tenancy = "mine"', ["must be one of"]),
        (
            'ami = data.aws_ami.image.id\n  instance_type = "t3.micro"\n  timeouts { create = "soon" }',
            ["must be a duration"],
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_place(bench: Bench, rig, body: str, words: list[str]) -> None:
    with pytest.raises(BuildFailure) as caught:
        bench.apply(HEAD + f'resource "aws_instance" "dev" {{\n  {body}\n}}\n')
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert rig.machines() == []


def test_disks_do_not_shrink(bench: Bench) -> None:
    text = HEAD + 'resource "aws_ebs_volume" "v" {\n  availability_zone = "us-east-1a"\n  size = 10\n}\n'
    bench.apply(text)
    with pytest.raises(BuildFailure, match="do not shrink"):
        bench.plan(text.replace("= 10", "= 5"))
    # A stop and a deletion inherit the values of a start that failed: nothing may be kept up by them.
    assert changes_of(bench.plan(text.replace("= 10", "= 5"), transition="stop")) == {}
    bench.destroy(text.replace("= 10", "= 5"))
    assert bench.log.count("Destruction complete") == 1


def test_without_a_region_the_remedy_is_named(bench: Bench, rig, forget_environment: None) -> None:
    settings = rig.settings.model_copy(update={"region": None})
    ours = [(spec, settings) for spec in plugin.stead_terraform_providers()]
    engine = Engine(EngineOptions(network=False), ours)
    try:
        bench.engine = engine
        with pytest.raises(BuildFailure, match="region"):
            bench.plan(HEAD.replace('coder = { source = "coder/coder" }', ""))
    finally:
        engine.close()
