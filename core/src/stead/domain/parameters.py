"""Values of template parameters: which a build runs with, and whether they are right."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence

from stead.api.errors import InvalidInput
from stead.domain.records import Parameter, ParameterValidation

LONGEST_VALUE = 64 * 1024
_INTEGER = re.compile(r"[+-]?\d+")


def resolve(
    declared: Sequence[Parameter],
    given: Mapping[str, str],
    *,
    previous: Mapping[str, str] | None = None,
    preset: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The values of a build.

    What is given wins over the preset, which wins over the build before. A parameter without a value
    is left out: the template's default applies, which may depend on the owner.

    :param previous: values of the workspace's build before; ``None`` for its first build.
    :raises InvalidInput: names the parameter and what is wrong with its value.
    """
    _refuse_unknown(declared, given)
    values: dict[str, str] = {}
    for parameter in declared:
        value = _choose(parameter, given, preset or {}, previous)
        if value is None:
            continue
        check_value(parameter, value, previous=(previous or {}).get(parameter.name))
        values[parameter.name] = value
    return values


def kept(declared: Sequence[Parameter], values: Mapping[str, str]) -> dict[str, str]:
    """What the next build inherits: everything but ephemeral values."""
    ephemeral = {parameter.name for parameter in declared if parameter.ephemeral}
    return {name: value for name, value in values.items() if name not in ephemeral}


def check_value(parameter: Parameter, value: str, *, previous: str | None = None) -> None:
    """Nothing, if the value is right for the parameter.

    :param previous: the value of the build before, for ``monotonic``.
    """
    if len(value) > LONGEST_VALUE:
        raise _wrong(parameter, f"is longer than {LONGEST_VALUE} characters")
    items = _check_type(parameter, value)
    if parameter.options:
        allowed = [option.value for option in parameter.options]
        chosen = items if parameter.form_type == "multi-select" else [value]
        for item in chosen:
            if item not in allowed:
                raise _wrong(parameter, f"must be one of {', '.join(allowed)}")
    if parameter.validation is not None:
        _validate(parameter, parameter.validation, value, previous)


def _refuse_unknown(declared: Sequence[Parameter], given: Mapping[str, str]) -> None:
    names = [parameter.name for parameter in declared]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            known = f"Did you mean {near[0]}?" if near else f"It has: {', '.join(names) or 'none'}."
            raise InvalidInput(f"The template has no parameter {name}.", field=_field(name), remedy=known)


def _choose(
    parameter: Parameter,
    given: Mapping[str, str],
    preset: Mapping[str, str],
    previous: Mapping[str, str] | None,
) -> str | None:
    name = parameter.name
    before = (previous or {}).get(name)
    wanted = given.get(name, preset.get(name))
    if parameter.ephemeral:
        return wanted
    if wanted is None:
        if before is None and parameter.required and parameter.default is None:
            raise InvalidInput(f"The parameter {name} needs a value.", field=_field(name))
        return before
    if previous is not None and not parameter.mutable and before is not None and wanted != before:
        raise InvalidInput(
            f"The parameter {name} cannot be changed after the workspace was created.",
            field=_field(name),
            remedy="Create a new workspace to use another value.",
        )
    return wanted


def _check_type(parameter: Parameter, value: str) -> list[str]:
    """Check the form of a value; returns the items of a list."""
    if parameter.type == "number" and not _INTEGER.fullmatch(value):
        raise _wrong(parameter, f"must be a whole number, not {_short(value)}")
    if parameter.type == "bool" and value not in ("true", "false"):
        raise _wrong(parameter, f"must be true or false, not {_short(value)}")
    if parameter.type == "list(string)" or parameter.form_type == "multi-select":
        try:
            items = json.loads(value)
        except ValueError:
            items = None
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise _wrong(parameter, 'must be a JSON list of strings, such as ["a", "b"]')
        return items
    return [value]


def _validate(parameter: Parameter, rule: ParameterValidation, value: str, previous: str | None) -> None:
    if parameter.type == "number":
        _validate_number(parameter, rule, int(value), previous)
    elif parameter.type == "string" and rule.regex and not re.search(rule.regex, value):
        raise _wrong(parameter, rule.error or f"does not match {rule.regex}", value, rule)


def _validate_number(parameter: Parameter, rule: ParameterValidation, number: int, previous: str | None) -> None:
    low, high = rule.min, rule.max
    if low is not None and number < low:
        raise _wrong(parameter, rule.error or f"must be at least {low}, not {number}", str(number), rule)
    if high is not None and number > high:
        raise _wrong(parameter, rule.error or f"must be at most {high}, not {number}", str(number), rule)
    if rule.monotonic and previous is not None and _INTEGER.fullmatch(previous):
        before = int(previous)
        if rule.monotonic == "increasing" and number < before:
            raise _wrong(parameter, f"can only grow: it was {before}")
        if rule.monotonic == "decreasing" and number > before:
            raise _wrong(parameter, f"can only shrink: it was {before}")


def _wrong(parameter: Parameter, text: str, value: str = "", rule: ParameterValidation | None = None) -> InvalidInput:
    if rule is not None and rule.error == text:
        filled = {"{min}": str(rule.min), "{max}": str(rule.max), "{value}": _short(value)}
        for mark, content in filled.items():
            text = text.replace(mark, content)
        return InvalidInput(f"{parameter.name}: {text}", field=_field(parameter.name))
    return InvalidInput(f"The parameter {parameter.name} {text}.", field=_field(parameter.name))


def _field(name: str) -> str:
    return f"parameters.{name}"


def _short(value: str) -> str:
    return value if len(value) <= 64 else value[:61] + "..."
