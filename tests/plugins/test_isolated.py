"""Each plugin alone: importing it is cheap, and nothing of another plugin is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from stead.testing.conformance.weight import weigh

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/setup.cfg"))
EVERYTHING = os.environ.get("STEAD_TEST_ALL") == "1"
LIMIT = 0.3  # seconds
# Imports the plugin where the others cannot be imported, and calls its hooks.
ALONE = """
import importlib, json, sys

class Others:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top.startswith("stead_") and top not in ("stead_agent", sys.argv[1]):
            raise ImportError(f"{name} belongs to another plugin")

sys.meta_path.insert(0, Others())
import stead.api, stead.api.provider
before = set(sys.modules)
plugin = importlib.import_module(sys.argv[1] + ".plugin")
hooks = ("stead_terraform_providers", "stead_platforms", "stead_identity_providers")
specs = [spec for hook in hooks if hasattr(plugin, hook) for spec in getattr(plugin, hook)()]
assert specs, "it brings nothing"
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def _setup(name: str) -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / "plugins" / name / "setup.cfg")
    return parser


def _package(name: str) -> str:
    (found,) = (path.parent.name for path in (ROOT / "plugins" / name / "src").glob("stead_*/plugin.py"))
    return found


def _sdk(name: str) -> set[str]:
    """Top-level modules of what a plugin requires beside Stead."""
    lines = _setup(name)["options"]["install_requires"].split("\n")
    wanted = {line.split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip().lower() for line in lines} - {""}
    found = packages_distributions()
    modules = {module for module, owners in found.items() if wanted & {owner.lower() for owner in owners}}
    return {module for module in modules if module != "stead"}


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_needs_no_other_and_imports_no_sdk(name: str) -> None:
    package = _package(name)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, package], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    imported = {module.partition(".")[0] for module in json.loads(done.stdout)}
    assert not imported & _sdk(name), f"importing {package}.plugin imports its SDK"
    assert not {module for module in imported if module.startswith("stead_")} - {package}


@pytest.mark.parametrize("name", PLUGINS)
def test_importing_a_plugin_takes_no_time(name: str, record_property: pytest.FixtureRequest) -> None:
    """What counts is what it imports; how long that takes depends on the machine, and is told."""
    weight = weigh(f"{_package(name)}.plugin", runs=3)
    record_property("import_ms", round(weight.seconds * 1000, 1))  # type: ignore[operator]
    print(f"{name}: {weight.seconds * 1000:.1f} ms, {len(weight.modules)} modules")
    assert len(weight.modules) < 150, f"it imports {len(weight.modules)} modules: what costs time is behind factories"


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_requires_no_other(name: str) -> None:
    required = _setup(name)["options"]["install_requires"]
    others = [line for line in required.split() if line.startswith("stead-")]
    assert others == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not EVERYTHING, reason="takes minutes: ./test --all runs it")
@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_installed_alone_passes_its_suite(name: str, tmp_path: Path) -> None:
    """In an environment that has Stead, this plugin and the libraries, and no other plugin."""
    tests = ROOT / "tests" / "plugins" / name
    suites = [path for kind in ("conformance", "plugin") if (path := tests / f"test_{name}_{kind}.py").is_file()]
    if not suites:
        suites = sorted(tests.glob("test_*.py"))
    python = _environment(tmp_path / "environment", name)
    seen = "import importlib.util as i, sys; print([name for name in sys.argv[1:] if i.find_spec(name)])"
    asked = [python, "-c", seen, *map(_package, PLUGINS)]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout
    assert told.strip() == str([_package(name)]), "another plugin can be imported"
    listed = [python, "-m", "pytest", "-q", "--collect-only", str(tests)]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, f"some test needs another plugin: {found.stdout[-4000:]}"
    command = [python, "-m", "pytest", "-q", *map(str, suites)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1700, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    weight = weigh(f"{_package(name)}.plugin", runs=5, python=python)
    assert weight.seconds < LIMIT, f"importing it takes {weight.seconds:.3f} s"


def _environment(folder: Path, name: str) -> str:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    python = str(folder / "bin" / "python")
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    place = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    # Paths alone: the .pth files behind them, by which the other plugins are found, are not read.
    paths = [sysconfig.get_path("purelib"), *(str(ROOT / part / "src") for part in ("core", "agent"))]
    (Path(place) / "shared.pth").write_text("\n".join([*paths, str(ROOT / "plugins" / name / "src")]) + "\n")
    return python
