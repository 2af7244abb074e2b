"""Volumes and networks on a real engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stead.api.errors import CapacityExhausted, ProviderFailure, ResourceConflict
from stead_docker.labels import Label
from stead_docker.network import IpamConfig, Network
from stead_docker.volume import Volume

pytestmark = pytest.mark.docker


def test_a_volume_carries_the_templates_labels_and_ours(rig) -> None:
    volume = rig.create(Volume(name=rig.name, labels=[Label(label="team", value="red")]), key="k1")
    found = rig.client.inspect_volume(rig.name)
    assert found["Labels"] == {
        "team": "red",
        "stead.deployment": rig.name,
        "stead.workspace": f"{rig.name}-workspace",
        "stead.workspace.name": "tester",
        "stead.owner": "alice",
        "stead.build": "build-1",
        "stead.key": "k1",
    }
    assert (volume.id, volume.driver, volume.mountpoint) == (rig.name, "local", found["Mountpoint"])


def test_a_volume_without_a_name_is_made_once_for_a_key(rig) -> None:
    first = rig.create(Volume(), key="same")
    again = rig.create(Volume(), key="same")
    assert first.name == again.name
    assert len(rig.owned()["docker_volume"]) == 1


def test_a_workspace_keeps_its_own_volume_but_takes_no_other(rig) -> None:
    rig.create(Volume(name=rig.name), key="before")
    context = rig.context("after")
    volume = Volume(name=rig.name, driver="local")
    volume.create(context)
    assert volume.name == rig.name
    # Its labels cannot be changed, and the sweep goes by them.
    assert context.key == "before"
    stranger = replace(rig.build, workspace_id="somebody-else")
    volume = Volume(name=rig.name, driver="local")
    with pytest.raises(ResourceConflict, match=f"A volume {rig.name} exists already") as caught:
        volume.create(rig.context(build=stranger))
    assert caught.value.field == "name"


def test_what_a_dead_engine_left_of_a_workspaces_volume_is_replaced(rig) -> None:
    """It had made the folder, and not yet written down whose it is."""
    name = f"{rig.build.workspace_id}-home"
    rig.client.create_volume(name)
    volume = rig.create(Volume(name=name, driver="local"), key="k1")
    assert rig.client.inspect_volume(name)["Labels"]["stead.key"] == "k1"
    volume.delete(rig.context())


@pytest.mark.parametrize("what", ["named otherwise", "with a label", "with content"])
def test_a_volume_that_may_be_somebodys_stays(rig, busybox_image: str, what: str) -> None:
    name = rig.name if what == "named otherwise" else f"{rig.build.workspace_id}-home"
    rig.client.create_volume(name, labels={"a": "b"} if what == "with a label" else None)
    if what == "with content":
        config = rig.client.create_host_config(binds=[f"{name}:/v"])
        made = rig.client.create_container(busybox_image, ["sh", "-c", "echo x > /v/x"], host_config=config)
        rig.client.start(made["Id"])
        rig.client.wait(made["Id"])
        rig.client.remove_container(made["Id"])
    try:
        with pytest.raises(ResourceConflict, match="exists already"):
            Volume(name=name, driver="local").create(rig.context())
        assert rig.client.inspect_volume(name)["Name"] == name
    finally:
        rig.client.remove_volume(name)


def test_a_volume_is_destroyed_once_and_missing_is_success(rig) -> None:
    volume = rig.create(Volume(name=rig.name))
    assert volume.read(rig.context())
    volume.delete(rig.context())
    volume.delete(rig.context())
    assert not volume.read(rig.context())


def test_a_volume_in_use_says_so(rig, busybox_image) -> None:
    volume = rig.create(Volume(name=rig.name))
    made = rig.client.create_container(
        busybox_image, volumes=["/v"], host_config=rig.client.create_host_config(binds=[f"{rig.name}:/v"])
    )
    try:
        with pytest.raises(ResourceConflict, match="volume is in use"):
            volume.delete(rig.context())
    finally:
        rig.client.remove_container(made["Id"])


def test_a_volume_is_imported_as_it_was_declared(rig) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    made = rig.create(Volume(name=rig.name, driver_opts=options, labels=[Label(label="a", value="b")]))
    assert Volume.import_(rig.context(), rig.name) == made
    assert Volume.import_(rig.context(), "no-such-volume") is None


def test_an_unknown_volume_driver_is_an_error_with_the_engines_words(rig) -> None:
    with pytest.raises(ProviderFailure, match="no-such-driver"):
        rig.create(Volume(name=rig.name, driver="no-such-driver"))


def test_a_network_is_made_once_for_a_key_and_read_back(rig) -> None:
    network = rig.create(Network(name=rig.name, internal=True), key="same")
    again = rig.create(Network(name=rig.name, internal=True), key="same")
    assert network.id == again.id
    assert (network.driver, network.scope, network.internal) == ("bridge", "local", True)
    assert network.read(rig.context())
    network.delete(rig.context())
    network.delete(rig.context())
    assert not network.read(rig.context())


def test_a_networks_name_that_is_taken_points_at_the_name(rig) -> None:
    rig.create(Network(name=rig.name))
    with pytest.raises(ResourceConflict, match="already exists") as caught:
        rig.create(Network(name=rig.name))
    assert caught.value.field == "name"


def test_a_network_with_addresses_is_imported_as_it_was_declared(rig) -> None:
    ranges = [IpamConfig(subnet="10.213.77.0/28", gateway="10.213.77.1")]
    made = rig.create(Network(name=rig.name, ipam_config=ranges, internal=False, options={}))
    assert Network.import_(rig.context(), made.id) == made


def test_addresses_that_overlap_are_told(rig) -> None:
    subnet = IpamConfig(subnet="10.213.78.0/28")
    rig.create(Network(name=rig.name, ipam_config=[subnet]))
    with pytest.raises(CapacityExhausted, match="overlaps"):
        rig.create(Network(name=f"{rig.name}-2", ipam_config=[subnet]))
