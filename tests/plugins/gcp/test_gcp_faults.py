"""Throttling, time-outs, half-made and vanished things, injected at the HTTP edge for every type."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from stead_gcp_peer.server import Fault

from stead.api.errors import BuildCanceled, CapacityExhausted, PermissionMissing, ProviderFailure, QuotaExceeded
from stead_gcp.address import Address
from stead_gcp.disk import Disk
from stead_gcp.firewall import Firewall, Rule
from stead_gcp.instance import Instance, InstanceFromTemplate
from stead_gcp.instance_blocks import AccessConfig, BootDisk, InitializeParams, NetworkInterface

TEMPLATE = "projects/acme-dev/global/instanceTemplates/base"
IMAGE = "projects/debian-cloud/global/images/family/debian-12"
BASE = {
    "name": "base",
    "properties": {
        "machineType": "e2-standard-2",
        "labels": {"from": "template"},
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": IMAGE}}],
        "networkInterfaces": [{"network": "projects/acme-dev/global/networks/default"}],
    },
}


def instance() -> Instance:
    disk = BootDisk(initialize_params=[InitializeParams(image="debian-cloud/debian-12")])
    network = NetworkInterface(network="default", access_config=[AccessConfig()])
    return Instance(name="it", machine_type="e2-medium", boot_disk=[disk], network_interface=[network])


MAKERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "google_compute_address": ("addresses", lambda: Address(name="it")),
    "google_compute_disk": ("disks", lambda: Disk(name="it", image="debian-cloud/debian-12", size=20)),
    "google_compute_firewall": (
        "firewalls",
        lambda: Firewall(name="it", network="default", source_tags={"x"}, allow=[Rule(protocol="tcp")]),
    ),
    "google_compute_instance": ("instances", instance),
    "google_compute_instance_from_template": (
        "instances",
        lambda: InstanceFromTemplate(name="it", source_instance_template=TEMPLATE),
    ),
}
every_type = pytest.mark.parametrize("kind", sorted(MAKERS))

WRONG = (
    Fault(".*insert", "status", times=3, status=429, reason="rateLimitExceeded"),
    Fault(".*insert", "status", times=2, status=403, reason="rateLimitExceeded"),
    Fault(".*insert", "status", times=3, status=503),
    Fault(".*insert", "cut", times=2),
    Fault(".*insert", "lost", times=2),
    Fault(".*insert", "vanishes", times=2),
    Fault(".*insert", "fails", times=2, reason="INTERNAL_ERROR"),
    Fault(".*insert", "half", times=1, reason="INTERNAL_ERROR"),
    Fault(".*Operations.get", "cut", times=3),
    Fault(".*get", "status", times=3, status=500),
    Fault(".*delete", "status", times=3, status=429, reason="rateLimitExceeded"),
    Fault(".*delete", "lost", times=2),
    Fault(".*delete", "cut", times=2),
    Fault(".*delete", "fails", times=2, reason="RESOURCE_NOT_READY"),
)
FATAL = (
    ("fails", "QUOTA_EXCEEDED", QuotaExceeded, "Ask for a higher quota"),
    ("fails", "ZONE_RESOURCE_POOL_EXHAUSTED", CapacityExhausted, "another zone"),
    ("half", "QUOTA_EXCEEDED", QuotaExceeded, "Ask for a higher quota"),
    ("half", "PERMISSIONS_ERROR", PermissionMissing, "stead_gcp.policy"),
    ("half", "SOMETHING_NEW", ProviderFailure, "injected"),
)


@every_type
@pytest.mark.parametrize("fault", WRONG, ids=lambda fault: f"{fault.method}-{fault.kind}-{fault.status}")
def test_whatever_goes_wrong_there_is_one_of_it_and_then_none(rig, kind: str, fault: Fault) -> None:
    rig.peer.world.add(TEMPLATE, BASE)
    collection, make = MAKERS[kind]
    rig.peer.faults[:] = [replace(fault)]
    made = rig.create(make())
    assert rig.peer.names(collection) == ["it"]
    assert len(rig.owned()[{"instances": "google_compute_instance"}.get(collection, kind)]) == 1
    rig.peer.faults[:] = [replace(fault)]
    made.delete(rig.context())
    assert rig.owned() == {}
    assert rig.peer.names(collection) == rig.peer.names("disks") == []


@every_type
@pytest.mark.parametrize(("way", "code", "failure", "words"), FATAL)
def test_what_cannot_be_made_leaves_nothing(rig, kind: str, way: str, code: str, failure: type, words: str) -> None:
    rig.peer.world.add(TEMPLATE, BASE)
    collection, make = MAKERS[kind]
    rig.peer.faults[:] = [Fault(".*insert", way, times=20, reason=code, status=403 if "PERM" in code else 400)]
    with pytest.raises(failure, match="it could not be created") as caught:
        rig.create(make())
    assert words in str(caught.value)
    assert rig.peer.names(collection) == rig.peer.names("disks") == []


@every_type
def test_a_throttle_that_does_not_end_is_an_error(rig, kind: str) -> None:
    rig.peer.world.add(TEMPLATE, BASE)
    collection, make = MAKERS[kind]
    rig.peer.faults[:] = [Fault(".*insert", "status", times=1000, status=429, reason="rateLimitExceeded")]
    with pytest.raises(ProviderFailure, match="Try again later"):
        rig.create(make())
    assert rig.peer.names(collection) == []


@every_type
def test_a_build_that_is_canceled_leaves_nothing(rig, kind: str) -> None:
    rig.peer.world.add(TEMPLATE, BASE)
    collection, make = MAKERS[kind]
    canceled = threading.Event()
    rig.peer.faults[:] = [Fault(".*insert", "slow", seconds=0.4)]
    timer = threading.Timer(0.2, canceled.set)
    timer.start()
    try:
        with pytest.raises(BuildCanceled):
            rig.create(make(), canceled=canceled)
    finally:
        timer.cancel()
        timer.join()
    assert rig.peer.names(collection) == rig.peer.names("disks") == []


@every_type
def test_what_died_midway_is_found_by_its_label(rig, kind: str) -> None:
    """As after a crash: the request was sent, and nobody waited for its end."""
    rig.peer.world.add(TEMPLATE, BASE)
    collection, make = MAKERS[kind]
    rig.peer.faults[:] = [
        Fault(".*Operations.get", "status", times=1000, status=400, reason="invalid"),
        Fault(".*delete", "cut", times=1000),
    ]
    with pytest.raises(ProviderFailure):
        rig.create(make(), key="lost")
    rig.peer.faults.clear()
    assert rig.peer.names(collection) == ["it"]
    assert "left over" in rig.log[-1][1]
    owned = rig.platform.owned_resources(rig.name)
    assert {item.key for item in owned} == {"lost"}
    for item in owned:
        rig.platform.destroy_owned(item)
    assert rig.peer.names(collection) == rig.peer.names("disks") == []
