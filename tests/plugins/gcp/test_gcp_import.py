"""What exists and is imported stays: the plans after an import, under the real Terraform, against the strict fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.templates import TemplateRunner
from stead_gcp import plugin
from stead_gcp.images import same_image

HEAD = """
terraform {
  required_providers {
    google = { source = "hashicorp/google" }
  }
}
provider "google" {
  default_labels = { team = "red" }
}
"""
ZONE = "projects/acme-dev/zones/us-central1-a"
WEB = "https://www.googleapis.com/compute/v1/"
MACHINE = """
resource "google_compute_instance" "it" {
  name         = "it"
  machine_type = "e2-medium"
  ARGUMENTS
  boot_disk {
    BOOT
  }
  network_interface {
    network = "default"
    access_config {}
  }
}
"""
MADE = 'initialize_params { image = "debian-cloud/debian-12" }'
FROM = """
resource "google_compute_instance_from_template" "it" {
  name                     = "it"
  source_instance_template = "projects/acme-dev/global/instanceTemplates/base"
  ARGUMENTS
}
"""
DISK = """
resource "google_compute_disk" "root" {
  name  = "NAME"
  image = "debian-cloud/debian-12"
}
"""
BASE = {
    "name": "base",
    "properties": {
        "machineType": "e2-standard-2",
        "disks": [
            {
                "boot": True,
                "autoDelete": True,
                "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"},
            }
        ],
        "networkInterfaces": [{"network": "projects/acme-dev/global/networks/default"}],
    },
}


def machine(arguments: str = "", boot: str = MADE, more: str = "") -> str:
    return MACHINE.replace("ARGUMENTS", arguments).replace("BOOT", boot) + more


def from_template(arguments: str = "") -> str:
    return FROM.replace("ARGUMENTS", arguments)


def disk(name: str) -> str:
    return DISK.replace("NAME", name)


LOCAL = '  scratch_disk { interface = "NVME" }'
SPOT = """
  scheduling {
    preemptible        = true
    automatic_restart  = false
    provisioning_model = "SPOT"
  }
"""
RICH = """
  tags        = ["web"]
  labels      = { kind = "workspace" }
  description = "A workspace."
  hostname    = "it.example.com"
  metadata    = { answer = "42" }
  scratch_disk { interface = "NVME" }
  guest_accelerator {
    type  = "nvidia-tesla-t4"
    count = 1
  }
  service_account { scopes = ["cloud-platform"] }
  shielded_instance_config { enable_secure_boot = true }
  advanced_machine_features { threads_per_core = 1 }
  reservation_affinity { type = "NO_RESERVATION" }
"""
PLACE = """size = 30
      type = "pd-balanced"
      labels = { disk = "boot" }"""
SPACIOUS = f'initialize_params {{\n image = "ubuntu-os-cloud/ubuntu-2404-lts-amd64"\n {PLACE} \n}}'
ATTACHED = "attached_disk { source = google_compute_disk.root.self_link }"
# What an import tells all of: the first plan is empty.
TOLD = {
    "plain": machine(),
    "image of Ubuntu, size, type and labels": machine(boot=SPACIOUS),
    "much of it": machine(RICH),
    "start-up script": machine('metadata_startup_script = "echo hi"'),
    "spot": machine(SPOT),
    "boot disk that was there": machine(boot="source = google_compute_disk.root.self_link", more=disk("root")),
    "disk attached": machine(ATTACHED, more=disk("root")),
}
# What it cannot tell, or not in which of two forms: the first plan may write it into the state and no more.
UNTOLD = {
    "may be stopped": machine("allow_stopping_for_update = true"),
    "start-up script in the metadata": machine('metadata = { "startup-script" = "echo hi" }'),
    "boot disk of the same name that was there": machine(
        boot="source = google_compute_disk.root.self_link", more=disk("it")
    ),
    "scheduling as it is anyhow": machine("scheduling { automatic_restart = true }"),
    "time-outs": machine('timeouts { create = "10m" }'),
    "shield as it is anyhow": machine("shielded_instance_config { enable_vtpm = true }"),
    "of a template": from_template(),
    "of a template, with a network": from_template('network_interface { network = "default" }'),
    "of a template, with much of it": from_template(RICH.replace(LOCAL, "")),
}
IDENTITIES = {
    "google_compute_instance": f"{ZONE}/instances/it",
    "google_compute_instance_from_template": f"{ZONE}/instances/it",
    "google_compute_disk": f"{ZONE}/disks/NAME",
}


@pytest.fixture
def engine(rig) -> Iterator[Engine]:
    (spec,) = plugin.stead_terraform_providers()
    builtin = [(item, item.settings()) for item in builtin_providers()]
    made = Engine(EngineOptions(network=False), [(spec, rig.settings), *builtin])
    rig.peer.world.add("projects/acme-dev/global/instanceTemplates/base", BASE)
    yield made
    made.close()


def runner(engine: Engine, rig, folder: Path) -> TemplateRunner:
    folder.mkdir()
    return TemplateRunner(engine, folder, rig.build)


def imported(template: str) -> str:
    """The template with a block ``import`` for each of its resources."""
    kind = "google_compute_instance_from_template" if "_from_template" in template else "google_compute_instance"
    blocks = [(f"{kind}.it", IDENTITIES[kind])]
    if '"root"' in template:
        name = "it" if template.count('"it"') > 2 else "root"
        blocks.append(("google_compute_disk.root", IDENTITIES["google_compute_disk"].replace("NAME", name)))
    return HEAD + template + "".join(f'import {{\n to = {to}\n id = "{identity}"\n}}\n' for to, identity in blocks)


def writes(rig) -> list[str]:
    reading = ("get", "list", "aggregatedList", "getFromFamily")
    return [call for call in rig.peer.calls if call.rpartition(".")[2] not in reading]


@pytest.mark.parametrize("name", sorted(TOLD))
def test_the_first_plan_after_an_import_is_empty(engine: Engine, rig, tmp_path: Path, name: str) -> None:
    runner(engine, rig, tmp_path / "first").apply(HEAD + TOLD[name])
    plan = runner(engine, rig, tmp_path / "second").plan(imported(TOLD[name]))
    assert [(change.action, change.address) for change in plan.changes] == []


@pytest.mark.parametrize("name", sorted(UNTOLD))
def test_what_an_import_cannot_tell_changes_the_state_alone(engine: Engine, rig, tmp_path: Path, name: str) -> None:
    runner(engine, rig, tmp_path / "first").apply(HEAD + UNTOLD[name])
    things = {path: dict(thing) for path, thing in rig.peer.world.things.items()}
    rig.peer.calls.clear()
    second = runner(engine, rig, tmp_path / "second")
    template = imported(UNTOLD[name])
    assert {change.action for change in second.plan(template).changes} == {"update"}
    second.apply(template)
    assert writes(rig) == [], "the import changes nothing out there"
    assert {path: dict(thing) for path, thing in rig.peer.world.things.items()} == things
    assert not second.plan(template).has_changes
    second.destroy(HEAD + UNTOLD[name])
    assert rig.peer.names("instances") == rig.peer.names("disks") == []


def test_another_image_replaces_what_was_imported(engine: Engine, rig, tmp_path: Path) -> None:
    runner(engine, rig, tmp_path / "first").apply(HEAD + machine())
    other = machine(boot='initialize_params { image = "ubuntu-os-cloud/ubuntu-2404-lts-amd64" }')
    plan = runner(engine, rig, tmp_path / "second").plan(imported(other))
    assert [change.action for change in plan.changes] == ["replace"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("debian-cloud/debian-12", "projects/debian-cloud/global/images/debian-12-bookworm-v20260101", True),
        ("debian-12", f"{WEB}projects/debian-cloud/global/images/debian-12-bookworm-v20260101", True),
        ("debian-cloud/debian-12", "debian-cloud/debian-11", False),
        ("debian-cloud/debian-12", "debian-cloud/debian-12-arm64", False),
        ("debian-cloud/debian-12", "other-cloud/debian-12", False),
        ("debian-12", "projects/debian-cloud/global/images/family/debian-12", True),
        ("ubuntu-2404-lts-amd64", "projects/ubuntu-os-cloud/global/images/ubuntu-2404-noble-amd64-v20260101", True),
        ("ubuntu-2204-lts", "projects/ubuntu-os-cloud/global/images/ubuntu-2404-noble-amd64-v20260101", False),
        ("ubuntu-2404-lts-arm64", "projects/ubuntu-os-cloud/global/images/ubuntu-2404-noble-amd64-v20260101", False),
        ("windows-2022-core", "projects/windows-cloud/global/images/windows-server-2022-dc-core-v20260101", True),
        ("cos-109-lts", "projects/cos-cloud/global/images/cos-109-17800-519-1", True),
        ("projects/p/global/images/a-1", "projects/p/global/images/a-1-2", False),
        (None, "debian-12", False),
    ],
)
def test_a_family_stands_for_the_image_that_was_taken(one: str | None, other: str, same: bool) -> None:
    assert same_image(one, other) is same
    assert same_image(other, one) is same
