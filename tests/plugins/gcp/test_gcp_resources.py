"""Disks, addresses and firewall rules against the strict fake."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stead_gcp_peer.server import Fault

from stead.api.errors import ProviderFailure, ResourceConflict, ResourceNotFound
from stead_gcp import labels as labelling
from stead_gcp.address import Address
from stead_gcp.base import Timeouts
from stead_gcp.disk import Disk
from stead_gcp.firewall import Firewall, LogConfig, Rule
from stead_gcp.instance import Instance
from stead_gcp.instance_blocks import (
    AccessConfig,
    AdvancedMachineFeatures,
    AttachedDisk,
    BootDisk,
    InitializeParams,
    NetworkInterface,
    Scheduling,
    ServiceAccount,
    ShieldedInstanceConfig,
)

PLACE = "projects/acme-dev/zones/us-central1-a"


def disk(**values) -> Disk:
    return Disk(**{"name": "home", "type": "pd-balanced", "size": 20, **values})


def address(**values) -> Address:
    return Address(**{"name": "door", **values})


def firewall(**values) -> Firewall:
    given = {"name": "ssh", "network": "default", "allow": [Rule(protocol="tcp", ports=["22"])]}
    return Firewall(**{**given, "source_ranges": {"10.0.0.0/8"}, **values})


def instance(**values) -> Instance:
    given = {
        "name": "dev",
        "machine_type": "e2-medium",
        "boot_disk": [BootDisk(initialize_params=[InitializeParams(image="debian-cloud/debian-12", size=20)])],
        "network_interface": [NetworkInterface(network="default", access_config=[AccessConfig()])],
    }
    return Instance(**{**given, **values})


MAKERS = {"disks": disk, "addresses": address, "firewalls": firewall, "instances": instance}
every_kind = pytest.mark.parametrize("kind", sorted(MAKERS))


@every_kind
def test_creating_twice_is_one_and_destroying_twice_is_fine(rig, kind: str) -> None:
    first = rig.create(MAKERS[kind](), key="same")
    again = rig.create(MAKERS[kind](), key="same")
    assert first.id == again.id
    assert len(rig.peer.names(kind)) == 1
    assert rig.peer.calls.count(f"compute.{kind}.insert") == 1
    first.delete(rig.context())
    first.delete(rig.context())
    assert not first.read(rig.context())
    assert rig.peer.names(kind) == []


@every_kind
def test_what_exists_for_somebody_else_is_left_alone(rig, kind: str) -> None:
    rig.create(MAKERS[kind](), key="before")
    with pytest.raises(ResourceConflict, match="exists already") as caught:
        rig.create(MAKERS[kind](), key="after")
    assert caught.value.field == "name"
    assert len(rig.peer.names(kind)) == 1


@every_kind
def test_what_is_made_carries_our_labels_and_is_listed(rig, kind: str) -> None:
    made = rig.create(MAKERS[kind](), key="k-1")
    owned = [item for item in rig.platform.owned_resources(rig.name) if item.type_name == type(made).type_name]
    assert [(item.key, item.identity, item.deployment) for item in owned] == [("k-1", made.id, rig.name)]
    assert owned[0].labels["stead-workspace-name"].startswith("tester-")
    assert rig.platform.owned_resources("another") == ()
    for item in (*owned, *owned):
        rig.platform.destroy_owned(item)
    assert rig.platform.owned_resources(rig.name) == ()


@every_kind
def test_reading_after_creating_changes_nothing_and_an_import_is_the_same(rig, kind: str) -> None:
    made = rig.create(MAKERS[kind]())
    before = made.encode()
    assert made.read(rig.context())
    assert made.encode() == before
    for identity in (made.id, made.name):
        found = type(made).import_(rig.context(), identity)
        assert found is not None
        assert (found.id, found.self_link, found.name) == (made.id, made.self_link, made.name)
    assert type(made).import_(rig.context(), "no-such-thing") is None
    with pytest.raises(ProviderFailure, match="is no identity"):
        type(made).import_(rig.context(), "a/b/c/d/e")


@every_kind
def test_the_listing_goes_over_all_its_pages(rig, kind: str) -> None:
    rig.peer.page = 1
    for name in ("one", "two", "three"):
        rig.create(MAKERS[kind](name=name))
    type_name = type(MAKERS[kind]()).type_name
    assert sorted(rig.owned()[type_name]) == ["one", "three", "two"]


def test_a_disk_grows_in_place_and_keeps_labels_of_others(rig) -> None:
    made = rig.create(disk(labels={"team": "red"}))
    thing = rig.peer.world.things[f"{PLACE}/disks/home"]
    thing["labels"]["backup"] = "daily"
    thing["labelFingerprint"] = "changed"
    grown = Disk.decode(made.encode())
    grown.size, grown.labels, grown.terraform_labels = 40, {"team": "blue"}, {"team": "blue"}
    grown.update(rig.context(), made)
    assert thing["sizeGb"] == "40"
    assert labelling.visible(thing["labels"]) == {"team": "blue", "backup": "daily"}
    assert thing["labels"]["stead-key"]


def test_a_disk_is_made_of_an_image_by_family_name_or_link(rig) -> None:
    for name, image in (
        ("a", "debian-cloud/debian-12"),
        ("b", "debian-12"),
        ("c", "debian-cloud/debian-12-bookworm-v20260101"),
    ):
        made = rig.create(disk(name=name, image=image))
        assert made.image == image
        assert made.source_image_id
    with pytest.raises(ResourceNotFound, match="no image and no family of images nobody/none") as caught:
        rig.create(disk(name="d", image="nobody/none"))
    assert caught.value.field == "image"


def test_a_disk_in_use_is_detached_before_it_goes(rig) -> None:
    home = rig.create(disk())
    machine = rig.create(instance(attached_disk=[AttachedDisk(source="home", device_name="home")]))
    home.delete(rig.context())
    assert rig.peer.names("disks") == ["dev"]
    assert machine.read(rig.context())
    assert machine.attached_disk == []


def test_a_snapshot_can_be_kept_of_a_disk(rig) -> None:
    rig.create(disk(create_snapshot_before_destroy=True)).delete(rig.context())
    (name,) = rig.peer.names("snapshots")
    assert name.startswith("home-")
    assert rig.peer.names("disks") == []


def test_a_firewall_rule_changes_and_keeps_whose_it_is(rig) -> None:
    made = rig.create(
        firewall(description="Office", target_tags={"a"}, log_config=[LogConfig(metadata="INCLUDE_ALL_METADATA")])
    )
    thing = next(iter(rig.peer.world.all("firewalls").values()))
    assert thing["description"].startswith("Office\n[stead-deployment=")
    changed = Firewall.decode(made.encode())
    changed.description, changed.target_tags, changed.log_config = "Home", None, []
    changed.allow = [Rule(protocol="udp")]
    changed.update(rig.context(), made)
    thing = next(iter(rig.peer.world.all("firewalls").values()))
    assert thing["description"].startswith("Home\n[stead-deployment=")
    assert "targetTags" not in thing
    assert not thing["logConfig"]["enable"]
    assert thing["allowed"] == [{"IPProtocol": "udp"}]
    thing["priority"] = 5
    assert changed.read(rig.context())
    assert changed.priority == 5
    assert changed.description == "Home"


def test_an_instance_shows_what_it_got(rig) -> None:
    made = rig.create(instance(metadata_startup_script="echo hi", tags={"web"}, hostname="dev.example.com"))
    assert made.instance_id.isdigit()
    assert made.current_status == "RUNNING"
    (network,) = made.network_interface
    assert network.network_ip.startswith("10.128.")
    assert network.access_config[0].nat_ip.startswith("198.51.100.")
    (parameters,) = made.boot_disk[0].initialize_params
    assert (parameters.size, parameters.type, parameters.image) == (20, "pd-standard", "debian-cloud/debian-12")
    assert rig.owned() == {"google_compute_instance": ["dev"]}, "its boot disk goes with it"
    made.delete(rig.context())
    assert rig.owned() == {}


def test_a_boot_disk_without_its_instance_is_found(rig) -> None:
    rig.create(instance())
    rig.peer.world.things.pop(f"{PLACE}/instances/dev")
    rig.peer.world.things[f"{PLACE}/disks/dev"]["users"] = []
    assert rig.owned() == {"google_compute_disk": ["dev"]}
    for item in rig.platform.owned_resources(rig.name):
        rig.platform.destroy_owned(item)
    assert rig.peer.names("disks") == []


def test_a_disk_that_is_to_outlive_the_instance_does_not_look_left_over(rig) -> None:
    made = rig.create(
        instance(boot_disk=[BootDisk(auto_delete=False, initialize_params=[InitializeParams(image="debian-12")])])
    )
    made.delete(rig.context())
    assert rig.peer.names("disks") == ["dev"]
    assert rig.owned() == {}


def test_an_instance_that_must_stop_for_a_change_says_so(rig) -> None:
    made = rig.create(instance())
    larger = Instance.decode(made.encode())
    larger.machine_type = "e2-standard-4"
    with pytest.raises(ProviderFailure, match="must be stopped") as caught:
        larger.update(rig.context(), made)
    assert caught.value.field == "allow_stopping_for_update"
    larger.allow_stopping_for_update = True
    larger.update(rig.context(), made)
    thing = rig.peer.world.things[f"{PLACE}/instances/dev"]
    assert thing["machineType"].endswith("e2-standard-4")
    assert thing["status"] == "RUNNING"


def test_disks_public_addresses_and_policies_change_while_it_runs(rig) -> None:
    rig.create(disk(name="one"))
    rig.create(disk(name="two"))
    door = rig.create(address())
    made = rig.create(instance(attached_disk=[AttachedDisk(source="one", device_name="data")]))
    changed = Instance.decode(made.encode())
    changed.attached_disk = [AttachedDisk(source="two", device_name="more", mode="READ_WRITE")]
    changed.network_interface[0].access_config[0].nat_ip = door.address
    changed.metadata, changed.tags = {"a": "b"}, {"web"}
    changed.deletion_protection = True
    changed.update(rig.context(), made)
    thing = rig.peer.world.things[f"{PLACE}/instances/dev"]
    assert [item["deviceName"] for item in thing["disks"]] == ["persistent-disk-0", "more"]
    assert thing["networkInterfaces"][0]["accessConfigs"][0]["natIP"] == door.address
    assert thing["metadata"]["items"] == [{"key": "a", "value": "b"}]
    assert thing["tags"]["items"] == ["web"]
    with pytest.raises(ProviderFailure, match="protected against deletion"):
        changed.delete(rig.context())


def changed_instance(made: Instance, **values) -> Instance:
    changed = Instance.decode(made.encode())
    for name, value in values.items():
        setattr(changed, name, value)
    return changed


def test_an_instance_is_suspended_resumed_and_stopped(rig) -> None:
    made = rig.create(instance(desired_status="RUNNING"))
    thing = rig.peer.world.things[f"{PLACE}/instances/dev"]
    for wanted in ("SUSPENDED", "RUNNING", "TERMINATED", "TERMINATED", "RUNNING", "SUSPENDED", "TERMINATED"):
        changed = changed_instance(made, desired_status=wanted)
        changed.update(rig.context(), made)
        assert thing["status"] == wanted
        made = changed
    stopped = rig.create(instance(name="asleep", desired_status="TERMINATED"))
    assert stopped.current_status == "TERMINATED"


def test_what_changes_only_while_it_is_stopped(rig) -> None:
    made = rig.create(instance(allow_stopping_for_update=True))
    changed = changed_instance(
        made,
        min_cpu_platform="Intel Skylake",
        enable_display=True,
        can_ip_forward=True,
        service_account=[ServiceAccount(email="a@b.iam.gserviceaccount.com", scopes={"storage-ro"})],
        shielded_instance_config=[
            ShieldedInstanceConfig(enable_secure_boot=True, enable_vtpm=True, enable_integrity_monitoring=False)
        ],
        scheduling=[
            Scheduling(
                automatic_restart=False,
                preemptible=False,
                on_host_maintenance="TERMINATE",
                provisioning_model="STANDARD",
            )
        ],
        advanced_machine_features=[AdvancedMachineFeatures(threads_per_core=1)],
    )
    changed.update(rig.context(), made)
    thing = rig.peer.world.things[f"{PLACE}/instances/dev"]
    assert thing["status"] == "RUNNING"
    assert (thing["minCpuPlatform"], thing["canIpForward"]) == ("Intel Skylake", True)
    assert thing["displayDevice"] == {"enableDisplay": True}
    assert thing["serviceAccounts"][0]["scopes"] == ["https://www.googleapis.com/auth/devstorage.read_only"]
    assert thing["shieldedInstanceConfig"]["enableIntegrityMonitoring"] is False
    assert thing["scheduling"]["onHostMaintenance"] == "TERMINATE"
    assert thing["advancedMachineFeatures"] == {"threadsPerCore": 1}
    before = changed.encode()
    assert changed.read(rig.context())
    after = changed.encode()
    assert {name for name in after if after[name] != before[name]} == {"network_interface"}, "its address is a new one"
    assert rig.peer.calls.count("compute.instances.stop") == 1


def test_a_hyperdisk_gets_faster_in_place(rig) -> None:
    made = rig.create(disk(type="hyperdisk-balanced", provisioned_iops=3000))
    faster = Disk.decode(made.encode())
    faster.provisioned_iops = 6000
    faster.update(rig.context(), made)
    assert rig.peer.world.things[f"{PLACE}/disks/home"]["provisionedIops"] == "6000"


def test_time_outs_of_the_resource_count(rig) -> None:
    rig.peer.faults.append(Fault("compute.disks.insert", "slow", seconds=1.0))
    with pytest.raises(ProviderFailure, match="took too long"):
        rig.create(disk(timeouts=Timeouts(create="100ms")))
    assert rig.peer.names("disks") == [], "what came late is removed"


@pytest.mark.parametrize("text", ["plain", "With Capitals", "ünïcode", "x" * 80, ""])
def test_values_of_labels_fit_and_stay_different(text: str) -> None:
    value = labelling.value(text)
    assert len(value) <= 63
    assert all(item in "abcdefghijklmnopqrstuvwxyz0123456789-_" for item in value)
    assert labelling.value(text + "!") != value


def test_a_description_keeps_labels_and_text_apart(rig) -> None:
    labels = rig.build.labels("k")
    for text in ("", "What it is for.", "two\nlines [x]"):
        described = labelling.described(text, labels)
        assert labelling.of_description(described) == (text, labelling.own(labels))
    assert labelling.of_description("nothing of ours") == ("nothing of ours", {})
    stranger = replace(rig.build, deployment="other").labels("k")
    assert labelling.of_description(labelling.described("", stranger))[1]["stead-deployment"] == "other"
