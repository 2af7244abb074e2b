"""Python annotations as Terraform types, and values to and from their wire form.

The wire form is what MessagePack and JSON of the provider protocol hold: strings, numbers, booleans,
``None``, lists and dicts, with :data:`~stead.api.provider.values.Unknown` in the place of what is unknown.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stead.api.provider.values import Unknown

if TYPE_CHECKING:
    from stead.api.provider.model import Model


class Type:
    """A Terraform type. ``signature`` is its JSON form; ``decode`` and ``encode`` translate one value."""

    def signature(self) -> Any:
        raise NotImplementedError

    def decode(self, raw: Any) -> Any:
        """The Python value of a wire value."""
        return raw if raw is None or raw is Unknown else self._decode(raw)

    def encode(self, value: Any) -> Any:
        """The wire value of a Python value; :class:`TypeError` where it does not fit."""
        return value if value is None or value is Unknown else self._encode(value)

    def same(self, left: Any, right: Any) -> bool:
        """Whether two Python values mean the same."""
        return bool(left is right or (left is not Unknown and right is not Unknown and left == right))

    def _decode(self, raw: Any) -> Any:
        raise NotImplementedError

    def _encode(self, value: Any) -> Any:
        raise NotImplementedError


def _mismatch(expected: str, value: object) -> TypeError:
    return TypeError(f"expected {expected}, got {type(value).__name__}")


class String(Type):
    def signature(self) -> Any:
        return "string"

    def _decode(self, raw: Any) -> Any:
        return str(raw)

    def _encode(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise _mismatch("str", value)
        return str(value)


class Boolean(Type):
    def signature(self) -> Any:
        return "bool"

    def _decode(self, raw: Any) -> Any:
        return raw == "true" if isinstance(raw, str) else bool(raw)

    def _encode(self, value: Any) -> Any:
        if not isinstance(value, bool):
            raise _mismatch("bool", value)
        return value


@dataclass(frozen=True)
class Number(Type):
    """``whole`` numbers are Python ints. Beyond 64 bits a number travels as a decimal string."""

    whole: bool

    def signature(self) -> Any:
        return "number"

    def _decode(self, raw: Any) -> Any:
        if not self.whole:
            return float(raw)
        number = int(raw) if isinstance(raw, int) else float(raw)
        if isinstance(raw, str) and raw.lstrip("-").isdigit():
            number = int(raw)
        if isinstance(number, float) and not number.is_integer():
            raise ValueError(f"must be a whole number, not {raw}")
        return int(number)

    def _encode(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            raise _mismatch("int" if self.whole else "float", value)
        return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value


@dataclass(frozen=True)
class List(Type):
    element: Type

    def signature(self) -> Any:
        return ["list", self.element.signature()]

    def _decode(self, raw: Any) -> Any:
        return [self.element.decode(item) for item in raw]

    def _encode(self, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _mismatch("list", value)
        return [self.element.encode(item) for item in value]

    def same(self, left: Any, right: Any) -> bool:
        if not (isinstance(left, list | tuple) and isinstance(right, list | tuple)):
            return super().same(left, right)
        return len(left) == len(right) and all(map(self.element.same, left, right))


@dataclass(frozen=True)
class Set(Type):
    """A Python ``set`` where the elements can be hashed (strings, numbers, booleans), else a ``list``."""

    element: Type

    def signature(self) -> Any:
        return ["set", self.element.signature()]

    def _decode(self, raw: Any) -> Any:
        items = [self.element.decode(item) for item in raw]
        return set(items) if isinstance(self.element, String | Number | Boolean) else items

    def _encode(self, value: Any) -> Any:
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            raise _mismatch("set", value)
        return [self.element.encode(item) for item in value]

    def same(self, left: Any, right: Any) -> bool:
        if isinstance(left, set) and isinstance(right, set):
            return left == right and Unknown not in left
        if not (isinstance(left, list) and isinstance(right, list)):
            return super().same(left, right)
        return same_unordered(left, right, self.element.same)


def same_unordered(left: list[Any], right: list[Any], same: typing.Callable[[Any, Any], bool]) -> bool:
    """Whether each item of one list has its own equal in the other."""
    rest = list(right)
    for item in left:
        match = next((index for index, other in enumerate(rest) if same(item, other)), None)
        if match is None:
            return False
        del rest[match]
    return not rest


@dataclass(frozen=True)
class Map(Type):
    element: Type

    def signature(self) -> Any:
        return ["map", self.element.signature()]

    def _decode(self, raw: Any) -> Any:
        return {key: self.element.decode(item) for key, item in raw.items()}

    def _encode(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _mismatch("dict", value)
        return {str(key): self.element.encode(item) for key, item in value.items()}

    def same(self, left: Any, right: Any) -> bool:
        if not (isinstance(left, dict) and isinstance(right, dict)):
            return super().same(left, right)
        return left.keys() == right.keys() and all(self.element.same(left[key], right[key]) for key in left)


@dataclass(frozen=True)
class Tuple(Type):
    elements: tuple[Type, ...]

    def signature(self) -> Any:
        return ["tuple", [element.signature() for element in self.elements]]

    def _decode(self, raw: Any) -> Any:
        return tuple(element.decode(item) for element, item in zip(self.elements, raw, strict=True))

    def _encode(self, value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(self.elements):
            raise _mismatch(f"tuple of {len(self.elements)}", value)
        return [element.encode(item) for element, item in zip(self.elements, value, strict=True)]


@dataclass(frozen=True)
class Object(Type):
    """An :class:`~stead.api.provider.ObjectSchema` as a value."""

    model: type[Model]

    def signature(self) -> Any:
        fields = self.model.schema().attributes.values()
        return ["object", {field.name: field.type.signature() for field in fields}]

    def _decode(self, raw: Any) -> Any:
        return self.model.decode(raw)

    def _encode(self, value: Any) -> Any:
        if not isinstance(value, self.model):
            raise _mismatch(self.model.__name__, value)
        return value.encode()


class DynamicList(list[Any]):
    """A list of a dynamic attribute, with the exact Terraform type that it came with."""

    signature: Any = None


class DynamicDict(dict[str, Any]):
    """A map or object of a dynamic attribute, with the exact Terraform type that it came with."""

    signature: Any = None


class Dynamic(Type):
    """Any type: the value travels together with its type."""

    def signature(self) -> Any:
        return "dynamic"

    def _decode(self, raw: Any) -> Any:
        if isinstance(raw, Mapping):  # the JSON form
            return _tagged(raw["value"], raw["type"])
        signature, value = raw
        return _tagged(value, json.loads(signature))

    def _encode(self, value: Any) -> Any:
        signature = getattr(value, "signature", None) or infer(value)
        return [json.dumps(signature).encode(), _plain(value)]


def _tagged(value: Any, signature: Any) -> Any:
    if isinstance(value, list):
        tagged_list = DynamicList(value)
        tagged_list.signature = signature
        return tagged_list
    if isinstance(value, dict):
        tagged_dict = DynamicDict(value)
        tagged_dict.signature = signature
        return tagged_dict
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return value


def infer(value: Any) -> Any:
    """The Terraform type of a plain Python value: sequences are tuples, dicts are objects."""
    if value is None or value is Unknown:
        return "dynamic"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Mapping):
        return ["object", {str(key): infer(item) for key, item in value.items()}]
    if isinstance(value, list | tuple | set):
        return ["tuple", [infer(item) for item in value]]
    raise _mismatch("a plain value", value)


STRING, BOOLEAN, WHOLE, NUMBER, DYNAMIC = (
    String(),
    Boolean(),
    Number(whole=True),
    Number(whole=False),
    Dynamic(),
)
_PLAIN: dict[Any, Type] = {
    str: STRING,
    bool: BOOLEAN,
    int: WHOLE,
    float: NUMBER,
    Any: DYNAMIC,
    object: DYNAMIC,
}
_COLLECTIONS: dict[Any, Any] = {list: List, set: Set, frozenset: Set}


def from_annotation(annotation: Any) -> Type:
    """The Terraform type of a resolved annotation; ``X | None`` means the same as ``X``."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _from_union(annotation, arguments)
    if origin in _COLLECTIONS:
        return typing.cast("Type", _COLLECTIONS[origin](from_annotation(arguments[0])))
    if origin is dict and arguments[0] is str:
        return Map(from_annotation(arguments[1]))
    if origin is tuple and Ellipsis not in arguments:
        return Tuple(tuple(from_annotation(argument) for argument in arguments))
    if isinstance(annotation, type) and hasattr(annotation, "__stead_fields__"):
        return Object(typing.cast("type[Model]", annotation))
    raise TypeError(f"{annotation!r} has no Terraform type")


def _from_union(annotation: Any, arguments: tuple[Any, ...]) -> Type:
    rest = [argument for argument in arguments if argument is not type(None)]
    if len(rest) != 1:
        raise TypeError(f"{annotation!r} has no Terraform type: only a union with None has one")
    return from_annotation(rest[0])
