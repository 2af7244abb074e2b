"""What both suites stand on: the plugin, its settings, and a rig for each test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from stead.api import Platform, ProviderSpec
from stead.api.provider import BuildContext, Provider
from stead.testing.conformance.rig import Rig, Sample, cleaned, configured, platform_of, provider_of


class Conformance:
    """Inherit one of the suites, not this.

    :cvar plugin: the module with the plugin's hooks.
    :cvar address: of the provider to test, where the plugin brings several.
    :cvar samples: one for each resource type.
    :cvar unsampled: resource types without a sample, each with the reason.
    :cvar configuration: arguments of the ``provider`` block, by their names in Terraform.
    """

    plugin: ClassVar[ModuleType]
    address: ClassVar[str] = ""
    samples: ClassVar[Mapping[str, Sample]] = {}
    unsampled: ClassVar[Mapping[str, str]] = {}
    configuration: ClassVar[Mapping[str, Any]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each sample, wherever a test asks for ``type_name``."""
        if "type_name" in metafunc.fixturenames:
            metafunc.parametrize("type_name", list(self.samples))

    # What an author overrides

    @pytest.fixture
    def settings(self, provider_spec: ProviderSpec) -> BaseModel:
        """The plugin's settings that lead to the platform, or to what stands in for it."""
        return provider_spec.settings()

    @pytest.fixture
    def provider(self, provider_spec: ProviderSpec, settings: BaseModel) -> Provider:
        """The configured provider. Override it where making one costs time that all tests can share."""
        return configured(provider_spec, settings, self.configuration, BuildContext())

    @pytest.fixture
    def platform(self, settings: BaseModel) -> Platform | None:
        """The platform, where the plugin brings one. Override it as :meth:`provider`."""
        spec = platform_of(self.plugin)
        return spec.factory(settings) if spec is not None else None

    # What the suite makes of it

    @pytest.fixture
    def provider_spec(self) -> ProviderSpec:
        return provider_of(self.plugin, self.address)

    @pytest.fixture
    def rig(
        self,
        provider_spec: ProviderSpec,
        settings: BaseModel,
        provider: Provider,
        platform: Platform | None,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> Iterator[Rig]:
        """A deployment of its own; at the end nothing of it is left, and no secret stood in a log."""
        folder = tmp_path / "rig"
        folder.mkdir()
        caplog.set_level("DEBUG", logger="stead")
        with cleaned(Rig(provider_spec, settings, provider, platform, folder)) as rig:
            yield rig
        written = rig.lines + caplog.text
        assert not [secret for secret in rig.secrets() if secret in written], "a secret of the settings is in a log"
