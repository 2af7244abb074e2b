"""What every provider and platform must do. Lead `settings` to your platform, or to what stands in for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.testing.conformance import PlatformConformance, ProviderConformance, Sample
from stead_acme import plugin
from stead_acme.cloud import translate
from stead_acme.machine import Machine
from stead_acme.settings import AcmeSettings


class TestAcme(PlatformConformance, ProviderConformance):
    plugin = plugin
    sdk_modules = ("acme_sdk",)
    samples = {
        "acme_machine": Sample(
            lambda rig: Machine(name=rig.unique(), user_data="#!/bin/sh"),
            change={"memory": 8},
        )
    }

    @pytest.fixture
    def settings(self, tmp_path: Path) -> AcmeSettings:
        return AcmeSettings(folder=tmp_path, token="a-secret-token")

    @pytest.fixture
    def refused_settings(self, tmp_path: Path) -> AcmeSettings:
        return AcmeSettings(folder=tmp_path / "none")

    def sdk_errors(self) -> Iterator[Exception]:
        yield from (OSError(5, "it went wrong"), PermissionError(13, "it is forbidden"))

    def translate(self, error: Exception) -> Exception:
        return translate(error, "It could not be done")
