"""What every platform must do."""

from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic import BaseModel

from stead.api import CredentialsReport, OwnedResource, PlatformSpec, Price, StarterTemplate, Trial
from stead.api.errors import ProviderFailure, SteadError
from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.conformance.base import Conformance
from stead.testing.conformance.rig import Rig, platform_of
from stead.testing.conformance.weight import weigh


class PlatformConformance(Conformance):
    """Inherit it beside :class:`ProviderConformance`, in one class.

    :cvar sdk_modules: names of packages that importing the plugin must not import.
    """

    sdk_modules: ClassVar[tuple[str, ...]] = ()

    # What an author overrides

    @pytest.fixture
    def refused_settings(self) -> BaseModel | None:
        """Settings whose credentials, or whose address, the platform refuses."""
        return None

    # The suite

    @pytest.fixture
    def platform_spec(self) -> PlatformSpec:
        spec = platform_of(self.plugin)
        assert spec is not None, f"{self.plugin.__name__} brings no platform"
        return spec

    def test_importing_the_plugin_imports_no_sdk(self) -> None:
        weight = weigh(self.plugin.__name__, runs=1)
        heavy = [
            name for name in weight.modules if name.partition(".")[0] in self.sdk_modules or name in self.sdk_modules
        ]
        assert not heavy, f"importing {self.plugin.__name__} imports {heavy[:5]}"

    def test_good_credentials_are_good(self, rig: Rig) -> None:
        assert rig.platform is not None
        report = rig.platform.check_credentials()
        assert isinstance(report, CredentialsReport)
        assert report.ok, (report.summary, report.remedies)
        assert report.summary

    def test_refused_credentials_are_reported_with_a_remedy(
        self, platform_spec: PlatformSpec, refused_settings: BaseModel | None
    ) -> None:
        if refused_settings is None:
            pytest.skip("no refused_settings: there are no credentials to refuse")
        report = platform_spec.factory(refused_settings).check_credentials()
        assert not report.ok
        assert report.summary
        assert report.remedies, "a check that fails says what to do"

    def test_another_deployment_owns_nothing_of_ours(self, rig: Rig) -> None:
        assert rig.platform is not None
        assert list(rig.platform.owned_resources(rig.unique("nobody"))) == []

    def test_what_is_not_of_this_platform_cannot_be_destroyed(self, rig: Rig) -> None:
        assert rig.platform is not None
        stranger = OwnedResource(rig.key(), "strange_thing", rig.unique(), rig.name)
        with pytest.raises(SteadError):
            rig.platform.destroy_owned(stranger)

    def test_a_trial_works_or_says_why_not(self, rig: Rig, platform_spec: PlatformSpec) -> None:
        assert rig.platform is not None
        try:
            trial = rig.platform.trial()
        except ProviderFailure:  # any other exception is a failure of the test
            return
        assert isinstance(trial, Trial)
        assert trial.template in {starter.name for starter in platform_spec.templates}

    def test_a_price_is_known_or_not(self, rig: Rig) -> None:
        assert rig.platform is not None
        assert rig.platform.price("strange_thing", {}) is None
        for type_name in self.samples:
            price = rig.platform.price(type_name, {})
            assert price is None or isinstance(price, Price)

    def test_starters_are_complete_templates(self, rig: Rig, platform_spec: PlatformSpec) -> None:
        """Each has a README and is valid with the providers of Stead and of this plugin alone."""
        names = [starter.name for starter in platform_spec.templates]
        assert len(names) == len(set(names))
        builtin = [(spec, spec.settings()) for spec in builtin_providers()]
        engine = Engine(EngineOptions(network=False), [(rig.spec, rig.settings), *builtin])
        try:
            for starter in platform_spec.templates:
                _complete(engine, starter)
        finally:
            engine.close()


def _complete(engine: Engine, starter: StarterTemplate) -> None:
    assert starter.title, starter.name
    assert starter.description, starter.name
    readme = starter.path / "README.md"
    assert readme.is_file(), f"{readme} is missing"
    assert readme.read_text().lstrip().startswith("# "), f"{readme} begins with a heading"
    inspection = engine.inspect(starter.path)
    inspection.raise_if_invalid()
    for need in inspection.providers:
        assert need.served, f"{starter.name} needs {need.address}, which is not here"
        assert not need.uncovered, f"{starter.name}: {need.uncovered}"
