"""Terraform's JSON of plans and states, as far as a document is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stead.terraform.graph import configuration_address


@dataclass(frozen=True)
class Instance:
    """One resource instance. Values that a plan does not know are absent."""

    address: str
    mode: str
    type: str
    name: str
    values: Mapping[str, Any] = field(repr=False)

    @property
    def label(self) -> str:
        """The address in the configuration, as the graph has it."""
        return configuration_address(self.address)

    @property
    def keys(self) -> str:
        """The instance keys of the address, to pair ``agent[0]`` with ``container[0]``."""
        return "".join(part for part in self.address.split("[")[1:])

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name)
        return default if value is None else str(value)

    def number(self, name: str, default: int = 0) -> int:
        value = self.values.get(name)
        return default if value is None else int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.values.get(name)
        return default if value is None else bool(value)

    def blocks(self, name: str) -> list[Mapping[str, Any]]:
        value = self.values.get(name)
        return [item for item in value if item] if isinstance(value, list) else [value] if value else []


def instances(values: Mapping[str, Any] | None) -> list[Instance]:
    """All instances below a ``planned_values`` or ``values`` object, by address."""
    found = _instances((values or {}).get("root_module") or {})
    return sorted(found, key=lambda instance: instance.address)


def _instances(module: Mapping[str, Any]) -> Iterator[Instance]:
    for item in module.get("resources", ()):
        yield Instance(
            item["address"], item.get("mode", "managed"), item["type"], item["name"], item.get("values") or {}
        )
    for child in module.get("child_modules", ()):
        yield from _instances(child)


def references(configuration: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """For each resource of a plan's ``configuration``: what each of its arguments refers to.

    Keys and references are configuration addresses with their module.
    """
    found: dict[str, dict[str, list[str]]] = {}
    _collect(configuration.get("root_module") or {}, "", found)
    return found


def _collect(module: Mapping[str, Any], prefix: str, found: dict[str, dict[str, list[str]]]) -> None:
    for resource in module.get("resources", ()):
        arguments = {
            name: [f"{prefix}{reference}" for reference in expression.get("references", ())]
            for name, expression in (resource.get("expressions") or {}).items()
            if isinstance(expression, Mapping)
        }
        found[f"{prefix}{resource['address']}"] = arguments
    for name, call in (module.get("module_calls") or {}).items():
        _collect(call.get("module") or {}, f"{prefix}module.{name}.", found)
