"""The example of the plugin documentation: it is short, installs with pip, and works."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stead.api import NoSettings
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.terraform import Platform as LabPlatform
from stead.testing.terraform import Workbench

EXAMPLE = Path(__file__).parents[2] / "docs" / "plugins" / "stead-shelf"

TEMPLATE = """
terraform {
  required_providers {
    shelf = {
      source = "example/shelf"
    }
  }
}
resource "shelf_note" "hello" {
  path = "%s"
  text = "%s"
}
"""


def test_it_has_at_most_25_lines() -> None:
    (module,) = EXAMPLE.glob("*.py")
    assert len(module.read_text().splitlines()) <= 25


def test_it_installs_with_pip_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, installed = tmp_path / "project", tmp_path / "installed"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(installed), str(project)]
    subprocess.run(command, check=True, timeout=100, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    (distribution,) = importlib.metadata.distributions(path=[str(installed)])
    (entry,) = distribution.entry_points.select(group="stead.plugins")
    monkeypatch.syspath_prepend(str(installed))
    plugin = entry.load()
    (spec,) = plugin.stead_terraform_providers()
    engine = Engine(EngineOptions(network=False), [(spec, NoSettings())])
    try:
        bench = Workbench(engine, tmp_path, LabPlatform())
        note = tmp_path / "note.txt"
        first = bench.apply(bench.source(TEMPLATE % (note, "one")))
        assert note.read_text() == "one"
        assert [call for call, _ in bench.journal.calls] == ["intend", "created"]
        second = bench.apply(bench.source(TEMPLATE % (note, "two")), state=first.state)
        assert note.read_text() == "two"
        bench.apply(bench.source(TEMPLATE % (note, "two")), state=second.state, destroy=True)
        assert not note.exists()
    finally:
        engine.close()
        monkeypatch.delitem(sys.modules, "stead_shelf")
