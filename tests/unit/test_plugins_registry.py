"""One entry point at a time: each plugin is found, loaded, shown, and isolated when it breaks."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stead.api import Event
from stead.plugins import PluginRegistry, StatusKind

GOOD = """
    from pydantic import BaseModel
    from stead.api import ProviderSpec, PlatformSpec, Platform, hookimpl

    class Settings(BaseModel, extra="forbid"):
        greeting: str = "hello"

    seen = []

    @hookimpl
    def stead_terraform_providers():
        return [ProviderSpec(address="acme/NAME", title="Acme", factory=lambda s: s, settings=Settings)]

    @hookimpl
    def stead_event(event):
        seen.append(event.name)
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution with one entry point on ``sys.path``, as pip would leave it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, source: str, *, entry: str | None = None) -> None:
        module = f"stead_test_plugin_{name}"
        text = textwrap.dedent(source).replace("NAME", name)
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[stead.plugins]\n{entry or name} = {module}\n")

    yield write
    for module in [module for module in sys.modules if module.startswith("stead_test_plugin_")]:
        del sys.modules[module]


def registry(**arguments: object) -> PluginRegistry:
    made = PluginRegistry(**arguments)  # type: ignore[arg-type]
    made.load()
    return made


def status(made: PluginRegistry, name: str):
    return next(status for status in made.status() if status.name == name)


def test_an_installed_plugin_is_loaded_with_its_settings(install: Install) -> None:
    install("good", GOOD)
    made = registry(sections={"good": {"greeting": "moin"}})
    found = status(made, "good")
    assert found.status is StatusKind.LOADED
    assert (found.distribution, found.version) == ("stead_test_plugin_good", "1.2")
    assert found.providers == ("registry.terraform.io/acme/good",)
    assert made.serving("registry.terraform.io/acme/good") == "good"
    settings = {spec.address: settings for spec, settings in made.providers()}["acme/good"]
    assert settings.greeting == "moin"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('no such SDK')", "RuntimeError: no such SDK"),
        ("import sys; sys.exit(3)", "sys.exit(3)"),
        ("this is no python", "SyntaxError"),
        (
            "from stead.api import hookimpl\n@hookimpl\ndef stead_terraform_provider(): return []",
            "Did you mean 'stead_terraform_providers'?",
        ),
        (
            "from stead.api import hookimpl\n@hookimpl\ndef stead_event(event, colour): ...",
            "colour",
        ),
        (
            "from stead.api import hookimpl\n@hookimpl\ndef stead_terraform_providers(): return ['x']",
            "must return a list of ProviderSpec",
        ),
        (
            "from stead.api import hookimpl\n@hookimpl\ndef stead_terraform_providers(): return 1 / 0",
            "ZeroDivisionError",
        ),
    ],
)
def test_a_plugin_that_breaks_fails_alone(install: Install, source: str, said: str) -> None:
    install("broken", source)
    install("good", GOOD)
    made = registry()
    assert status(made, "broken").status is StatusKind.FAILED
    assert said in status(made, "broken").error
    assert status(made, "good").status is StatusKind.LOADED


def test_settings_of_a_plugin_are_checked_and_the_field_is_named(install: Install) -> None:
    install("good", GOOD)
    made = registry(sections={"good": {"greting": "moin"}})
    assert status(made, "good").status is StatusKind.FAILED
    assert "plugins.good.greting" in status(made, "good").error


def test_a_wrong_secret_is_not_repeated_in_the_error(install: Install) -> None:
    install("good", GOOD)
    made = registry(sections={"good": {"greeting": ["s3cret-value"]}})
    assert "s3cret-value" not in status(made, "good").error


def test_a_disabled_plugin_is_not_imported(install: Install) -> None:
    install("broken", "raise RuntimeError('imported')")
    assert status(registry(disabled=["broken"]), "broken").status is StatusKind.DISABLED


def test_an_address_has_one_provider(install: Install) -> None:
    install("first", GOOD)
    install("second", GOOD.replace("acme/NAME", "acme/first"))
    made = registry()
    assert status(made, "second").status is StatusKind.FAILED
    assert "served by the plugin 'first'" in status(made, "second").error


def test_a_name_has_one_plugin(install: Install) -> None:
    install("first", GOOD)
    install("second", GOOD, entry="first")
    states = [s for s in registry().status() if s.name.startswith("first")]
    assert sorted(s.status for s in states) == [StatusKind.FAILED, StatusKind.LOADED]


def test_an_event_reaches_every_plugin_though_one_raises(install: Install) -> None:
    install("angry", "from stead.api import hookimpl\n@hookimpl\ndef stead_event(event): raise OSError('x')")
    install("good", GOOD)
    made = registry()
    made.emit(Event("workspace.created", 0.0, {}))
    made.emit(Event("workspace.deleted", 0.0, {}))
    import stead_test_plugin_good as good  # type: ignore[import-not-found]

    assert good.seen == ["workspace.created", "workspace.deleted"]
    assert status(made, "angry").failures == 2
    assert status(made, "good").failures == 0


def test_tracing_shows_each_hook_call(install: Install) -> None:
    install("good", GOOD)
    lines: list[str] = []
    made = PluginRegistry(trace=lines.append)
    made.load()
    assert any("stead_terraform_providers" in line for line in lines)
