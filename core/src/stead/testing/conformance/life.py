"""All samples of a provider in one template, through the real Terraform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stead.api.provider import Resource
from stead.api.provider.resources import overrides
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.conformance.configuration import address_of, files, template, with_imports
from stead.testing.conformance.rig import Rig, Sample
from stead.testing.templates import TemplateRunner
from stead.testing.terraform import MemoryJournal

RUN_SECONDS = 300.0


def live(rig: Rig, samples: Mapping[str, Sample], configuration: Mapping[str, Any]) -> None:
    """Create, change, import and destroy one resource of each type, and look at what comes after each step."""
    engine = Engine(EngineOptions(network=False), [(rig.spec, rig.settings)])
    try:
        _live(rig, engine, samples, configuration)
    finally:
        engine.close()


def _live(rig: Rig, engine: Engine, samples: Mapping[str, Sample], configuration: Mapping[str, Any]) -> None:
    things = {name: sample.make(rig) for name, sample in samples.items()}
    journal = MemoryJournal()
    runner = TemplateRunner(engine, rig.folder, rig.build, journal, RUN_SECONDS)
    written = template(rig.spec, configuration, things.values())
    runner.apply(files(written))
    try:
        _steady(runner, written, "after the creation")
        _journalled(rig, samples, journal)
        for name, thing in things.items():
            _change(thing, samples[name])
        written = template(rig.spec, configuration, things.values())
        runner.apply(files(written))
        _steady(runner, written, "after the change")
        _kept(runner, things, samples)
        _imported(rig, engine, runner, written, things, samples)
    finally:
        runner.destroy(files(written))
    runner.destroy(files(written))
    left = {item.key for item in rig.owned()} & set(journal.entries)
    assert not left or any(sample.outlives for sample in samples.values()), "something is left after the end"
    assert not [secret for secret in rig.secrets() if secret in runner.log], "a secret is in the build log"


def _change(thing: Resource, sample: Sample) -> None:
    for name, value in sample.change.items():
        setattr(thing, name, value)


def _steady(runner: TemplateRunner, written: Mapping[str, Any], when: str) -> None:
    changes = [f"{item.action} {item.address}" for item in runner.plan(files(written)).changes]
    assert not changes, f"a plan {when} is not empty: {', '.join(changes)}"


def _journalled(rig: Rig, samples: Mapping[str, Sample], journal: MemoryJournal) -> None:
    """Each key of the journal is on the platform."""
    if rig.platform is None:
        return
    keys = {item.key for item in rig.owned()}
    for key, entry in journal.entries.items():
        if samples[entry["type_name"]].labelled:
            assert key in keys, f"the owned listing does not tell of the {entry['type_name']}"


def _kept(runner: TemplateRunner, things: Mapping[str, Resource], samples: Mapping[str, Sample]) -> None:
    """The state has what the change has set."""
    for name, thing in things.items():
        state = runner.attributes(address_of(name))
        for field in thing.schema().attributes.values():
            value = getattr(thing, field.key)
            if field.key in samples[name].change and isinstance(value, str | int | float | bool):
                assert field.write_only or state[field.name] == value, f"{address_of(name)}: {field.name}"


def _imported(
    rig: Rig,
    engine: Engine,
    runner: TemplateRunner,
    written: Mapping[str, Any],
    things: Mapping[str, Resource],
    samples: Mapping[str, Sample],
) -> None:
    """Whoever imports everything into an empty state has nothing left to plan."""
    identities = {}
    for name, thing in things.items():
        state = type(thing).decode(_raw(type(thing), runner.attributes(address_of(name))))
        if overrides(type(thing), Resource, "import_") and _told(type(thing), samples[name].not_imported):
            identities[name] = state.identity
    if not identities:
        return
    fresh = TemplateRunner(engine, rig.folder / "import", rig.build, timeout=RUN_SECONDS)
    fresh.folder.mkdir()
    plan = fresh.plan(files(with_imports(written, identities)))
    changes = [f"{item.action} {item.address}" for item in plan.changes]
    assert not changes, f"a plan after an import is not empty: {', '.join(changes)}\n{fresh.log}"


def _told(kind: type[Resource], missing: frozenset[str]) -> bool:
    """Whether an import tells all that a template gives: what is computed besides makes no difference to a plan."""
    schema = kind.schema()
    found = [schema.attributes.get(name) for name in missing]
    return all(field is not None and field.computed and not field.has_default for field in found)


def _raw(kind: type[Resource], state: Mapping[str, Any]) -> dict[str, Any]:
    """A state's attributes without those of a dynamic type, which the state writes in another form."""
    del kind
    return {name: value for name, value in json.loads(json.dumps(state)).items() if not _dynamic(value)}


def _dynamic(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"value", "type"}
