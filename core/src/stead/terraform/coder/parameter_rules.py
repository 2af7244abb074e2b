"""The rules of template parameters: which declarations make sense, and which values they accept.

Pure functions over :class:`~stead.api.provider.ParameterReading`. Values are strings; those of type
``list(string)`` are JSON lists. Whatever is refused raises :class:`ParameterProblem`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import re2

from stead.api.errors import ProviderFailure
from stead.api.provider import ParameterReading

STRING, NUMBER, BOOL, LIST = "string", "number", "bool", "list(string)"
TYPES = (STRING, NUMBER, BOOL, LIST)

#: Type to the form types with and without options; the first of each is the default.
FORM_TYPES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    STRING: (("radio", "dropdown"), ("input", "textarea")),
    NUMBER: (("radio", "dropdown"), ("input", "slider")),
    BOOL: (("radio", "dropdown"), ("checkbox", "switch")),
    LIST: (("radio", "multi-select"), ("tag-select",)),
}
ALL_FORM_TYPES = (
    "",
    *dict.fromkeys(f for pair in FORM_TYPES.values() for side in pair for f in side),
    "error",
)

INCREASING, DECREASING = "increasing", "decreasing"


class ParameterProblem(ProviderFailure):
    """A declaration makes no sense, or a value breaks its rules. ``field`` is the argument to look at."""

    reason = "parameter_invalid"


def resolve_form_type(type_name: str, form_type: str, *, has_options: bool) -> str:
    """The form type that applies: the one that was asked for where it fits, else the default one."""
    allowed = FORM_TYPES[type_name][0 if has_options else 1]
    if not form_type:
        return allowed[0]
    if form_type not in allowed:
        circumstance = "with options" if has_options else "without options"
        raise ParameterProblem(
            f"The form type {form_type!r} does not suit the type {type_name} {circumstance}.",
            field="form_type",
            remedy=f"Use {' or '.join(allowed)}, or leave form_type out.",
        )
    return form_type


def check_declaration(declared: ParameterReading) -> None:
    """Everything that can be said without a value. The form type is a resolved one."""
    if not declared.mutable and declared.ephemeral:
        raise ParameterProblem(
            "A parameter cannot be immutable and ephemeral together.",
            field="ephemeral",
            remedy="Set mutable = true.",
        )
    if declared.ephemeral and declared.default is None:
        raise ParameterProblem(
            "An ephemeral parameter needs a default, which holds in every build that does not set it.",
            field="default",
        )
    _check_options(declared)
    _check_validation_block(declared)
    if declared.default is not None:
        _check_default(declared)


def check_value(declared: ParameterReading, value: str, previous: str | None = None) -> None:
    """Whether a person may give ``value``; ``previous`` is that of the build before, for ``monotonic``."""
    check_type(declared.type, value)
    if declared.options:
        _check_choice(declared, value)
    rules = declared.validation or {}
    if declared.type == NUMBER:
        _check_range(rules, value)
        _check_monotonic(rules, value, previous)
    if declared.type == STRING and rules.get("regex"):
        _check_pattern(rules, value)


def check_type(type_name: str, value: str) -> None:
    """Whether a string is a value of the type."""
    if type_name == NUMBER:
        number(value)
    elif type_name == BOOL and value not in {"true", "false"}:
        raise ParameterProblem(f"{value!r} is neither true nor false.", field="value")
    elif type_name == LIST:
        items(value)


def number(value: str) -> Decimal:
    """The exact number that a string stands for."""
    try:
        parsed = Decimal(value)
    except InvalidOperation:
        parsed = Decimal("NaN")
    if not parsed.is_finite() or "_" in value or value != value.strip():
        raise ParameterProblem(f"{value!r} is not a number.", field="value")
    return parsed


def items(value: str) -> list[str]:
    """The strings of a JSON list."""
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    if not isinstance(parsed, list) or not all(isinstance(item, str) for item in parsed):
        raise ParameterProblem(
            f"{value!r} is not a list of strings.",
            field="value",
            remedy='Write it as JSON, such as ["a", "b"].',
        )
    return parsed


def placeholder(declared: ParameterReading) -> str:
    """A value of the type for a run where nobody has given one yet, such as a template's import."""
    if declared.options and declared.form_type != "multi-select":
        return declared.options[0].value
    rules = declared.validation or {}
    if declared.type == NUMBER:
        low, high = rules.get("min"), rules.get("max")
        nearest_to_zero = max(low or 0, 0) if high is None or high >= 0 else high
        return str(nearest_to_zero)
    return {BOOL: "false", LIST: "[]"}.get(declared.type, "")


def styling(text: str) -> dict[str, Any]:
    """The cosmetic settings of a parameter, which are a JSON object."""
    try:
        parsed = json.loads(text or "{}")
    except ValueError as error:
        raise ParameterProblem(f"The styling is not JSON: {error}.", field="styling") from None
    if not isinstance(parsed, dict):
        raise ParameterProblem("The styling is JSON, but not an object.", field="styling")
    return parsed


def _check_options(declared: ParameterReading) -> None:
    for part in ("name", "value"):
        _refuse_twice([getattr(option, part) for option in declared.options], part)
    element = STRING if declared.form_type == "multi-select" else declared.type
    for index, option in enumerate(declared.options):
        try:
            check_type(element, option.value)
        except ParameterProblem as problem:
            raise ParameterProblem(
                f"The option {option.name!r} has a value of another type than {element}: {problem}",
                field=f"option[{index}].value",
            ) from None


def _refuse_twice(values: Sequence[str], part: str) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ParameterProblem(
                f"Two options have the {part} {value!r}.",
                field=f"option[{index}].{part}",
                remedy="Give each its own.",
            )


def _check_validation_block(declared: ParameterReading) -> None:
    rules = declared.validation or {}
    for rule in ("min", "max", "monotonic"):
        if rules.get(rule) is not None and declared.type != NUMBER:
            raise ParameterProblem(f"{rule} is for numbers, and the type is {declared.type}.", field=_rule(rule))
    if rules.get("regex") is not None:
        if declared.type != STRING:
            raise ParameterProblem(f"regex is for strings, and the type is {declared.type}.", field=_rule("regex"))
        if not rules.get("error"):
            raise ParameterProblem(
                "A regex needs an error, which tells people what is expected of them.", field=_rule("error")
            )
        _compile(rules["regex"])
    low, high = rules.get("min"), rules.get("max")
    if low is not None and high is not None and low > high:
        raise ParameterProblem(f"min {low} is more than max {high}: no number fits.", field=_rule("min"))
    if rules.get("monotonic") not in (None, INCREASING, DECREASING):
        raise ParameterProblem(
            f"monotonic must be {INCREASING} or {DECREASING}; it is {rules['monotonic']!r}.",
            field=_rule("monotonic"),
        )


def _check_default(declared: ParameterReading) -> None:
    try:
        check_value(declared, declared.default or "")
    except ParameterProblem as problem:
        raise ParameterProblem(f"The default breaks the parameter's own rules: {problem}", field="default") from None


def _check_choice(declared: ParameterReading, value: str) -> None:
    offered = [option.value for option in declared.options]
    chosen = items(value) if declared.form_type == "multi-select" else [value]
    for choice in chosen:
        if choice not in offered:
            raise ParameterProblem(
                f"{choice!r} is not an option.", field="value", remedy=f"Choose from {', '.join(offered)}."
            )


def _check_range(rules: Mapping[str, Any], value: str) -> None:
    given, low, high = number(value), rules.get("min"), rules.get("max")
    if low is not None and given < low:
        raise ParameterProblem(_message(rules, value) or f"{value} is less than the least, {low}.", field="value")
    if high is not None and given > high:
        raise ParameterProblem(_message(rules, value) or f"{value} is more than the most, {high}.", field="value")


def _check_monotonic(rules: Mapping[str, Any], value: str, previous: str | None) -> None:
    direction = rules.get("monotonic")
    if not direction or previous is None:
        return
    before, now = number(previous), number(value)
    if (direction == INCREASING and now < before) or (direction == DECREASING and now > before):
        limit = "less" if direction == INCREASING else "more"
        raise ParameterProblem(
            _message(rules, value) or f"{value} is {limit} than {previous}, which the last build had.",
            field="value",
            remedy=f"The value may not be {limit} than before.",
        )


def _check_pattern(rules: Mapping[str, Any], value: str) -> None:
    if not _compile(rules["regex"]).search(value):
        raise ParameterProblem(_message(rules, value), field="value")


def _message(rules: Mapping[str, Any], value: str) -> str:
    """The template's own words, with ``{min}``, ``{max}`` and ``{value}`` filled in."""
    text = rules.get("error") or ""
    for name, filling in (("min", rules.get("min")), ("max", rules.get("max")), ("value", value)):
        text = text.replace(f"{{{name}}}", "" if filling is None else str(filling))
    return text


def _compile(pattern: str) -> Any:
    """Templates are written for RE2: its syntax differs from Python's, and it is quick with any input."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ParameterProblem(f"The regex cannot be read: {reason}.", field=_rule("regex")) from None


def _rule(name: str) -> str:
    return f"validation[0].{name}"
