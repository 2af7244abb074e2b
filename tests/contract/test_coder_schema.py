"""The coder provider offers exactly what templates were written against: names, types and behaviours.

``coder_schema.json`` says for each argument: its type, whether it is required, optional, computed or sensitive,
whether a change replaces the resource, and its default. Nested blocks are objects whose empty key describes the
block itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.api.provider import DataSource, Resource
from stead.api.provider.fields import Attribute, Block
from stead.api.provider.model import Model
from stead.api.provider.resources import overrides
from stead.api.provider.types import List, Object
from stead.terraform.coder.provider import Coder

CONTRACT = json.loads(Path(__file__).with_name("coder_schema.json").read_text())
KINDS: dict[str, dict[str, type[Resource] | type[DataSource]]] = {
    "resources": {kind.type_name: kind for kind in Coder.resources},
    "data_sources": {kind.type_name: kind for kind in Coder.data_sources},
}
CASES = [(group, name) for group, expected in CONTRACT.items() for name in expected]


@pytest.mark.parametrize("group", ["resources", "data_sources"])
def test_the_provider_has_these_types_and_no_others(group: str) -> None:
    assert set(KINDS[group]) == set(CONTRACT[group])


@pytest.mark.parametrize(("group", "name"), CASES, ids=[f"{group}-{name}" for group, name in CASES])
def test_arguments_are_those_of_the_contract(group: str, name: str) -> None:
    kind = KINDS[group][name]
    problems = list(differences(CONTRACT[group][name], kind, name, data=group == "data_sources"))
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("kind", Coder.resources, ids=lambda kind: str(kind.type_name))
def test_every_change_of_an_argument_replaces_the_resource(kind: type[Resource]) -> None:
    assert not overrides(kind, Resource, "update")


def differences(expected: dict[str, Any], model: type[Model], path: str, *, data: bool) -> Iterator[str]:
    schema = model.schema()
    ours = {field.name: field for field in schema}
    wanted = {name: value for name, value in expected.items() if name}
    yield from (f"{path}.{name} is missing" for name in sorted(wanted.keys() - ours.keys()))
    yield from (f"{path}.{name} is not in the contract" for name in sorted(ours.keys() - wanted.keys()))
    for name in wanted.keys() & ours.keys():
        yield from field_differences(wanted[name], ours[name], f"{path}.{name}", data=data)


def field_differences(
    expected: str | dict[str, Any], field: Attribute | Block, path: str, *, data: bool
) -> Iterator[str]:
    if isinstance(expected, str):
        assert isinstance(field, Attribute), f"{path} must be an attribute"
        yield from attribute_differences(expected.split(" default=")[0].split(), expected, field, path, data=data)
        return
    kind, *flags = expected[""].split()
    if isinstance(field, Block):
        yield from block_differences(kind, flags, field, path)
        yield from differences(expected, field.model, path, data=data)
        return
    # A block that nobody can write is a list of objects.
    assert flags == ["computed"], f"{path} must be a block"
    assert isinstance(field.type, List), path
    assert isinstance(field.type.element, Object), path
    yield from differences(expected, field.type.element.model, path, data=data)


def block_differences(kind: str, flags: list[str], field: Block, path: str) -> Iterator[str]:
    if field.nesting.value != kind:
        yield f"{path} must be a {kind} of blocks, not a {field.nesting.value}"
    limits = dict(flag.split("=") for flag in flags if "=" in flag)
    if field.max_items != int(limits.get("max", 0)):
        yield f"{path} must have at most {limits.get('max')} items, not {field.max_items}"
    least = int(limits.get("min", 1 if "required" in flags else 0))
    if field.min_items != least:
        yield f"{path} must have at least {least} items, not {field.min_items}"
    if bool(field.deprecated) != ("deprecated" in flags):
        yield f"{path}: deprecation differs"


def attribute_differences(words: list[str], text: str, field: Attribute, path: str, *, data: bool) -> Iterator[str]:
    kind, *flags = words
    signature = field.type.signature()
    ours = f"{signature[0]}({signature[1]})" if isinstance(signature, list) else signature
    if ours != kind:
        yield f"{path} must be a {kind}, not a {ours}"
    has_default = " default=" in text
    if has_default != field.has_default:
        yield f"{path} must have {'a' if has_default else 'no'} default"
    elif has_default and field.default != json.loads(text.split(" default=")[1]):
        yield f"{path} must default to {text.split(' default=')[1]}, not {field.default!r}"
    facts = {
        "required": field.required,
        "optional": field.optional,
        # A default makes an attribute computed in the protocol; nobody can tell in a template.
        "computed": field.computed and not has_default,
        "sensitive": field.sensitive,
        "deprecated": bool(field.deprecated),
    }
    if not data:
        facts["replaces"] = field.force_new
    for fact, holds in facts.items():
        if holds != (fact in flags):
            yield f"{path} must {'be' if fact in flags else 'not be'} {fact}"
