"""Checks of a configuration before anything is planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stead.api.provider.fields import Attribute, Block, is_set
from stead.api.provider.model import Model
from stead.api.provider.values import is_wholly_known


@dataclass
class Findings:
    """Pairs of a message and the path of the field that it is about."""

    errors: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def check(config: Model) -> Findings:
    """Run validators and the rules between fields. Unknown values are accepted: they are checked later."""
    findings = Findings()
    _check_model(config, "", findings)
    return findings


def _check_model(config: Model, prefix: str, findings: Findings) -> None:
    for declared in config.schema():
        value = getattr(config, declared.key)
        path = f"{prefix}{declared.name}"
        if is_set(value):
            _check_rules(config, declared, path, findings)
            if declared.deprecated:
                findings.warnings.append((f"{declared.name} is deprecated: {declared.deprecated}.", path))
        _check_alternatives(config, declared, path, findings)
        if isinstance(declared, Attribute):
            _check_value(declared, value, path, findings)
        for inner_path, inner in _models(value, path):
            _check_model(inner, f"{inner_path}.", findings)


def _check_rules(config: Model, declared: Attribute | Block, path: str, findings: Findings) -> None:
    for name in declared.rules.conflicts_with:
        if is_set(_sibling(config, name)):
            findings.errors.append((f"{declared.name} and {name} cannot be set together.", path))
    for name in declared.rules.required_with:
        if not is_set(_sibling(config, name)):
            findings.errors.append((f"{declared.name} needs {name} to be set as well.", path))


def _check_alternatives(config: Model, declared: Attribute | Block, path: str, findings: Findings) -> None:
    names = sorted({declared.name, *declared.rules.exactly_one_of})
    # Both sides may declare the rule; the first by name reports for all.
    first = next((name for name in names if _has_alternatives(config, name)), None)
    if len(names) == 1 or first != declared.name:
        return
    values = [_sibling(config, name) for name in names]
    given = [value for value in values if is_set(value)]
    if len(given) != 1 and all(map(is_wholly_known, given)):
        found = "none is" if not given else f"{len(given)} are"
        findings.errors.append((f"Exactly one of {', '.join(names)} must be set; {found}.", path))


def _has_alternatives(config: Model, name: str) -> bool:
    return bool(config.schema().field(name).rules.exactly_one_of)


def _sibling(config: Model, name: str) -> Any:
    return getattr(config, config.schema().field(name).key)


def _check_value(attribute: Attribute, value: Any, path: str, findings: Findings) -> None:
    if value is None or not is_wholly_known(value):
        return
    for validator in attribute.validators:
        try:
            validator(value)
        except ValueError as refused:
            findings.errors.append((f"{attribute.name} {_shown(attribute, str(refused))}.", path))


def _shown(attribute: Attribute, reason: str) -> str:
    """A reason may quote the value, which must not be seen where it is secret."""
    hidden = attribute.sensitive or attribute.write_only
    return "is not acceptable (the value is sensitive)" if hidden else reason.rstrip(".")


def _models(value: Any, path: str) -> Iterator[tuple[str, Model]]:
    if isinstance(value, Model):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _models(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _models(item, f'{path}["{key}"]')
