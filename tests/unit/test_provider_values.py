"""Declared classes: types from annotations, values to the wire and back, equality, and what stays hidden."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stead.api.provider import (
    BlockSchema,
    Nesting,
    ObjectSchema,
    Resource,
    Unknown,
    attribute,
    block,
    is_known,
    is_wholly_known,
)
from stead.api.provider.types import DynamicList, from_annotation


class Spot(ObjectSchema):
    x: int = attribute(required=True)
    name: str | None = attribute(optional=True)


class Tag(BlockSchema):
    key: str = attribute(required=True)


class Sample(Resource, name="a_sample", version=2):
    """Documentation."""

    text: str | None = attribute(optional=True)
    whole: int | None = attribute(optional=True)
    real: float | None = attribute(optional=True)
    flag: bool | None = attribute(optional=True)
    words: set[str] | None = attribute(optional=True)
    numbers: list[int] | None = attribute(optional=True)
    table: dict[str, list[str]] | None = attribute(optional=True)
    pair: tuple[str, int] | None = attribute(optional=True)
    anything: Any = attribute(optional=True)
    spot: Spot | None = attribute(optional=True)
    spots: set[Spot] | None = attribute(optional=True)
    secret: str | None = attribute(optional=True, sensitive=True)
    source: str | None = attribute(optional=True, name="from")
    tags: list[Tag] = block(Tag, nesting=Nesting.SET)
    ordered: list[Tag] = block(Tag)
    single: Tag | None = block(Tag, nesting=Nesting.SINGLE)
    mapped: dict[str, Tag] = block(Tag, nesting=Nesting.MAP)


def test_annotations_are_terraform_types() -> None:
    signatures = {name: item.type.signature() for name, item in Sample.schema().attributes.items()}
    assert signatures == {
        "text": "string",
        "whole": "number",
        "real": "number",
        "flag": "bool",
        "words": ["set", "string"],
        "numbers": ["list", "number"],
        "table": ["map", ["list", "string"]],
        "pair": ["tuple", ["string", "number"]],
        "anything": "dynamic",
        "spot": ["object", {"x": "number", "name": "string"}],
        "spots": ["set", ["object", {"x": "number", "name": "string"}]],
        "secret": "string",
        "from": "string",
    }
    assert Sample.schema().description == "Documentation."
    assert (Sample.type_name, Sample.schema_version) == ("a_sample", 2)


FULL = {
    "text": "t",
    "whole": 1,
    "real": 1.5,
    "flag": True,
    "words": {"a", "b"},
    "numbers": [1, 2],
    "table": {"k": ["v"]},
    "pair": ("a", 1),
    "anything": {"k": [1, "x", None]},
    "spot": Spot(x=1),
    "spots": [Spot(x=1), Spot(x=2, name="n")],
    "secret": "hush",
    "source": "here",
    "tags": [Tag(key="a"), Tag(key="b")],
    "ordered": [Tag(key="c")],
    "single": Tag(key="d"),
    "mapped": {"m": Tag(key="e")},
}


def test_values_survive_the_wire() -> None:
    sample = Sample(**FULL)
    assert Sample.decode(sample.encode()) == sample
    assert sample.encode()["from"] == "here"


def test_absent_values_are_null_and_absent_blocks_are_empty() -> None:
    sample = Sample()
    assert (sample.text, sample.words, sample.spot) == (None, None, None)
    assert (sample.tags, sample.ordered, sample.single, sample.mapped) == ([], [], None, {})
    assert Sample.decode({}) == sample


def test_sets_have_no_order_and_lists_have() -> None:
    assert Sample(tags=[Tag(key="a"), Tag(key="b")]) == Sample(tags=[Tag(key="b"), Tag(key="a")])
    assert Sample(spots=[Spot(x=1), Spot(x=2)]) == Sample(spots=[Spot(x=2), Spot(x=1)])
    assert Sample(ordered=[Tag(key="a"), Tag(key="b")]) != Sample(ordered=[Tag(key="b"), Tag(key="a")])
    assert Sample(tags=[Tag(key="a"), Tag(key="a")]) != Sample(tags=[Tag(key="a")])


def test_unknown_is_one_and_has_no_truth() -> None:
    assert copy.deepcopy(Unknown) is Unknown
    assert pickle.loads(pickle.dumps(Unknown)) is Unknown
    assert not is_known(Unknown)
    assert not is_wholly_known({"a": [Tag(key=Unknown)]})
    assert is_wholly_known(Sample(**FULL))
    with pytest.raises(TypeError, match="is_known"):
        bool(Unknown)
    assert Sample(text=Unknown) == Sample(text=Unknown)
    assert Sample(text=Unknown) != Sample(text="x")


def test_what_is_secret_is_not_shown() -> None:
    assert "hush" not in repr(Sample(**FULL))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("text", 1, "text: expected str, got int"),
        ("whole", 1.5, "whole: expected int, got float"),
        ("whole", True, "whole: expected int, got bool"),
        ("flag", "yes", "flag: expected bool, got str"),
        ("numbers", "12", "numbers: expected list, got str"),
        ("words", "ab", "words: expected set, got str"),
        ("table", [1], "table: expected dict, got list"),
        ("spot", {"x": 1}, "spot: expected Spot, got dict"),
        ("tags", [Spot(x=1)], "tags: expected Tag, got Spot"),
    ],
)
def test_a_value_of_the_wrong_type_names_its_field(field: str, value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Sample(**{field: value}).encode()


def test_numbers_keep_their_size() -> None:
    big = 2**80
    assert Sample(whole=big).encode()["whole"] == str(big)
    assert Sample.decode({"whole": str(big)}).whole == big
    assert Sample.decode({"whole": 3.0}).whole == 3
    with pytest.raises(ValueError, match="whole number"):
        Sample.decode({"whole": 1.5})


def test_a_dynamic_value_keeps_the_type_that_it_came_with() -> None:
    wire = [b'["list","number"]', [1, 2]]
    value = Sample.decode({"anything": wire}).anything
    assert value == [1, 2]
    assert isinstance(value, DynamicList)
    sent = Sample(anything=value).encode()["anything"]
    assert sent == [b'["list", "number"]', [1, 2]]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_plain_value_survives_as_dynamic(value: object) -> None:
    assert Sample.decode(Sample(anything=value).encode()).anything == value


@pytest.mark.parametrize("annotation", [int | str, dict[int, str], tuple[int, ...], complex])
def test_an_annotation_without_terraform_type_is_refused(annotation: object) -> None:
    with pytest.raises(TypeError, match="has no Terraform type"):
        from_annotation(annotation)


def test_declarations_are_checked() -> None:
    with pytest.raises(TypeError, match="required, optional, computed"):
        attribute()
    with pytest.raises(TypeError, match="has no field 'nothing'"):
        Sample(nothing=1)


def test_a_class_inherits_fields() -> None:
    class More(Sample, name="a_more"):
        extra: str | None = attribute(optional=True)

    assert More.schema().attributes.keys() == {*Sample.schema().attributes, "extra"}
    assert "extra" not in Sample.schema().attributes


def test_importing_the_api_loads_no_server() -> None:
    modules = ("grpc", "tf", "google.protobuf", "flask", "stead.terraform")
    check = f"import sys, stead.api.provider; print([n for n in {modules} if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"
