"""Checks bodies against the vendor's published schema: the models of the SDK, strictly."""

from __future__ import annotations

import enum
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from azure.mgmt.compute import models as compute
from azure.mgmt.network import models as network
from azure.mgmt.resource.resources import models as resource

# Its values stopped growing in 2018; the vendor points to the list of sizes instead.
OPEN = ("VirtualMachineSizeTypes",)
MODULES = {"compute": compute, "network": network, "resource": resource}


@functools.cache
def fields(model: type) -> dict[str, tuple[Any, bool]]:
    """Type and writability by wire name."""
    found: dict[str, tuple[Any, bool]] = {}
    module = next(item for item in MODULES.values() if item.__name__ == model.__module__.removesuffix("._models"))
    scope = {**vars(typing), **vars(types), "_models": module}
    for base in reversed(model.__mro__):
        for name, annotation in vars(base).get("__annotations__", {}).items():
            field = vars(base).get(name)
            wire = getattr(field, "_rest_name_input", None) or name
            if hasattr(field, "_visibility"):
                readonly = field._visibility == ["read"]
                found[wire] = (_resolved(annotation, scope), not readonly)
    return found


def _resolved(annotation: Any, scope: dict[str, Any]) -> Any:
    holder = type("Holder", (), {"__annotations__": {"value": annotation}})
    return typing.get_type_hints(holder, scope, scope)["value"]


def problems(kind: Any, value: Any, where: str = "") -> Iterator[str]:  # noqa: C901 - one branch for each sort of type
    """Everything in which ``value`` is not what the schema wants."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or (value is None and type(None) in arguments):
        return
    if origin in (typing.Union, types.UnionType):
        yield from _union([item for item in arguments if item is not type(None)], value, where)
    elif origin in (list, typing.List):  # noqa: UP006 - models use both
        if not isinstance(value, list):
            yield f"{where}: expected a list"
            return
        for index, item in enumerate(value):
            yield from problems(arguments[0], item, f"{where}[{index}]")
    elif origin is dict:
        if not isinstance(value, Mapping):
            yield f"{where}: expected an object"
            return
        for key, item in value.items():
            yield from problems(arguments[1], item, f"{where}.{key}")
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        if kind.__name__ in OPEN:
            return
        if value not in {item.value for item in kind}:
            yield f"{where}: {value!r} is none of {[item.value for item in kind]}"
    elif isinstance(kind, type) and kind.__module__.endswith("._models"):
        yield from _object(kind, value, where)
    else:
        yield from _plain(kind, value, where)


def _union(kinds: list[Any], value: Any, where: str) -> Iterator[str]:
    enums = [item for item in kinds if isinstance(item, type) and issubclass(item, enum.Enum)]
    if enums:
        yield from problems(enums[0], value, where)
        return
    tries = [list(problems(item, value, where)) for item in kinds]
    if all(tries):
        yield from min(tries, key=len)


def _object(model: type, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: expected an object"
        return
    known = fields(model)
    for name, item in value.items():
        if name not in known:
            yield f"{where}.{name}: {model.__name__} has no such member"
        elif not known[name][1] and name not in ("id", "name", "type", "etag"):
            yield f"{where}.{name}: only Azure may say this"
        else:
            yield from problems(known[name][0], item, f"{where}.{name}")


def _plain(kind: Any, value: Any, where: str) -> Iterator[str]:
    wanted = {str: str, int: int, float: (int, float), bool: bool}.get(kind)
    if wanted is not None and (not isinstance(value, wanted) or (kind is not bool and isinstance(value, bool))):
        yield f"{where}: expected {kind.__name__}, got {value!r}"
