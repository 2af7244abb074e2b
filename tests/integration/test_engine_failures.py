"""Runs that do not reach their end: what is said, what is left, and how soon it is over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.api.errors import (
    BuildCanceled,
    BuildFailure,
    BuildTimedOut,
    InvalidInput,
    LeaseLost,
    ProviderUnavailable,
    QuotaExceeded,
    SteadError,
    TemplateInvalid,
)
from stead.terraform.engine import EngineOptions
from stead.terraform.errors import ApplyFailed, PlanFailed
from stead.testing.terraform import Faults, MemoryJournal, Workbench, out_of_quota, workbench
from stead.testing.waiting import eventually

THING = 'resource "lab_thing" "a" {\n name = "n"\n}'


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with workbench(tmp_path, EngineOptions(network=False, grace=1.0)) as made:
        yield made


def failure(bench: Workbench, template: str | Path, **options: object) -> SteadError:
    with pytest.raises(SteadError) as caught:
        bench.apply(template, **options)
    return caught.value


# What is wrong with a template


def test_a_syntax_error_names_file_and_line(bench: Workbench) -> None:
    source = bench.source('output "a" {\n  value = 1\n}\n', 'resource "lab_thing" "x" {\n  name =\n}\n')
    error = failure(bench, source)
    assert isinstance(error, TemplateInvalid)
    assert error.field == "more1.tf:2"
    assert "Invalid expression (more1.tf:2)" in error.message
    assert error.remedy == "Correct the template and import it again."
    assert any(line.level == "error" and "more1.tf:2" in line.text for line in bench.log.lines)


def test_an_unknown_resource_type_says_what_to_do(bench: Workbench) -> None:
    error = failure(bench, 'resource "lab_nothing" "a" {\n}')
    assert isinstance(error, TemplateInvalid)
    assert "lab_nothing" in error.message
    assert error.field == "main.tf:8"
    assert "choose the original provider" in str(error)


def test_an_unknown_argument_and_reference_name_their_lines(bench: Workbench) -> None:
    error = failure(bench, 'resource "lab_thing" "a" {\n name = "n"\n nothing = 1\n}')
    assert isinstance(error, TemplateInvalid)
    assert error.field == "main.tf:10"
    error = failure(bench, 'output "o" {\n value = lab_thing.nowhere.id\n}')
    assert isinstance(error, TemplateInvalid)
    assert error.field == "main.tf:9"


def test_a_missing_variable_is_bad_input(bench: Workbench) -> None:
    error = failure(bench, 'variable "region" {\n}')
    assert isinstance(error, InvalidInput)
    assert error.field == "region"
    assert "region has no value" in error.message
    assert "--variable region=VALUE" in str(error)


def test_a_variable_that_breaks_its_rule_is_bad_input(bench: Workbench) -> None:
    rule = 'validation {\n condition = length(var.a) > 3\n error_message = "Too short."\n }'
    template = f'variable "a" {{\n type = string\n {rule}\n}}'
    error = failure(bench, template, variables={"a": "x"})
    assert isinstance(error, InvalidInput)
    assert error.field == "a"
    assert "Too short." in error.message


@pytest.mark.parametrize(("kind", "value"), [("number", "abc"), ("list(string)", "[oops")])
def test_a_variable_of_the_wrong_type_is_bad_input(bench: Workbench, kind: str, value: str) -> None:
    error = failure(bench, f'variable "a" {{\n type = {kind}\n}}', variables={"a": value})
    assert isinstance(error, InvalidInput)
    assert error.field == "a"


def test_validators_point_at_the_argument(bench: Workbench) -> None:
    error = failure(bench, 'resource "lab_thing" "a" {\n name = "n"\n size = 11\n}')
    assert isinstance(error, TemplateInvalid)
    assert "size must be between 1 and 10; it is 11" in error.message
    assert error.field == "main.tf:10"


def test_fields_that_conflict_are_named(bench: Workbench) -> None:
    error = failure(bench, 'resource "lab_thing" "a" {\n name = "n"\n kind = "big"\n secret = "x"\n}')
    assert "secret and kind cannot be set together" in str(error)


def test_a_deprecated_argument_warns_and_works(bench: Workbench) -> None:
    bench.apply('resource "lab_thing" "a" {\n name = "n"\n old = "x"\n}')
    assert any(line.level == "warn" and "use kind" in line.text for line in bench.log.lines)


def test_an_empty_template_is_accepted_by_terraform_and_changes_nothing(bench: Workbench) -> None:
    assert not bench.plan("").has_changes


# Providers


def test_a_provider_that_nobody_has_is_unavailable_with_remedies(bench: Workbench) -> None:
    template = 'terraform {\n required_providers {\n vendor = {\n source = "acme/vendor"\n}\n}\n}\n'
    error = failure(bench, bench.source(template + 'resource "vendor_x" "a" {\n}'))
    assert isinstance(error, ProviderUnavailable)
    assert "acme/vendor" in error.message
    for remedy in ("plugin", "mirror", "registry"):
        assert remedy in str(error.remedy)


def test_a_refusal_of_a_provider_is_told_with_its_reason(bench: Workbench) -> None:
    error = failure(bench, 'provider "lab" {\n where = "nowhere"\n}\n' + THING)
    assert isinstance(error, PlanFailed)
    assert "There is no such place" in error.message
    assert "Go somewhere else." in str(error)
    assert error.field == "main.tf:9"


def test_a_failed_create_leaves_no_state_and_says_why(bench: Workbench) -> None:
    bench.platform.faults.on_create = out_of_quota()
    error = failure(bench, THING)
    assert isinstance(error, ApplyFailed)
    assert error.reason == "quota_exceeded"
    assert isinstance(error.__cause__, QuotaExceeded)
    assert "lab_thing.a" in error.message
    assert "The quota of 3 things is used up" in error.message
    assert "Delete a thing first." in str(error)
    assert error.state is not None
    assert b"lab_thing" not in error.state
    assert [entry["status"] for entry in bench.journal.entries.values()] == ["failed"]


def test_what_exists_after_a_failed_create_is_tainted_and_removed_next_time(bench: Workbench) -> None:
    bench.platform.faults.after_create = out_of_quota()
    error = failure(bench, THING)
    assert isinstance(error, ApplyFailed)
    assert error.state is not None
    assert json.loads(error.state)["resources"][0]["instances"][0]["status"] == "tainted"
    assert [entry["status"] for entry in bench.journal.entries.values()] == ["created"]
    bench.platform.faults = Faults()
    bench.apply(THING, state=error.state)
    assert list(bench.platform.things) == ["thing-2"]


def test_one_failure_of_several_keeps_the_state_of_the_others(bench: Workbench) -> None:
    first = bench.apply(THING)
    bench.platform.faults.on_create = out_of_quota()
    error = failure(bench, THING + '\nresource "lab_thing" "b" {\n name = "b"\n}', state=first.state)
    assert isinstance(error, ApplyFailed)
    assert b"thing-1" in (error.state or b"")


def test_a_bug_of_a_provider_shows_its_class_and_no_more(bench: Workbench) -> None:
    bench.platform.faults.on_create = KeyError("password=hunter2")
    error = failure(bench, THING)
    assert "example/lab has a bug: KeyError" in error.message
    assert "hunter2" not in str(error)
    assert "hunter2" not in bench.log.text


class LostJournal(MemoryJournal):
    """The lease is lost while something is being made."""

    def created(self, key: str, identity: str, state_json: str) -> None:
        raise LeaseLost("Another provisioner owns the build now.")


def test_who_lost_the_lease_keeps_the_intention_in_the_journal(bench: Workbench) -> None:
    bench.journal = LostJournal()
    error = failure(bench, THING)
    assert isinstance(error, ApplyFailed)
    assert error.reason == "lease_lost"
    assert [entry["status"] for entry in bench.journal.entries.values()] == ["intended"]
    assert b"thing-1" not in (error.state or b"")


def test_a_failed_delete_keeps_the_resource(bench: Workbench) -> None:
    first = bench.apply(THING)
    bench.platform.faults.on_delete = out_of_quota()
    error = failure(bench, THING, state=first.state, destroy=True)
    assert isinstance(error, ApplyFailed)
    assert b"thing-1" in (error.state or b"")
    assert ("deleted", next(iter(bench.journal.entries))) not in bench.journal.calls


def test_a_provider_that_is_configured_after_apply_can_plan_and_create_but_not_read(bench: Workbench) -> None:
    template = """
    provider "lab" {
      alias = "late"
      where = terraform_data.place.output
    }
    resource "terraform_data" "place" {
      input = "there"
    }
    resource "lab_thing" "a" {
      provider = lab.late
      name     = "n"
    }
    """
    bench.apply(template)
    assert bench.platform.things["thing-1"]["where"] == "there"
    error = failure(bench, template + 'data "lab_reading" "r" {\n provider = lab.late\n}\n')
    assert "where is known only after apply" in error.message


def test_runs_leave_no_thread(bench: Workbench) -> None:
    bench.apply(THING)
    before = threading.active_count()
    for _ in range(3):
        bench.plan(THING)
    eventually(lambda: threading.active_count() <= before, timeout=10, what="threads of runs end")


# Cancel, time-out, death


def test_cancel_ends_a_waiting_provider_politely(bench: Workbench) -> None:
    bench.platform.faults.hang = True
    threading.Thread(target=lambda: bench.platform.entered.wait(30) and bench.canceled.set(), daemon=True).start()
    began = time.monotonic()
    error = failure(bench, THING)
    assert isinstance(error, BuildCanceled)
    assert time.monotonic() - began < 20
    assert [entry["status"] for entry in bench.journal.entries.values()] == ["failed"]


def test_cancel_ends_a_stubborn_provider_by_force(bench: Workbench) -> None:
    bench.platform.faults.stubborn = True
    threading.Thread(target=lambda: bench.platform.entered.wait(30) and bench.canceled.set(), daemon=True).start()
    with bench.run(THING) as run:
        run.init()
        run.plan()
        with pytest.raises(BuildCanceled):
            run.apply()
        assert run.state is None
    assert [entry["status"] for entry in bench.journal.entries.values()] == ["intended"]


def test_a_run_that_takes_too_long_is_ended(bench: Workbench) -> None:
    bench.platform.faults.hang = True
    bench.timeout = 3.0
    error = failure(bench, THING)
    assert isinstance(error, BuildTimedOut)
    assert "longer than it may" in error.message


def test_a_canceled_run_does_not_begin(bench: Workbench) -> None:
    bench.canceled.set()
    assert isinstance(failure(bench, THING), BuildCanceled)


def test_the_death_of_terraform_is_told(bench: Workbench) -> None:
    bench.platform.faults.stubborn = True
    with bench.run(THING) as run:
        run.init()
        run.plan()
        threading.Thread(target=lambda: bench.platform.entered.wait(30) and run._child.kill(), daemon=True).start()
        with pytest.raises(BuildFailure, match="ended unexpectedly"):
            run.apply()


def test_nothing_is_left_when_the_server_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = Path(tempfile.mkdtemp(dir="/tmp", prefix="t"))  # short: it holds sockets
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    script = tmp_path / "server.py"
    script.write_text(
        "import sys, time, pathlib\n"
        "from stead.testing.terraform import workbench\n"
        "with workbench(pathlib.Path(sys.argv[1])) as bench, bench.run('') as run:\n"
        "    print(run._child._process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    server = subprocess.Popen([sys.executable, script, tmp_path], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    child = int(server.stdout.readline())
    server.kill()
    server.wait()
    eventually(lambda: not _runs(child), timeout=10)
    assert list(temporary.iterdir()) != []
    with workbench(tmp_path, EngineOptions(warm=0)) as bench:
        assert list(temporary.iterdir()) == [bench.engine._nursery.folder]
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_run_leaves_no_process_and_no_socket(tmp_path: Path) -> None:
    with workbench(tmp_path, EngineOptions(warm=0)) as bench:
        with bench.run(THING) as run:
            run.init()
            child, folder = run._child._process.pid, run._child.folder
            assert folder.stat().st_mode & 0o077 == 0 or folder.parent.stat().st_mode & 0o077 == 0
        assert not _runs(child)
        assert not folder.exists()


def test_the_environment_of_terraform_has_no_secret_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEAD_PG_CONNECTION_URL", "postgres://user:secret@host/db")
    with (
        workbench(tmp_path, EngineOptions(environment={"AWS_PROFILE": "dev"})) as bench,
        bench.run("") as run,
    ):
        run.init()
        environment = Path(f"/proc/{run._child._process.pid}/environ").read_bytes()
    assert b"secret" not in environment
    assert b"AWS_PROFILE=dev" in environment
    assert b"CHECKPOINT_DISABLE=1" in environment
