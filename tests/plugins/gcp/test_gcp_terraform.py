"""The provider under the real Terraform, through the real SDK, against the strict fake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stead_gcp_peer.server import Fault

from stead.api.errors import BuildFailure, SteadError
from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.templates import TemplateRunner
from stead.testing.terraform import MemoryJournal
from stead_gcp import plugin

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
PARTS = {
    "google_compute_disk": """
resource "google_compute_disk" "it" {
  name  = "it"
  image = "debian-cloud/debian-12"
  size  = 20
}
""",
    "google_compute_address": """
resource "google_compute_address" "it" {
  name = "it"
}
""",
    "google_compute_firewall": """
resource "google_compute_firewall" "it" {
  name          = "it"
  network       = "default"
  source_ranges = ["10.0.0.0/8"]
  allow {
    protocol = "tcp"
    ports    = ["22", "8000-8999"]
  }
}
""",
    "google_compute_instance": """
resource "google_compute_instance" "it" {
  name         = "it"
  machine_type = "e2-medium"
  boot_disk {
    initialize_params { image = "debian-cloud/debian-12" }
  }
  network_interface {
    network = "default"
    access_config {}
  }
}
""",
    "google_compute_instance_from_template": """
resource "google_compute_instance_from_template" "it" {
  name                     = "it"
  source_instance_template = "projects/acme-dev/global/instanceTemplates/base"
  labels                   = { kind = "workspace" }
}
""",
}
BASE = {
    "name": "base",
    "properties": {
        "machineType": "e2-standard-2",
        "labels": {"from": "template"},
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
WHOLE = """
resource "google_compute_disk" "home" {
  name   = "home"
  type   = "pd-ssd"
  size   = var.size
  labels = { what = "home" }
}
resource "google_compute_address" "door" {
  name = "door"
}
resource "google_compute_instance" "dev" {
  name                      = "dev"
  machine_type              = var.machine_type
  allow_stopping_for_update = true
  tags                      = ["dev"]
  labels                    = { what = "machine" }
  desired_status            = var.status
  boot_disk {
    initialize_params { image = "debian-cloud/debian-12" }
  }
  attached_disk {
    source = google_compute_disk.home.self_link
  }
  network_interface {
    network = "default"
    access_config { nat_ip = google_compute_address.door.address }
  }
  scheduling {
    provisioning_model          = "SPOT"
    preemptible                 = true
    automatic_restart           = false
    instance_termination_action = "STOP"
  }
  service_account {
    scopes = ["cloud-platform"]
  }
  shielded_instance_config {
    enable_secure_boot = true
  }
  metadata = { greeting = var.greeting }
}
variable "size" { default = 20 }
variable "machine_type" { default = "e2-medium" }
variable "status" { default = "RUNNING" }
variable "greeting" { default = "hello" }
output "address" { value = google_compute_instance.dev.network_interface[0].access_config[0].nat_ip }
output "instance" { value = google_compute_instance.dev.instance_id }
"""


@pytest.fixture
def runner(rig, tmp_path: Path) -> Iterator[TemplateRunner]:
    specs = [(spec, spec.settings()) for spec in builtin_providers()]
    engine = Engine(
        EngineOptions(network=False), [*specs, *((spec, rig.settings) for spec in plugin.stead_terraform_providers())]
    )
    yield TemplateRunner(engine, tmp_path, rig.build, journal=MemoryJournal())
    engine.close()


def actions(plan) -> dict[str, str]:
    return {change.address: change.action for change in plan.changes if change.action != "read"}


def with_defaults(text: str, **values: object) -> str:
    for name, value in values.items():
        before = next(line for line in text.splitlines() if line.startswith(f'variable "{name}"'))
        shown = f'"{value}"' if isinstance(value, str) else value
        text = text.replace(before, f'variable "{name}" {{ default = {shown} }}')
    return text


def test_a_machine_with_all_around_it_through_its_life(rig, runner: TemplateRunner) -> None:
    text = HEAD + WHOLE
    made = runner.apply(text)
    assert made.outputs["address"].startswith("203.0.113.")
    assert {kind: len(names) for kind, names in rig.owned().items()} == {
        "google_compute_instance": 1,
        "google_compute_disk": 1,
        "google_compute_address": 1,
    }
    keys = {item.key for item in rig.platform.owned_resources(rig.name)}
    assert keys == set(runner.journal.entries)
    assert actions(runner.plan(text)) == {}, "a second plan is empty"

    text = with_defaults(text, size=30, machine_type="e2-standard-4", greeting="bye")
    assert actions(runner.plan(text)) == {
        "google_compute_disk.home": "update",
        "google_compute_instance.dev": "update",
    }
    changed = runner.apply(text)
    assert changed.outputs["instance"] == made.outputs["instance"]
    assert actions(runner.plan(text)) == {}

    text = with_defaults(text, status="TERMINATED")
    runner.apply(text)
    assert runner.attributes("google_compute_instance.dev")["current_status"] == "TERMINATED"
    assert actions(runner.plan(text)) == {}
    text = with_defaults(text, status="RUNNING")
    runner.apply(text)
    assert actions(runner.plan(text)) == {}

    runner.destroy(text)
    assert rig.owned() == {}
    assert {entry["status"] for entry in runner.journal.entries.values()} == {"deleted"}


def test_drift_is_seen_and_mended(rig, runner: TemplateRunner) -> None:
    text = HEAD + WHOLE
    runner.apply(text)
    place = "projects/acme-dev/zones/us-central1-a"
    machine, home = (rig.peer.world.things[f"{place}/{name}"] for name in ("instances/dev", "disks/home"))
    machine["status"], machine["labels"]["what"] = "TERMINATED", "else"
    machine["tags"]["items"] = ["other"]
    home["labels"]["what"] = "gone"
    assert actions(runner.plan(text)) == {
        "google_compute_disk.home": "update",
        "google_compute_instance.dev": "update",
    }
    runner.apply(text)
    assert (machine["status"], machine["labels"]["what"], machine["tags"]["items"]) == ("RUNNING", "machine", ["dev"])
    assert actions(runner.plan(text)) == {}
    for item in rig.platform.owned_resources(rig.name):
        rig.platform.destroy_owned(item)
    assert set(actions(runner.plan(text)).values()) == {"create"}
    runner.destroy(text)
    assert rig.peer.names("instances") == rig.peer.names("disks") == []


def collection_of(kind: str) -> str:
    return {"google_compute_address": "addresses"}.get(kind, kind.removeprefix("google_compute_").split("_")[0] + "s")


@pytest.mark.parametrize("kind", sorted(PARTS))
def test_a_second_plan_is_empty_and_what_vanished_is_made_again(rig, runner: TemplateRunner, kind: str) -> None:
    rig.peer.world.add("projects/acme-dev/global/instanceTemplates/base", BASE)
    text, collection = HEAD + PARTS[kind], collection_of(kind)
    runner.apply(text)
    assert actions(runner.plan(text)) == {}
    for item in rig.platform.owned_resources(rig.name):
        rig.platform.destroy_owned(item)
    assert actions(runner.plan(text)) == {f"{kind}.it": "create"}
    runner.apply(text)
    assert rig.peer.names(collection) == ["it"]
    runner.destroy(text)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('resource "google_compute_disk" "x" {\n name = "Not a name"\n}', ["lower-case letters", "name"]),
        (
            'resource "google_compute_firewall" "x" {\n name = "x"\n network = "n"\n allow { protocol = "tcp" }\n}',
            ["source_ranges", "from where"],
        ),
        ('resource "google_compute_disk" "x" {\n name = "x"\n image = "nobody/none"\n}', ["There is no image"]),
        (
            PARTS["google_compute_instance"].replace("e2-medium", "z9-huge"),
            ["z9-huge", "does not exist"],
        ),
        ('data "google_compute_image" "x" {\n name = "a"\n family = "b"\n}', ["Exactly one of"]),
    ],
)
def test_what_is_wrong_is_said_at_its_place(rig, runner: TemplateRunner, body: str, words: list[str]) -> None:
    with pytest.raises(SteadError) as caught:
        runner.apply(HEAD + body)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert rig.owned() == {}


LIVE = """
data "google_client_config" "me" {}
data "google_compute_default_service_account" "default" {}
data "google_compute_zones" "here" { status = "UP" }
data "google_compute_regions" "all" {}
data "google_compute_machine_types" "here" { zone = "us-central1-b" }
data "google_compute_image" "family" {
  family  = "debian-12"
  project = "debian-cloud"
}
data "google_compute_image" "filtered" {
  filter      = "family = debian-12"
  project     = "debian-cloud"
  most_recent = true
}
output "project" { value = data.google_client_config.me.project }
output "email" { value = data.google_compute_default_service_account.default.email }
output "zones" { value = data.google_compute_zones.here.names }
output "regions" { value = data.google_compute_regions.all.names }
output "cpus" {
  value = { for one in data.google_compute_machine_types.here.machine_types : one.name => one.guest_cpus }
}
output "images" { value = [data.google_compute_image.family.name, data.google_compute_image.filtered.name] }
"""


def test_data_sources_tell_what_there_is(rig, runner: TemplateRunner) -> None:
    rig.peer.page = 2
    outputs = runner.apply(HEAD + LIVE).outputs
    assert outputs["project"] == "acme-dev"
    assert outputs["email"].endswith("@developer.gserviceaccount.com")
    assert outputs["zones"] == ["us-central1-a", "us-central1-b"]
    assert outputs["regions"] == ["us-central1"]
    assert outputs["cpus"]["e2-standard-8"] == 8
    assert outputs["images"] == ["debian-12-bookworm-v20260101"] * 2


def test_no_secret_stands_in_a_log(rig, runner: TemplateRunner) -> None:
    rig.peer.faults.append(Fault(".*insert", "status", times=50, status=401, reason="authError"))
    with pytest.raises(BuildFailure) as caught:
        runner.apply(HEAD + PARTS["google_compute_disk"])
    assert "ya29" not in runner.log + str(caught.value) + repr(rig.provider) + repr(rig.settings)


@pytest.mark.parametrize("starter", plugin.STARTERS, ids=lambda item: item.name)
def test_starters_start_stop_change_and_go(rig, runner: TemplateRunner, starter) -> None:
    text = {"main.tf": (starter.path / "main.tf").read_text()}
    runner.context = replace(runner.context, init_scripts=lambda os, arch: "echo agent", deployment=rig.name)
    runner.apply(text)
    assert actions(runner.plan(text)) == {}, "a second plan is empty"
    assert "deprecated" not in runner.log
    instance = rig.peer.world.all("instances")["projects/acme-dev/zones/us-central1-a/instances/stead-w-1"]
    assert instance["status"] == "RUNNING"
    kept = set(rig.peer.names("disks"))

    runner.apply(text, transition="stop")
    assert set(rig.peer.names("disks")) == kept
    running = [item for item in rig.peer.world.all("instances").values() if item["status"] == "RUNNING"]
    assert running == []
    assert actions(runner.plan(text, transition="stop")) == {}

    runner.apply(text)
    larger = {"machine_type": "e2-standard-4"}
    runner.apply(text, parameters=larger)
    (instance,) = rig.peer.world.all("instances").values()
    assert instance["machineType"].endswith("/e2-standard-4")
    assert set(rig.peer.names("disks")) == kept
    assert actions(runner.plan(text, parameters=larger)) == {}

    runner.destroy(text, parameters=larger)
    assert rig.owned() == {}
    assert rig.peer.names("instances") == rig.peer.names("disks") == rig.peer.names("firewalls") == []
