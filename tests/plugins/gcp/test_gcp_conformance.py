"""Google Cloud passes what every provider and platform must do, against the strict fake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from google.api_core import exceptions as sdk
from google.auth import exceptions as auth
from stead_gcp_peer.server import TOKEN, Fault, Peer
from stead_gcp_peer.world import PROJECT

from stead.testing.conformance import PlatformConformance, ProviderConformance, Rig, Sample, exceptions_of
from stead_gcp import plugin
from stead_gcp.address import Address
from stead_gcp.disk import Disk
from stead_gcp.failures import translate
from stead_gcp.firewall import Firewall, Rule
from stead_gcp.instance import Instance, InstanceFromTemplate
from stead_gcp.instance_blocks import AccessConfig, BootDisk, InitializeParams, NetworkInterface
from stead_gcp.settings import GcpSettings

TEMPLATE = "projects/acme-dev/global/instanceTemplates/base"
IMAGE = "projects/debian-cloud/global/images/family/debian-12"
BASE = {
    "name": "base",
    "properties": {
        "machineType": "e2-standard-2",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": IMAGE}}],
        "networkInterfaces": [{"network": "projects/acme-dev/global/networks/default"}],
    },
}
RED: dict[str, Any] = {"labels": {"team": "red"}}
BLUE = {"labels": {"team": "blue"}}


def _instance(rig: Rig) -> Instance:
    return Instance(
        name=rig.unique(),
        machine_type="e2-medium",
        boot_disk=[BootDisk(initialize_params=[InitializeParams(image="debian-cloud/debian-12")])],
        network_interface=[NetworkInterface(network="default", access_config=[AccessConfig()])],
        allow_stopping_for_update=True,
        **RED,
    )


def _firewall(rig: Rig) -> Firewall:
    return Firewall(name=rig.unique(), network="default", source_tags={"x"}, allow=[Rule(protocol="tcp", ports=["22"])])


class TestGoogle(PlatformConformance, ProviderConformance):
    plugin = plugin
    sdk_modules = ("google", "requests")
    samples = {
        "google_compute_address": Sample(lambda rig: Address(name=rig.unique(), **RED), change=BLUE),
        "google_compute_disk": Sample(
            lambda rig: Disk(name=rig.unique(), image="debian-cloud/debian-12", size=20, **RED),
            change={"size": 30, **BLUE},
        ),
        "google_compute_firewall": Sample(_firewall, change={"priority": 900, "source_tags": {"y"}}),
        "google_compute_instance": Sample(
            _instance,
            change={"machine_type": "e2-standard-4", **BLUE},
            not_imported=frozenset({"allow_stopping_for_update"}),
        ),
        "google_compute_instance_from_template": Sample(
            lambda rig: InstanceFromTemplate(name=rig.unique(), source_instance_template=TEMPLATE, **RED),
            change=BLUE,
            not_imported=frozenset({"source_instance_template"}),
        ),
    }

    @pytest.fixture
    def settings(self, peer: Peer) -> GcpSettings:
        self.peer = peer
        peer.world.add(TEMPLATE, BASE)
        return GcpSettings(
            project=PROJECT,
            zone="us-central1-a",
            access_token=TOKEN,
            compute_endpoint=peer.url,
            iam_endpoint=peer.url,
            resource_manager_endpoint=peer.url,
            attempts=3,
            pause=0.01,
            poll=0.02,
        )

    @pytest.fixture
    def refused_settings(self, settings: GcpSettings) -> GcpSettings:
        self.peer.faults.append(Fault(".*", "status", times=99, status=401, reason="authError"))
        return settings

    @contextmanager
    def midway(self, rig: Rig, type_name: str) -> Iterator[None]:
        """The request was sent, nobody hears of its end, and nothing can be taken back."""
        del rig, type_name
        self.peer.faults[:] = [
            Fault(".*Operations.get", "status", times=1000, status=400, reason="invalid"),
            Fault(".*delete", "cut", times=1000),
        ]
        yield
        self.peer.faults.clear()

    def sdk_errors(self) -> Iterator[Exception]:
        makers = {"RetryError": lambda: sdk.RetryError("it went wrong", RuntimeError("why"))}
        return exceptions_of(sdk, auth, requests.exceptions, makers=makers)

    def translate(self, error: Exception) -> Exception:
        return translate(error, "It could not be done")
