"""Template parameters in forms: what a field shows, and what a sent form says. Without Flask."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stead.domain.records import Parameter

PREFIX = "parameter."
_GIVEN_AS_WORDS = ("multi-select", "tag-select")


@dataclass(frozen=True)
class Field:
    """A parameter in a form.

    :param value: what the field shows; ``None`` where nothing was ever given.
    :param previous: the value of the build before, where there is one.
    :param locked: the workspace exists and the parameter may not change.
    """

    parameter: Parameter
    value: str | None
    problem: str = ""
    previous: str | None = None
    locked: bool = False

    @property
    def required(self) -> bool:
        return self.parameter.required and self.parameter.default is None and not self.locked

    @property
    def words(self) -> list[str]:
        """The value of a list, word by word."""
        return words_of(self.value)


def words_of(value: str | None) -> list[str]:
    """The strings of a JSON list; a text that is none stands for itself."""
    if not value:
        return []
    try:
        found = json.loads(value)
    except ValueError:
        return [value]
    return [str(word) for word in found] if isinstance(found, list) else [value]


def fields(
    declared: Sequence[Parameter],
    given: Mapping[str, str],
    problems: Mapping[str, str],
    previous: Mapping[str, str] | None = None,
) -> list[Field]:
    """The fields of a form, in the template's order.

    :param given: values by parameter name: what was typed, or what a preset or the build before has.
    :param problems: messages by field, as services name fields (``parameters.NAME``).
    :param previous: values of the workspace's build before; ``None`` while it is being created.
    """
    before = previous or {}
    return [
        Field(
            parameter,
            given.get(parameter.name, before.get(parameter.name, parameter.default)),
            problems.get(f"parameters.{parameter.name}", ""),
            before.get(parameter.name),
            locked=previous is not None and not parameter.mutable and parameter.name in before,
        )
        for parameter in sorted(declared, key=lambda each: (each.order, each.name))
    ]


def sent_values(declared: Sequence[Parameter], form: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The values that a form sends, by parameter name.

    An empty text is left out where the template has a default or needs nothing: that is what leaving a field
    empty means.

    :param form: all values of each field, in the order of the page.
    """
    values = {}
    for parameter in declared:
        sent = form.get(PREFIX + parameter.name)
        if sent is None:
            continue
        if parameter.form_type in _GIVEN_AS_WORDS:
            values[parameter.name] = json.dumps(_words(sent))
        elif sent[-1] or not (parameter.default or parameter.required):
            values[parameter.name] = sent[-1]
    return values


def _words(sent: Sequence[str]) -> list[str]:
    lines = (word.strip() for value in sent for word in value.replace("\r", "").split("\n"))
    return list(dict.fromkeys(word for word in lines if word))
