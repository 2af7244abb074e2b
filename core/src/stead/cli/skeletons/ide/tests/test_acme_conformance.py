"""What every launcher must do."""

from __future__ import annotations

from stead.testing.conformance import LauncherConformance
from stead_acme import plugin


class TestAcme(LauncherConformance):
    plugin = plugin
