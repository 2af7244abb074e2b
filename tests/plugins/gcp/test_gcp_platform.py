"""The platform: credentials, the role and what it allows, what is ours."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.cloud import compute_v1
from stead_gcp_peer.schema import document

import stead_gcp
from stead.api import OwnedResource
from stead.api.errors import PermissionMissing, ProviderFailure
from stead_gcp.address import Address
from stead_gcp.calls import CALLS, permissions
from stead_gcp.disk import Disk
from stead_gcp.firewall import Firewall, Rule
from stead_gcp.instance import Instance
from stead_gcp.instance_blocks import (
    AccessConfig,
    AttachedDisk,
    BootDisk,
    InitializeParams,
    NetworkInterface,
    ServiceAccount,
)
from stead_gcp.policy import role

SOURCES = Path(stead_gcp.__file__).parent


def everything(rig) -> None:
    """A life of every type, with the changes that there are."""
    context = rig.context
    rig.create(Disk(name="home", size=20, labels={"a": "b"}))
    door = rig.create(Address(name="door"))
    wall = rig.create(Firewall(name="wall", network="default", source_tags={"x"}, allow=[Rule(protocol="tcp")]))
    machine = rig.create(
        Instance(
            name="dev",
            machine_type="e2-medium",
            boot_disk=[BootDisk(initialize_params=[InitializeParams(image="debian-cloud/debian-12")])],
            network_interface=[NetworkInterface(network="default", access_config=[AccessConfig(nat_ip=door.address)])],
            attached_disk=[AttachedDisk(source="home", device_name="home")],
            service_account=[ServiceAccount(scopes={"cloud-platform"})],
            metadata={"a": "b"},
            tags={"dev"},
            allow_stopping_for_update=True,
        )
    )
    changed = Instance.decode(machine.encode())
    changed.machine_type, changed.metadata, changed.tags = "e2-standard-2", {"a": "c"}, {"other"}
    changed.attached_disk, changed.labels, changed.terraform_labels = [], {"k": "v"}, {"k": "v"}
    changed.network_interface[0].access_config = []
    changed.update(context(), machine)
    for item in (wall, changed, door):
        item.delete(context())
    for item in rig.platform.owned_resources(rig.name):
        rig.platform.destroy_owned(item)


def test_the_printed_role_is_enough(rig) -> None:
    rig.peer.granted = set(role()["includedPermissions"])
    everything(rig)
    assert rig.platform.check_credentials().ok
    assert rig.owned() == {}
    assert len(rig.peer.used) > 30


def test_each_missing_permission_is_named(rig) -> None:
    everything(rig)
    for name in sorted(rig.peer.used)[::6]:  # each takes the whole life: some of all kinds are enough
        rig.peer.denied = {name}
        with pytest.raises(PermissionMissing, match=re.escape(name)) as caught:
            everything(rig)
        assert "stead_gcp.policy" in str(caught.value)
        rig.peer.denied = set()
        for path in [
            path
            for path in rig.peer.world.things
            if path.split("/")[-2] in ("instances", "disks", "addresses", "firewalls")
        ]:
            rig.peer.world.things.pop(path)


def test_the_credentials_check_names_what_is_missing(rig) -> None:
    rig.peer.denied = {"compute.disks.resize", "compute.instances.suspend"}
    report = rig.platform.check_credentials()
    assert not report.ok
    assert report.remedies[:2] == (
        "The credentials lack compute.disks.resize.",
        "The credentials lack compute.instances.suspend.",
    )
    rig.peer.denied = set()
    assert rig.platform.check_credentials().summary == "The credentials work in project acme-dev."


def test_the_command_prints_the_role() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "stead_gcp.policy"], capture_output=True, text=True, timeout=60, check=True
    )
    printed = json.loads(ran.stdout)
    assert printed["includedPermissions"] == sorted(set(permissions()))
    document("iam.v1").check("Role", printed)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_call_exists_and_is_used(name: str) -> None:
    call = CALLS[name]
    assert hasattr(getattr(compute_v1, f"{call.client}Client"), call.method)
    assert hasattr(compute_v1, call.request)
    assert any(method.id == f"compute.{name}" for method in document("compute.v1").methods)
    verb = name.partition(".")[2]
    sources = "".join(path.read_text() for path in SOURCES.glob("*.py") if path.name != "calls.py")
    assert f'"{name}"' in sources or (name.startswith("instances.") and f'"{verb}"' in sources)


def test_what_cannot_be_tried_here_says_why(rig) -> None:
    with pytest.raises(ProviderFailure, match="cannot be tried on this machine") as caught:
        rig.platform.trial()
    assert "[plugins.gcp]" in str(caught.value)


def test_what_google_does_not_have_cannot_be_destroyed(rig) -> None:
    with pytest.raises(ProviderFailure, match="aws_instance is nothing"):
        rig.platform.destroy_owned(OwnedResource("k", "aws_instance", "i-1", rig.name))
