"""Builds through the real engine: what reaches the provider, what comes back, and what is journalled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stead.domain.statefile import journal_keys
from stead.terraform.journal import JournalEntry
from stead.testing.terraform import LAB, Workbench, workbench

FULL = """
resource "lab_thing" "a" {
  name     = "a"
  flags    = ["x", "y"]
  numbers  = [1, 2]
  labels   = { k = "v" }
  ratio    = 1.5
  anything = { deep = [1, "two", true] }
  password = "hidden"
  point    = { x = 1 }
  points   = [{ x = 2, y = 3 }]
  tags {
    key = "one"
  }
  tags {
    key   = "two"
    value = "2"
  }
  steps {
    key = lab_thing.b[0].id
  }
  one {
    key = "single"
  }
  named "first" {
    key = "mapped"
  }
}

resource "lab_thing" "b" {
  count = 1
  name  = "b"
}

output "a" {
  value     = lab_thing.a
  sensitive = true
}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with workbench(tmp_path) as made:
        yield made


def test_every_kind_of_value_survives_create_refresh_and_an_empty_plan(bench: Workbench) -> None:
    result = bench.apply(FULL)
    made = result.outputs["a"]
    assert made["id"] == "thing-2"
    assert made["given"] == "given-thing-2"
    assert made["size"] == 3
    assert made["flags"] == ["x", "y"]
    assert made["numbers"] == [1, 2]
    assert made["anything"] == {"deep": [1, "two", True]}
    assert made["ratio"] == 1.5
    assert made["point"] == {"x": 1, "y": 7, "name": "1/7"}
    assert made["points"] == [{"x": 2, "y": 3, "name": "2/3"}]
    assert made["tags"] == [{"key": "one", "value": "none"}, {"key": "two", "value": "2"}]
    assert made["steps"] == [{"key": "thing-1", "value": "none"}]
    assert made["one"] == {"key": "single", "value": "none"}
    assert made["named"] == {"first": {"key": "mapped", "value": "none"}}
    again = bench.plan(FULL, state=result.state)
    assert not again.has_changes


def test_a_write_only_value_reaches_the_platform_and_no_state(bench: Workbench) -> None:
    result = bench.apply(FULL)
    assert bench.platform.things["thing-2"]["password"] == "hidden"
    assert b"hidden" not in result.state
    assert all("hidden" not in entry["state_json"] for entry in bench.journal.entries.values())


def test_the_journal_knows_a_resource_before_and_after_it_is_made(bench: Workbench) -> None:
    result = bench.apply('resource "lab_thing" "a" {\n name = "n"\n}')
    (key,) = bench.journal.entries
    assert bench.journal.calls == [("intend", key), ("created", key)]
    entry = bench.journal.entries[key]
    assert entry["provider"] == "registry.terraform.io/example/lab"
    assert entry["address_hint"] == 'lab_thing "n"'
    assert entry["identity"] == "thing-1"
    assert json.loads(entry["state_json"])["name"] == "n"
    assert bench.platform.things["thing-1"]["labels"]["stead.key"] == key
    assert bench.platform.things["thing-1"]["labels"]["stead.workspace"] == "w1"
    bench.apply('resource "lab_thing" "a" {\n name = "n"\n}', state=result.state, destroy=True)
    assert bench.journal.calls[-1] == ("deleted", key)
    assert bench.platform.things == {}


def test_a_change_updates_in_place_and_a_forced_one_replaces(bench: Workbench) -> None:
    first = bench.apply('resource "lab_thing" "a" {\n name = "n"\n}')
    with bench.run('resource "lab_thing" "a" {\n name = "n"\n size = 5\n}', state=first.state) as run:
        run.init()
        assert [(change.action, change.address) for change in run.plan().changes] == [("update", "lab_thing.a")]
        second = run.apply()
    assert bench.platform.things["thing-1"]["updated"] is True
    plan = bench.plan('resource "lab_thing" "a" {\n name = "other"\n}', state=second.state)
    assert [change.action for change in plan.changes] == ["replace"]


def test_a_default_comes_back_when_the_template_no_longer_sets_the_value(bench: Workbench) -> None:
    first = bench.apply('resource "lab_thing" "a" {\n name = "n"\n size = 5\n tags {\n key = "k"\n value = "v"\n}\n}')
    second = bench.apply('resource "lab_thing" "a" {\n name = "n"\n tags {\n key = "k"\n}\n}', state=first.state)
    (resource,) = json.loads(second.state)["resources"]
    attributes = resource["instances"][0]["attributes"]
    assert attributes["size"] == 3
    assert attributes["tags"] == [{"key": "k", "value": "none"}]


@pytest.mark.parametrize(
    ("written", "ports"),
    [
        ('ports {\n number = 1\n}\nports {\n number = 2\n protocol = "udp"\n}', [(1, None), (2, "udp")]),
        ('ports = [{ number = 3, protocol = "tcp" }]', [(3, "tcp")]),
        ("ports = []", []),
        ("", [(80, None)]),
    ],
)
def test_objects_may_be_written_as_blocks(bench: Workbench, written: str, ports: list[object]) -> None:
    template = f'resource "lab_crate" "a" {{\n {written}\n}}'
    result = bench.apply(template + '\noutput "o" {\n value = lab_crate.a.ports\n}')
    assert [(port["number"], port["protocol"]) for port in result.outputs["o"]] == ports
    assert not bench.plan(template, state=result.state).has_changes


def test_versions_and_locks_of_the_original_do_not_matter(bench: Workbench) -> None:
    source = bench.source(LAB.replace('"example/lab"', '"example/lab"\n version = "~> 99.1"'), "")
    (source / ".terraform.lock.hcl").write_text(
        'provider "registry.terraform.io/example/lab" {\n  version     = "99.1.4"\n'
        '  constraints = "~> 99.1"\n  hashes = [\n    "h1:AAAA",\n  ]\n}\n'
    )
    (source / "more1.tf").write_text('resource "lab_thing" "a" {\n name = "n"\n}')
    assert b"thing-1" in bench.apply(source).state


def test_state_and_modules_of_an_authors_own_run_are_not_taken(bench: Workbench) -> None:
    source = bench.source(LAB)
    (source / "terraform.tfstate").write_text('{"version": 4, "serial": 9, "lineage": "x", "resources": []}')
    (source / ".terraform").mkdir()
    (source / ".terraform" / "environment").write_text("production")
    result = bench.apply(source)
    assert json.loads(result.state)["lineage"] != "x"


def test_a_cosmetic_difference_is_no_change(bench: Workbench) -> None:
    first = bench.apply('resource "lab_thing" "a" {\n name = "n"\n path = "/x"\n}')
    plan = bench.plan('resource "lab_thing" "a" {\n name = "n"\n path = "/x/"\n}', state=first.state)
    assert not plan.has_changes


def test_a_thing_that_vanished_is_planned_anew(bench: Workbench) -> None:
    first = bench.apply('resource "lab_thing" "a" {\n name = "n"\n}')
    bench.platform.things.clear()
    plan = bench.plan('resource "lab_thing" "a" {\n name = "n"\n}', state=first.state)
    assert [change.action for change in plan.changes] == ["create"]


def test_aliases_of_a_provider_keep_apart(bench: Workbench) -> None:
    result = bench.apply(
        """
        provider "lab" {
        }
        provider "lab" {
          alias = "far"
          where = "there"
        }
        data "lab_reading" "here" {
        }
        data "lab_reading" "there" {
          provider = lab.far
          question = "alias"
        }
        resource "lab_thing" "there" {
          provider = lab.far
          name     = "t"
        }
        output "answers" {
          value = [data.lab_reading.here.answer, data.lab_reading.there.answer]
        }
        """
    )
    assert result.outputs["answers"] == ["where: here for dev", "alias: there for dev"]
    assert bench.platform.things["thing-1"]["where"] == "there"


def test_a_provider_function_answers_and_refuses(bench: Workbench) -> None:
    result = bench.apply('output "o" {\n value = provider::lab::shout("ab", 2)\n}')
    assert result.outputs["o"] == "ABAB"
    with pytest.raises(Exception, match="times must not be negative"):
        bench.plan('output "o" {\n value = provider::lab::shout("ab", -1)\n}')


def test_an_import_block_adopts_what_exists(bench: Workbench) -> None:
    bench.platform.things["mine"] = {}
    result = bench.apply('import {\n to = lab_thing.a\n id = "mine"\n}\nresource "lab_thing" "a" {\n name = "mine"\n}')
    assert json.loads(result.state)["resources"][0]["instances"][0]["attributes"]["id"] == "mine"
    with pytest.raises(Exception, match="no lab_thing called other"):
        bench.plan('import {\n to = lab_thing.a\n id = "other"\n}\nresource "lab_thing" "a" {\n name = "x"\n}')


def test_state_of_an_older_schema_is_upgraded(bench: Workbench) -> None:
    state = bench.apply('resource "lab_thing" "a" {\n name = "n"\n}').state
    old = json.loads(state)
    instance = old["resources"][0]["instances"][0]
    instance["schema_version"] = 0
    instance["attributes"] = {"id": "thing-1", "title": "n", "gone": 1, "size": 3, "given": "given-thing-1"}
    plan = bench.plan('resource "lab_thing" "a" {\n name = "n"\n}', state=json.dumps(old).encode())
    assert not plan.has_changes


def test_what_the_journal_knows_and_the_state_does_not_is_discarded(bench: Workbench) -> None:
    bench.apply('resource "lab_thing" "a" {\n name = "lost"\n}')
    ((key, entry),) = bench.journal.entries.items()
    lost = JournalEntry(key, entry["provider"], entry["type_name"], entry["identity"], entry["state_json"])
    with bench.run('data "lab_reading" "r" {\n}') as run:
        run.init()
        run.plan()
        assert run.discard(lost)
    assert bench.platform.things == {}
    assert bench.journal.entries[key]["status"] == "deleted"


def test_what_is_adopted_goes_on_under_the_key_that_it_carries(bench: Workbench) -> None:
    """Its creation's leftovers under that key are known from the state then, and nobody removes them."""
    template = 'resource "lab_thing" "a" {\n name = "kept"\n}'
    bench.platform.things["kept"] = {"labels": {"stead.key": "key-of-before"}}
    result = bench.apply(template)
    assert journal_keys(result.state) == {"key-of-before"}
    ((fresh, entry),) = bench.journal.entries.items()
    assert bench.journal.calls == [("intend", fresh), ("deleted", fresh)]
    assert entry["status"] == "deleted"
    assert not bench.plan(template, state=result.state).has_changes


def test_what_is_lost_is_discarded_even_by_a_run_that_removes_everything(bench: Workbench) -> None:
    """The state has nothing, so Terraform's plan would not configure the provider."""
    template = 'resource "lab_thing" "a" {\n name = "lost"\n}'
    bench.apply(template)
    ((key, entry),) = bench.journal.entries.items()
    lost = JournalEntry(key, entry["provider"], entry["type_name"], entry["identity"])
    with bench.run(template) as run:
        run.init()
        run.plan(destroy=True)
        bench.canceled.clear()
        assert run.discard(lost)
    assert bench.platform.things == {}


def test_a_canceled_run_can_still_discard_what_it_made(bench: Workbench) -> None:
    template = 'resource "lab_thing" "a" {\n name = "lost"\n}'
    with bench.run(template) as run:
        run.init()
        run.plan()
        run.apply()
        ((key, entry),) = bench.journal.entries.items()
        bench.canceled.set()
        lost = JournalEntry(key, entry["provider"], entry["type_name"], entry["identity"], entry["state_json"])
        assert run.discard(lost)
    assert bench.platform.things == {}


def test_variables_are_given_as_people_write_them(bench: Workbench) -> None:
    template = """
    variable "word" {
      type = string
    }
    variable "many" {
      type = list(string)
    }
    variable "object" {
      type = object({ a = number, b = optional(string, "q") })
    }
    variable "count_of" {
      type = number
    }
    output "all" {
      value = [var.word, var.many, var.object, var.count_of]
    }
    """
    values = {"word": "[]", "many": '["x"]', "object": "{ a = 1 }", "count_of": "3", "unused": "1"}
    result = bench.apply(template, variables=values)
    assert result.outputs["all"] == ["[]", ["x"], {"a": 1, "b": "q"}, 3]
    assert "no variable unused" in bench.log.text


def test_the_log_tells_each_resource_with_its_time(bench: Workbench) -> None:
    bench.apply('resource "lab_thing" "a" {\n name = "n"\n}')
    done = next(line for line in bench.log.lines if "Creation complete" in line.text)
    assert done.stage == "applying"
    assert done.level == "info"
    assert done.fields["address"] == "lab_thing.a"
    assert done.fields["action"] == "create"
    assert 0 <= done.fields["seconds"] < 10
    assert any(line.text == "made n" and line.stage == "applying" for line in bench.log.lines)


def test_modules_run_and_the_graph_can_be_kept(bench: Workbench) -> None:
    source = bench.source('module "m" {\n source = "./inner"\n}\noutput "id" {\n value = module.m.id\n}')
    (source / "inner").mkdir()
    (source / "inner" / "main.tf").write_text(
        'terraform {\n required_providers {\n lab = {\n source = "example/lab"\n}\n}\n}\n'
        'resource "lab_thing" "x" {\n name = "x"\n}\noutput "id" {\n value = lab_thing.x.id\n}\n'
    )
    with bench.run(source) as run:
        run.init()
        graph = run.plan().graph
        assert "module.m.lab_thing.x" in graph
        assert run.apply().outputs["id"] == "thing-1"
    with bench.run(source) as run:
        run.init()
        assert run.plan(graph=graph).graph is graph


def test_a_backend_of_the_template_is_not_used(bench: Workbench) -> None:
    template = 'terraform {\n backend "http" {\n address = "http://127.0.0.1:1/state"\n}\n}\n'
    result = bench.apply(template + 'resource "lab_thing" "a" {\n name = "n"\n}')
    assert b"thing-1" in result.state


def test_two_runs_at_once_do_not_mix(tmp_path: Path) -> None:
    with workbench(tmp_path) as bench, bench.run('output "o" {\n value = "first"\n}') as first:
        with bench.run('output "o" {\n value = "second"\n}') as second:
            for run in (first, second):
                run.init()
                run.plan()
            assert second.apply().outputs == {"o": "second"}
        assert first.apply().outputs == {"o": "first"}
