"""The provider under the real Terraform, through the real SDK, against a strict stand-in for Azure."""

from __future__ import annotations

import base64
import re
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
from stead_azure import plugin


@pytest.fixture
def runner(rig, tmp_path: Path) -> Iterator[TemplateRunner]:
    providers = [(spec, spec.settings()) for spec in builtin_providers()]
    providers += [(spec, rig.settings) for spec in plugin.stead_terraform_providers()]
    engine = Engine(EngineOptions(network=False), providers)
    context = replace(rig.build, init_scripts=lambda os, arch: "sleep 1")
    yield TemplateRunner(engine, tmp_path, context, MemoryJournal())
    engine.close()


def starter(name: str) -> dict[str, str]:
    (found,) = [item.path for item in plugin.STARTERS if item.name == name]
    return {item.name: item.read_text() for item in found.iterdir() if item.is_file()}


def actions(plan) -> dict[str, str]:
    return {change.address: change.action for change in plan.changes if change.action != "read"}


DISKS = """
provider "azurerm" {
  features {}
}
variable "size" { default = 64 }
resource "azurerm_resource_group" "it" {
  name     = "it"
  location = "westeurope"
}
resource "azurerm_managed_disk" "it" {
  name                 = "it"
  location             = azurerm_resource_group.it.location
  resource_group_name  = azurerm_resource_group.it.name
  storage_account_type = "Standard_LRS"
  create_option        = "Empty"
  disk_size_gb         = var.size
}
"""


def test_disks_do_not_shrink(rig, runner: TemplateRunner) -> None:
    smaller = DISKS.replace("= 64", "= 32")
    runner.apply(DISKS)
    with pytest.raises(BuildFailure, match="do not shrink"):
        runner.plan(smaller)
    # A stop and a deletion inherit the values of a start that failed: nothing may be kept up by them.
    assert actions(runner.plan(smaller, transition="stop")) == {}
    runner.destroy(smaller)
    assert rig.peer.of("disks") == []


def tokenless(machine: dict[str, Any]) -> bool:
    """Whether the agent is told to prove where it runs, and is given no token."""
    properties = machine["properties"]
    texts = [properties["osProfile"]["customData"], properties.get("userData") or ""]
    said = "".join(base64.b64decode(text).decode() for text in texts)
    scripts = re.findall(r"content: ([A-Za-z0-9+/=]{40,})", said)
    said += "".join(base64.b64decode(text).decode() for text in scripts)
    return 'CODER_AGENT_AUTH="azure-instance-identity"' in said and "AGENT_TOKEN" not in said


@pytest.mark.parametrize("name", ["azure-linux", "azure-linux-kept"])
def test_starters_through_their_lives(rig, runner: TemplateRunner, name: str) -> None:
    template, peer = starter(name), rig.peer
    runner.apply(template)
    (machine,) = peer.of("virtualMachines")
    assert machine["tags"]["stead.workspace"] == rig.build.workspace_id
    assert tokenless(machine), "no token stands in a machine's data"
    assert runner.attributes("coder_agent.main")["auth"] == "azure-instance-identity"
    assert len(peer.of("disks")) == 2
    assert [disk["lun"] for disk in machine["properties"]["storageProfile"]["dataDisks"]] == [10]

    assert actions(runner.plan(template)) == {}, "a second plan is empty"
    assert "deprecated" not in runner.log

    runner.apply(template, transition="stop")
    if name == "azure-linux":
        assert peer.of("virtualMachines") == []
        assert [disk["name"] for disk in peer.of("disks")] == ["home"]
    else:
        (stopped,) = peer.of("virtualMachines")
        assert stopped["properties"]["_power"] == "deallocated"
        assert stopped["properties"]["vmId"] == machine["properties"]["vmId"]

    runner.apply(template)
    (again,) = peer.of("virtualMachines")
    assert again["properties"]["_power"] == "running"
    assert (again["properties"]["vmId"] == machine["properties"]["vmId"]) is (name == "azure-linux-kept")

    changed = {"size": "Standard_D4s_v5", "home_size": "64"}
    runner.apply(template, parameters=changed)
    (larger,) = peer.of("virtualMachines")
    assert larger["properties"]["hardwareProfile"]["vmSize"] == "Standard_D4s_v5"
    assert larger["properties"]["_power"] == "running"
    assert larger["properties"]["vmId"] == again["properties"]["vmId"]
    (home,) = [disk for disk in peer.of("disks") if disk["name"] == "home"]
    assert home["properties"]["diskSizeGB"] == 64

    keys = {item.key for item in rig.platform.owned_resources(rig.name)}
    assert keys <= set(runner.journal.entries)
    runner.destroy(template, parameters=changed)
    assert peer.things == {}
    assert {entry["status"] for entry in runner.journal.entries.values()} == {"deleted"}


HEAD = 'terraform {\n  required_providers {\n    azurerm = { source = "hashicorp/azurerm" }\n  }\n}\n'
HEAD += 'provider "azurerm" {\n  features {}\n}\n'
GROUP = 'resource "azurerm_resource_group" "g" {\n  name = "g"\n  location = "West Europe"\n}\n'


def test_data_sources_and_a_group_by_its_pretty_region(rig, runner: TemplateRunner) -> None:
    template = (
        HEAD
        + GROUP
        + (
            'data "azurerm_client_config" "me" {}\n'
            'data "azurerm_resource_group" "g" { name = azurerm_resource_group.g.name }\n'
        )
    )
    runner.apply(template)
    assert runner.attributes("data.azurerm_resource_group.g")["location"] == "westeurope"
    found = runner.attributes("data.azurerm_client_config.me")
    assert found["client_id"] == rig.settings.client_id
    assert found["object_id"].startswith("4444")
    assert actions(runner.plan(template)) == {}
    runner.destroy(template)
    assert rig.peer.things == {}


def test_drift_is_seen_and_mended(rig, runner: TemplateRunner) -> None:
    template, peer = starter("azure-linux-kept"), rig.peer
    runner.apply(template)
    (machine,) = peer.of("virtualMachines")
    machine["properties"]["_power"] = "deallocated"
    assert actions(runner.plan(template)) == {"azurerm_linux_virtual_machine.main": "update"}
    machine["properties"]["_power"] = "running"
    (group,) = peer.of("networkSecurityGroups")
    group["properties"]["securityRules"][0]["properties"]["access"] = "Allow"
    assert actions(runner.plan(template)) == {"azurerm_network_security_group.main": "update"}
    for path in (machine["id"], machine["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]):
        peer.things.pop(path.lower())
    runner.apply(template)
    assert len(peer.of("virtualMachines")) == 1
    runner.destroy(template)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('name = "bad."\n  location = "westeurope"', ["must not end with"]),
        ('name = "g"\n  location = "westeurope"\n  tags = { "stead.key" = "x" }', ["belongs to Stead"]),
        ('name = "g"\n  location = "westeurope"\n  no_such = 1', ["no_such"]),
    ],
)
def test_what_is_wrong_is_said_at_its_place(rig, runner: TemplateRunner, body: str, words: list[str]) -> None:
    with pytest.raises(BuildFailure) as caught:
        runner.apply(HEAD + f'resource "azurerm_resource_group" "g" {{\n  {body}\n}}\n')
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert rig.peer.things == {}
