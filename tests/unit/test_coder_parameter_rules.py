"""Parameters: which declarations make sense, and which values pass."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stead.api.provider import ParameterOption, ParameterReading
from stead.terraform.coder import parameter_rules as rules
from stead.terraform.coder.parameter_rules import ParameterProblem


def parameter(type_name: str = "string", *options: str, **values: Any) -> ParameterReading:
    """A parameter with the form type that applies to it."""
    choices = tuple(ParameterOption(name=f"name of {value}", value=value) for value in options)
    form_type = rules.resolve_form_type(type_name, values.pop("form_type", ""), has_options=bool(choices))
    return ParameterReading("p", type=type_name, form_type=form_type, options=choices, **values)


@pytest.mark.parametrize(
    ("type_name", "has_options", "default"),
    [
        ("string", True, "radio"),
        ("string", False, "input"),
        ("number", True, "radio"),
        ("number", False, "input"),
        ("bool", True, "radio"),
        ("bool", False, "checkbox"),
        ("list(string)", True, "radio"),
        ("list(string)", False, "tag-select"),
    ],
)
def test_each_type_has_a_default_form(type_name: str, has_options: bool, default: str) -> None:
    assert rules.resolve_form_type(type_name, "", has_options=has_options) == default


@pytest.mark.parametrize(
    ("type_name", "form_type", "has_options"),
    [
        ("string", "slider", False),
        ("string", "dropdown", False),
        ("string", "textarea", True),
        ("number", "checkbox", False),
        ("bool", "input", False),
        ("list(string)", "multi-select", False),
        ("list(string)", "dropdown", True),
        ("string", "error", False),
    ],
)
def test_a_form_that_does_not_suit_is_refused_with_those_that_do(
    type_name: str, form_type: str, has_options: bool
) -> None:
    with pytest.raises(ParameterProblem, match="does not suit") as refused:
        rules.resolve_form_type(type_name, form_type, has_options=has_options)
    assert refused.value.field == "form_type"
    assert rules.FORM_TYPES[type_name][0 if has_options else 1][0] in str(refused.value)


def test_every_pair_of_the_table_resolves_to_itself() -> None:
    for type_name, (with_options, without) in rules.FORM_TYPES.items():
        for form_type in with_options:
            assert rules.resolve_form_type(type_name, form_type, has_options=True) == form_type
        for form_type in without:
            assert rules.resolve_form_type(type_name, form_type, has_options=False) == form_type


@pytest.mark.parametrize(
    ("declared", "field", "message"),
    [
        (parameter(ephemeral=True, default="x"), "ephemeral", "immutable and ephemeral"),
        (parameter(ephemeral=True, mutable=True), "default", "needs a default"),
        (parameter(validation={"min": 1}), "validation[0].min", "for numbers"),
        (parameter(validation={"monotonic": "increasing"}), "validation[0].monotonic", "for numbers"),
        (parameter("number", validation={"regex": "a", "error": "e"}), "validation[0].regex", "for strings"),
        (parameter(validation={"regex": "a"}), "validation[0].error", "needs an error"),
        (parameter(validation={"regex": "(", "error": "e"}), "validation[0].regex", "cannot be read"),
        (parameter("number", validation={"min": 3, "max": 2}), "validation[0].min", "no number fits"),
        (parameter("number", validation={"monotonic": "up"}), "validation[0].monotonic", "increasing"),
        (parameter("number", "1", "two"), "option[1].value", "not a number"),
        (parameter("bool", "true", "yes"), "option[1].value", "neither true nor false"),
        (parameter("list(string)", "a"), "option[0].value", "not a list"),
        (parameter("string", "a", "a"), "option[1].name", "Two options"),
        (parameter("string", "a", "b", default="c"), "default", "not an option"),
        (parameter("number", default="many"), "default", "not a number"),
        (parameter("number", default="9", validation={"max": 8}), "default", "more than"),
        (parameter("bool", default="maybe"), "default", "neither true nor false"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declared: ParameterReading, field: str, message: str) -> None:
    with pytest.raises(ParameterProblem, match=message) as refused:
        rules.check_declaration(declared)
    assert refused.value.field == field


def test_two_options_may_not_share_a_value() -> None:
    options = (ParameterOption("one", "same"), ParameterOption("two", "same"))
    with pytest.raises(ParameterProblem, match="value 'same'") as refused:
        rules.check_declaration(replace(parameter(), options=options, form_type="radio"))
    assert refused.value.field == "option[1].value"


@pytest.mark.parametrize(
    "declared",
    [
        parameter(default=""),
        parameter(ephemeral=True, mutable=True, default="x"),
        parameter("number", default="-1.5", validation={"min": -2, "max": 0}),
        parameter("list(string)", default='["a"]'),
        parameter("list(string)", '["a"]', '["b", "c"]', default='["a"]'),
        parameter("list(string)", "a", "b", form_type="multi-select", default='["b"]'),
        parameter("bool", "true", "false", default="true"),
        parameter(validation={"regex": r"^[[:alpha:]]+\z", "error": "letters"}, default="abc"),
    ],
)
def test_a_declaration_that_makes_sense_passes(declared: ParameterReading) -> None:
    rules.check_declaration(declared)


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        (parameter("number"), "", "not a number"),
        (parameter("number"), "1_000", "not a number"),
        (parameter("number"), " 1", "not a number"),
        (parameter("number"), "NaN", "not a number"),
        (parameter("number"), "Infinity", "not a number"),
        (parameter("number", validation={"min": 5}), "4.9", "less than the least, 5"),
        (parameter("number", validation={"max": 5}), "5.1", "more than the most, 5"),
        (parameter("bool"), "True", "neither"),
        (parameter("list(string)"), "a,b", "not a list of strings"),
        (parameter("list(string)"), "[1]", "not a list of strings"),
        (parameter("string", "a", "b"), "c", "Choose from a, b"),
        (parameter("list(string)", "a", "b", form_type="multi-select"), '["a", "c"]', "'c' is not an option"),
        (parameter(validation={"regex": "^a+$", "error": "only a, not {value}"}), "ab", "only a, not ab"),
    ],
)
def test_a_value_that_breaks_the_rules_is_refused(declared: ParameterReading, value: str, message: str) -> None:
    with pytest.raises(ParameterProblem, match=message):
        rules.check_value(declared, value)


def test_a_regular_expression_means_what_it_means_in_re2() -> None:
    # In Python's own syntax a dollar also matches before a last line break.
    declared = parameter(validation={"regex": "^a$", "error": "just a"})
    rules.check_value(declared, "a")
    with pytest.raises(ParameterProblem, match="just a"):
        rules.check_value(declared, "a\n")


def test_a_hostile_value_cannot_stall_a_regular_expression() -> None:
    declared = parameter(validation={"regex": "^(a+)+$", "error": "no"})
    with pytest.raises(ParameterProblem, match="no"):
        rules.check_value(declared, "a" * 5000 + "b")  # takes longer than the universe where it backtracks


def test_the_error_has_its_places_filled_in() -> None:
    declared = parameter("number", validation={"min": 1, "max": 8, "error": "{value} is not {min} to {max}"})
    with pytest.raises(ParameterProblem, match=r"^9 is not 1 to 8$"):
        rules.check_value(declared, "9")


@pytest.mark.parametrize(
    ("direction", "previous", "value", "passes"),
    [
        ("increasing", "10", "10", True),
        ("increasing", "10", "10.5", True),
        ("increasing", "10", "9", False),
        ("decreasing", "10", "9", True),
        ("decreasing", "10", "11", False),
        ("increasing", None, "1", True),
    ],
)
def test_a_monotonic_number_goes_one_way(direction: str, previous: str | None, value: str, passes: bool) -> None:
    declared = parameter("number", validation={"monotonic": direction})
    if passes:
        rules.check_value(declared, value, previous)
    else:
        with pytest.raises(ParameterProblem, match="than"):
            rules.check_value(declared, value, previous)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (parameter(), ""),
        (parameter("number"), "0"),
        (parameter("number", validation={"min": 4}), "4"),
        (parameter("number", validation={"max": -3}), "-3"),
        (parameter("bool"), "false"),
        (parameter("list(string)"), "[]"),
        (parameter("string", "x", "y"), "x"),
        (parameter("list(string)", "x", form_type="multi-select"), "[]"),
    ],
)
def test_a_placeholder_passes_the_rules_itself(declared: ParameterReading, expected: str) -> None:
    assert rules.placeholder(declared) == expected
    rules.check_value(declared, expected)


def test_styling_is_a_json_object() -> None:
    assert rules.styling('{"mask_input": true}') == {"mask_input": True}
    for wrong in ("{", "[]"):
        with pytest.raises(ParameterProblem):
            rules.styling(wrong)


@given(st.text(max_size=40), st.sampled_from(rules.TYPES))
def test_any_text_passes_or_is_refused_and_nothing_else_happens(text: str, type_name: str) -> None:
    declared = parameter(type_name, validation={"min": 1, "max": 5} if type_name == "number" else None)
    with contextlib.suppress(ParameterProblem):
        rules.check_value(declared, text, previous="2")
