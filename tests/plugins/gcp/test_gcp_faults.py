"""Throttling, time-outs, half-made and vanished things, injected at the HTTP edge for every type."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from stead_gcp_peer.server import Fault, Peer

from stead.api.errors import (
    BuildCanceled,
    CapacityExhausted,
    PermissionMissing,
    ProviderFailure,
    QuotaExceeded,
    SteadError,
)
from stead.testing.conformance import Rig as ConformanceRig
from stead.testing.conformance import configured
from stead.testing.conformance.builds import Builds
from stead_gcp import labels as labelling
from stead_gcp import plugin
from stead_gcp.address import Address
from stead_gcp.disk import Disk
from stead_gcp.firewall import Firewall, Rule
from stead_gcp.instance import Instance, InstanceFromTemplate
from stead_gcp.instance_blocks import AccessConfig, BootDisk, InitializeParams, NetworkInterface
from stead_gcp.provider import Google

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
CHANGES = "setLabels|update"
every_type = pytest.mark.parametrize("kind", sorted(MAKERS))

# Faults after which the build goes on as if nothing had been, whatever call they are at.
PASSING = {
    "throttled": Fault("", "status", times=3, status=429, reason="rateLimitExceeded"),
    "throttled as forbidden": Fault("", "status", times=2, status=403, reason="rateLimitExceeded"),
    "unavailable": Fault("", "status", times=3, status=503),
    "cut off": Fault("", "cut", times=2),
    "answer lost": Fault("", "lost", times=2),
    "no answer": Fault("", "late"),
    "error after the deed": Fault("", "broken", times=2),
    "answer torn": Fault("", "torn"),
}
# Faults after which a build may fail; the next one mends it.
MENDED = {
    "operation fails": Fault("", "fails", times=2, reason="INTERNAL_ERROR"),
    "operation fails for good": Fault("", "fails", times=50, status=400, reason="SOMETHING_NEW"),
    "half done": Fault("", "half", reason="INTERNAL_ERROR"),
    "gone after it was made": Fault("", "vanishes", times=2),
    "gone before": Fault("", "gone"),
    "conflict": Fault("", "status", times=2, status=409, reason="conflict"),
    "fingerprint of another": Fault("", "status", times=1, status=412, reason="conditionNotMet"),
    "not ready": Fault("", "fails", times=2, status=400, reason="RESOURCE_NOT_READY"),
    "throttled for ever": Fault("", "status", times=1000, status=429, reason="rateLimitExceeded"),
    "answers lost for ever": Fault("", "lost", times=1000),
}
FATAL = (
    ("fails", "QUOTA_EXCEEDED", QuotaExceeded, "Ask for a higher quota"),
    ("fails", "ZONE_RESOURCE_POOL_EXHAUSTED", CapacityExhausted, "another zone"),
    ("half", "QUOTA_EXCEEDED", QuotaExceeded, "Ask for a higher quota"),
    ("half", "PERMISSIONS_ERROR", PermissionMissing, "stead_gcp.policy"),
    ("half", "SOMETHING_NEW", ProviderFailure, "injected"),
)


@dataclass
class Scene:
    """One resource of a type, the builds of it, and the fake that fails."""

    peer: Peer
    config: Any
    collection: str
    builds: Builds

    def spoil(self, fault: Fault, verb: str) -> None:
        self.peer.faults[:] = [replace(fault, method=rf"compute\.{self.collection}\.({verb})")]

    @property
    def real(self) -> list[str]:
        """Everything of its kind; with the disks, as those of instances go along."""
        kinds = {self.collection, "disks"}
        return [f"{kind}/{name}" for kind in sorted(kinds) for name in self.peer.names(kind)]

    @property
    def whole(self) -> list[str]:
        return ["disks/it", "instances/it"] if self.collection == "instances" else [f"{self.collection}/it"]

    def build(self) -> SteadError | None:
        failure = self.builds.attempt(lambda: self.builds.apply(self.config))
        assert set(self.real) <= set(self.whole), "there is more than one of it"
        keys = {item.key for item in self.builds.rig.owned()}
        assert keys <= {labelling.value(key) for key in self.builds.known}, "nobody knows of it"
        assert not self.real or keys, "the owned listing does not tell of it"
        return failure

    def change(self) -> None:
        if isinstance(self.config, Firewall):
            self.config.priority = (self.config.priority or 1000) - 1
        else:
            self.config.labels = {"team": f"t{secrets.token_hex(3)}"}

    def converge(self) -> None:
        """With the faults gone the next build ends well, and the one after it finds nothing to do."""
        self.peer.faults.clear()
        self.builds.sweep()
        assert self.build() is None
        assert self.real == self.whole
        assert self.build() is None
        assert self.builds.done == "", "a second build changes something"

    def end(self) -> None:
        self.peer.faults.clear()
        self.builds.sweep()
        self.builds.destroy()
        self.builds.sweep()
        assert self.real == []
        assert self.builds.rig.owned() == []


@pytest.fixture
def scene(rig, tmp_path: Path) -> Callable[..., Scene]:
    rig.peer.world.add(TEMPLATE, BASE)
    (spec,) = plugin.stead_terraform_providers()

    def make(kind: str, **tuned: Any) -> Scene:
        settings = rig.configured(**tuned)
        provider = configured(spec, settings, {}, rig.build)
        there = ConformanceRig(spec, settings, provider, rig.platform, tmp_path)
        collection, config = MAKERS[kind]
        return Scene(rig.peer, config(), collection, Builds(there))

    return make


def test_every_type_of_the_provider_has_a_row() -> None:
    assert set(MAKERS) == {kind.type_name for kind in Google.resources}


@every_type
@pytest.mark.parametrize("fault", sorted(PASSING))
def test_a_fault_that_passes_is_not_noticed(scene: Callable[..., Scene], kind: str, fault: str) -> None:
    late = PASSING[fault].kind == "late"
    made = scene(kind, **({"timeout": 2.5} if late else {}))
    made.spoil(PASSING[fault], "insert")
    assert made.build() is None
    made.converge()
    if not late:  # to wait at a creation, a change and a removal is enough
        made.spoil(PASSING[fault], "get")
        assert made.build() is None
        assert made.builds.done == ""
    made.change()
    made.spoil(PASSING[fault], CHANGES)
    assert made.build() is None
    assert made.builds.done == "update"
    made.converge()
    made.spoil(PASSING[fault], "delete")
    made.builds.destroy()
    made.end()


@every_type
@pytest.mark.parametrize("fault", sorted(MENDED))
def test_after_a_fault_that_does_not_pass_the_next_build_mends_it(
    scene: Callable[..., Scene], kind: str, fault: str
) -> None:
    made = scene(kind)
    for verb in ("insert", "get", CHANGES):
        if MENDED[fault].kind == "gone" and verb == "insert":
            continue  # before its creation there is nothing
        made.change()
        made.spoil(MENDED[fault], verb)
        made.build()
        made.converge()
    made.spoil(MENDED[fault], "delete")
    made.builds.attempt(made.builds.destroy)
    made.end()


@every_type
@pytest.mark.parametrize("fault", sorted(PASSING))
def test_a_look_at_an_operation_that_fails_is_repeated(scene: Callable[..., Scene], kind: str, fault: str) -> None:
    made = scene(kind, **({"timeout": 2.5} if PASSING[fault].kind == "late" else {}))
    made.peer.faults[:] = [replace(PASSING[fault], method=r"compute\.\w+Operations\.get")]
    assert made.build() is None
    assert made.builds.done == "create"
    made.end()


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
