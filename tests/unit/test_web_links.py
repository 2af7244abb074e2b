"""Which addresses may be links, and the links of launchers that plugins bring."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from stead.api import Destination, LauncherSpec, hookimpl
from stead.plugins import PluginRegistry, StatusKind
from stead.testing.conformance import LauncherConformance
from stead.web.pages.connect import opens_elsewhere, ways_of

DEV = Destination("dev.stead", "ada", "/home/coder", "dev", "main")


@pytest.mark.parametrize("url", ["https://wiki.example.org", "http://x", "vscode://file/x", "jetbrains://gateway/ssh"])
def test_what_another_program_or_site_opens(url: str) -> None:
    assert opens_elsewhere(url)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "no-scheme",
    ],
)
def test_what_would_run_in_our_page(url: str) -> None:
    assert not opens_elsewhere(url)


def launcher(link: Any, name: str = "lapce") -> LauncherSpec:
    return LauncherSpec(name, "Lapce", link)


def plugin_of(*launchers: LauncherSpec) -> Any:
    made: Any = ModuleType("lapce")
    made.stead_ide_launchers = lambda: list(launchers)
    return made


LAPCE = launcher(lambda to: f"lapce://ssh/{to.quoted_host}{to.quoted_folder}")


class TestLapce(LauncherConformance):
    plugin = plugin_of(LAPCE)


def test_launchers_that_work_are_links_and_others_are_left_out() -> None:
    def fails(to: Destination) -> str:
        raise RuntimeError("no")

    bad = [fails, lambda to: None, lambda to: "javascript:alert(1)", lambda to: 7]
    ways = ways_of([*map(launcher, bad), LAPCE], DEV)
    assert [(way.title, way.href) for way in ways] == [("Lapce", "lapce://ssh/dev.stead/home/coder")]


def test_a_launcher_that_does_not_encode_is_caught() -> None:
    careless = [launcher(lambda to: f"lapce://{to.host}{to.folder}")]
    odd = Destination("dev.stead", "ada", "/a b", "dev", "main")
    with pytest.raises(AssertionError, match="is not encoded"):
        TestLapce().test_every_folder_makes_one_whole_link(careless, odd)


def test_plugins_bring_launchers_each_under_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    marked = [_hooked(LAPCE), _hooked(launcher(lambda to: None, "other")), _hooked(LAPCE)]
    registry = PluginRegistry(builtins=dict(zip("abc", marked, strict=True)))
    monkeypatch.setattr("stead.plugins.discovery.installed", lambda: iter(()))
    registry.load()
    assert [spec.name for spec in registry.launchers()] == ["lapce", "other"]
    states = {status.name: status for status in registry.status()}
    assert [states[name].status for name in "abc"] == [StatusKind.LOADED, StatusKind.LOADED, StatusKind.FAILED]
    assert "'lapce' is brought by another plugin already" in states["c"].error


def _hooked(spec: LauncherSpec) -> Any:
    made: Any = ModuleType("hooked")

    @hookimpl
    def stead_ide_launchers() -> list[LauncherSpec]:
        return [spec]

    made.stead_ide_launchers = stead_ide_launchers
    return made
