"""Bare metal passes what every provider and platform must do, on machines whose connections break."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fabric.exceptions
import paramiko.ssh_exception
import pytest

from stead.testing.conformance import PlatformConformance, ProviderConformance, Rig, Sample, exceptions_of
from stead_baremetal import plugin
from stead_baremetal.failures import translate
from stead_baremetal.host import Host
from stead_baremetal.settings import BaremetalSettings

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.timeout(300, func_only=True)]
KEY = paramiko.RSAKey.generate(1024)
MAKERS = {
    "BadHostKeyException": lambda: paramiko.BadHostKeyException("h", KEY, KEY),
    "NoValidConnectionsError": lambda: paramiko.ssh_exception.NoValidConnectionsError(
        {("10.0.0.1", 22): OSError("no")}
    ),
    "GroupException": lambda: fabric.exceptions.GroupException({}),
}


def _host(rig: Rig) -> Host:
    del rig
    return Host(labels={"class": "any"}, init_script="sleep 600", desired_status="running")


class TestBaremetal(PlatformConformance, ProviderConformance):
    plugin = plugin
    sdk_modules = ("fabric", "paramiko", "invoke", "httpx")
    samples = {
        "baremetal_host": Sample(
            _host,
            change={"desired_status": "stopped"},
            not_imported=frozenset({"labels", "init_script", "machine", "power_off"}),
        )
    }

    @pytest.fixture
    def settings(self, make_rig, tmp_path: Path) -> BaremetalSettings:
        self.machines = make_rig(2)
        for box in self.machines.boxes:
            self.machines.describe(box, labels={"class": "any"}, price=1)
        return self.machines.settings

    @pytest.fixture
    def refused_settings(self, make_rig, tmp_path: Path) -> BaremetalSettings:
        machines = make_rig(1)
        machines.describe(machines.boxes[0], user="nobody-known")
        return machines.settings

    @contextmanager
    def midway(self, rig: Rig, type_name: str) -> Iterator[None]:
        """The machines take the claim, and then cannot make the account."""
        for box in self.machines.boxes:
            box.sh("printf '#!/bin/sh\nexit 1\n' >/usr/local/sbin/useradd; chmod +x /usr/local/sbin/useradd")
        yield
        for box in self.machines.boxes:
            box.sh("rm /usr/local/sbin/useradd")

    def sdk_errors(self) -> Iterator[Exception]:
        return exceptions_of(paramiko.ssh_exception, fabric.exceptions, makers=MAKERS)

    def translate(self, error: Exception) -> Exception:
        return translate(error, "m1")
