"""``stead plugins new``: what it writes installs with pip and passes its own suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from click.testing import CliRunner

from stead.cli.failures import CliError
from stead.cli.root import root
from stead.cli.scaffold import Kind, write

# What a fresh environment has of this one, in place of downloads.
SHARED = "import site; site.addsitedir({place!r})\n"


def run(*command: str, folder: Path | None = None) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV"))}
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fresh_environment(folder: Path) -> str:
    """An environment of its own, where nothing but Stead and its dependencies is; its interpreter."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = str(folder / "bin" / "python")
    place = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(place) / "shared.pth").write_text(SHARED.format(place=sysconfig.get_path("purelib")))
    return python


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", list(Kind))
def test_a_new_plugin_installs_with_pip_and_passes_its_suite(tmp_path: Path, kind: Kind) -> None:
    folder = tmp_path / "stead-rocket"
    made = CliRunner().invoke(
        root, ["plugins", "new", "rocket", "--kind", kind.value, "--folder", str(folder), "--output", "json"]
    )
    assert made.exit_code == 0, made.output
    told = json.loads(made.output)
    assert (told["folder"], told["kind"]) == (str(folder), kind)
    assert all((folder / name).is_file() for name in told["files"])
    written = " ".join([*told["files"], *(path.read_text() for path in folder.rglob("*") if path.is_file())])
    assert "acme" not in written.lower()

    python = fresh_environment(tmp_path / "environment")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        str(folder),
    )
    found = "from stead.plugins.discovery import installed; print([item.name for item in installed()])"
    assert "rocket" in run(python, "-c", found)
    suite = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", folder=folder)
    assert " passed" in suite
    assert "failed" not in suite


def test_a_plugin_is_written_where_nothing_is(tmp_path: Path) -> None:
    write("rocket", Kind.PROVIDER, tmp_path / "new")
    with pytest.raises(CliError, match="There is something in") as caught:
        write("rocket", Kind.PROVIDER, tmp_path / "new")
    assert caught.value.reason == "conflict"


@pytest.mark.parametrize("name", ["", "a", "My", "my-plugin", "9lives", "../x", "a" * 32])
def test_a_name_that_terraform_would_refuse_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CliError, match="cannot be the name of a plugin"):
        write(name, Kind.PROVIDER, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_name_that_an_installed_plugin_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="A plugin docker is installed here already"):
        write("docker", Kind.PROVIDER, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_group_has_its_singular_too() -> None:
    assert "Write the folder of a plugin" in CliRunner().invoke(root, ["plugin", "new", "--help"]).output
