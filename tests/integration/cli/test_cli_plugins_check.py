"""``stead plugins check``: asks the platforms of this machine's settings, without a server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stead.api import CredentialsReport, Platform, PlatformSpec, hookimpl
from stead.cli import credentials
from stead.cli.root import root
from stead.plugins import PluginRegistry


class Lacking(Platform):
    def check_credentials(self) -> CredentialsReport:
        return CredentialsReport(False, "The account may not do all that is needed.", ("Allow machines.make.",))


class Broken(Platform):
    def check_credentials(self) -> CredentialsReport:
        raise KeyError("hunter2")


PLATFORMS = {"fine": Platform, "lacking": Lacking, "broken": Broken}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Three platforms of one plugin, and no other; an empty settings file, nothing in the environment."""

    class Plugin:
        @hookimpl
        def stead_platforms(self) -> list[PlatformSpec]:
            return [
                PlatformSpec(name, name.title(), factory=lambda _, kind=kind: kind())
                for name, kind in PLATFORMS.items()
            ]

    for name in [name for name in os.environ if name.startswith("STEAD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("stead.plugins.discovery.installed", list)
    monkeypatch.setattr(
        credentials,
        "PluginRegistry",
        lambda sections, **options: PluginRegistry(builtins={"cloud": Plugin()}, **options),
    )
    (tmp_path / "stead.toml").write_text("")
    return tmp_path / "stead.toml"


def check(config: Path, *words: str) -> Result:
    return CliRunner().invoke(root, ["plugins", "check", *words, "--config", str(config)])


def test_what_is_missing_is_named(installed: Path) -> None:
    done = check(installed, "lacking")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "lacking: NOT good. The account may not do all that is needed.",
        "  Allow machines.make.",
    ]


def test_good_credentials_end_with_zero(installed: Path) -> None:
    done = check(installed, "fine")
    assert (done.exit_code, done.output) == (0, "fine: good. Nothing to check.\n")


def test_all_platforms_of_a_plugin_are_asked_whatever_one_of_them_does(installed: Path) -> None:
    done = check(installed, "cloud", "--output", "json")
    assert done.exit_code == 1
    assert {item["platform"]: item["ok"] for item in json.loads(done.output)} == {
        "fine": True,
        "lacking": False,
        "broken": False,
    }
    assert "hunter2" not in done.output
    assert len(json.loads(check(installed, "--output", "json").output)) == 3


def test_a_platform_that_is_not_installed_is_told(installed: Path) -> None:
    done = check(installed, "moon")
    assert done.exit_code != 0
    assert "moon" in str(done.exception)
