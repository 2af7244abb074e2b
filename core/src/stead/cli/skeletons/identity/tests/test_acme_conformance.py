"""What every identity provider must do. Lead `settings` to your system, or to what stands in for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stead.testing.conformance import CredentialsConformance
from stead_acme import plugin
from stead_acme.settings import AcmeSettings


class TestAcme(CredentialsConformance):
    plugin = plugin
    good = ("ada", "correct horse battery")

    @pytest.fixture
    def settings(self, tmp_path: Path) -> AcmeSettings:
        file = tmp_path / "people.json"
        file.write_text(json.dumps({"ada": {"id": "1", "password": "correct horse battery", "groups": ["dev"]}}))
        return AcmeSettings(file=file)

    @pytest.fixture
    def unreachable_settings(self, tmp_path: Path) -> AcmeSettings:
        return AcmeSettings(file=tmp_path / "none.json")
