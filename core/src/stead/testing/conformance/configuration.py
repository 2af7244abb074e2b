"""Writes resources as a template would have them, in Terraform's JSON syntax."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from stead.api.provider import Resource
from stead.api.provider.fields import Attribute
from stead.api.provider.model import Model
from stead.api.provider.values import Unknown
from stead.api.records import ProviderSpec

NAME = "it"


def address_of(type_name: str) -> str:
    return f"{type_name}.{NAME}"


def template(spec: ProviderSpec, provider: Mapping[str, Any], things: Iterable[Resource]) -> dict[str, Any]:
    """A template with one resource of each type.

    :param provider: arguments of the ``provider`` block.
    """
    local = spec.address.rpartition("/")[2]
    return {
        "terraform": {"required_providers": {local: {"source": spec.address}}},
        "provider": {local: dict(provider)},
        "resource": {thing.type_name: {NAME: {"provider": local, **arguments(thing)}} for thing in things},
    }


def with_imports(written: Mapping[str, Any], identities: Mapping[str, str]) -> dict[str, Any]:
    """The same template with a block ``import`` for each identity, by type."""
    resources = {kind: written["resource"][kind] for kind in identities}
    imports = [{"to": address_of(kind), "id": _literal(identity)} for kind, identity in identities.items()]
    return {**written, "resource": resources, "import": imports}


def files(written: Mapping[str, Any]) -> dict[str, str]:
    return {"main.tf.json": json.dumps(written, indent=2)}


def arguments(model: Model) -> dict[str, Any]:
    """What a template gives for an instance that was made with what a template gives."""
    schema = model.schema()
    found: dict[str, Any] = {}
    for attribute in schema.attributes.values():
        value = getattr(model, attribute.key)
        if value is not None and value is not Unknown and _settable(attribute):
            found[attribute.name] = _attribute(value)
    for block in schema.blocks.values():
        value = getattr(model, block.key)
        if value:
            found[block.name] = _block(value)
    return found


def _settable(attribute: Attribute) -> bool:
    return attribute.required or attribute.optional


def _block(value: Any) -> Any:
    if isinstance(value, Model):
        return arguments(value)
    if isinstance(value, dict):
        return {key: arguments(item) for key, item in value.items()}
    return [arguments(item) for item in value]


def _attribute(value: Any) -> Any:
    """A value as an expression of the JSON syntax, in which strings are templates."""
    if isinstance(value, Model):
        return {**_nothing(value), **arguments(value)}
    if isinstance(value, str):
        return _literal(value)
    if isinstance(value, dict):
        return {key: _attribute(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return [_attribute(item) for item in sorted(value)]
    if isinstance(value, list | tuple):
        return [_attribute(item) for item in value]
    return value


def _nothing(model: Model) -> dict[str, None]:
    """An object that may be written as a block has to have all its attributes."""
    return {attribute.name: None for attribute in model.schema().attributes.values() if _settable(attribute)}


def _literal(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")
