"""Classes whose instances are Terraform values."""

from __future__ import annotations

import inspect
import sys
import typing
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from stead.api.provider.fields import Attribute, Block, Nesting
from stead.api.provider.types import Type, from_annotation, same_unordered
from stead.api.provider.values import Unknown


@dataclass(frozen=True)
class Schema:
    """The resolved fields of a class, by their Terraform names."""

    attributes: dict[str, Attribute]
    blocks: dict[str, Block]
    description: str

    def __iter__(self) -> typing.Iterator[Attribute | Block]:
        yield from self.attributes.values()
        yield from self.blocks.values()

    def field(self, name: str) -> Attribute | Block:
        return self.attributes[name] if name in self.attributes else self.blocks[name]


class Model:
    """Base of everything that has attributes and blocks.

    ``Model(name="x")`` sets fields by their Python names; what is not given is null, or empty for blocks.
    """

    __stead_fields__: ClassVar[dict[str, Attribute | Block]] = {}
    __stead_schema__: ClassVar[Schema]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = {key: value.bound(key) for key, value in vars(cls).items() if isinstance(value, Attribute | Block)}
        cls.__stead_fields__ = {**cls.__stead_fields__, **own}

    def __init__(self, **values: Any) -> None:
        for key, field in self.__stead_fields__.items():
            setattr(self, key, values.pop(key) if key in values else _absent(field))
        if values:
            raise TypeError(f"{type(self).__name__} has no field {sorted(values)[0]!r}")

    @classmethod
    def schema(cls) -> Schema:
        """The class's fields with their types. Annotations are resolved at the first call."""
        known: Schema | None = vars(cls).get("__stead_schema__")
        if known is None:
            known = cls.__stead_schema__ = _schema(cls)
        return known

    @classmethod
    def decode(cls, raw: dict[str, Any]) -> Self:
        """An instance from its wire form. Fields that the wire form lacks are null."""
        instance = cls()
        for field in cls.schema():
            if field.name in raw:
                setattr(instance, field.key, decode_field(field, raw[field.name]))
        return instance

    def encode(self) -> dict[str, Any]:
        """The wire form; :class:`TypeError` names the field whose value does not fit its type."""
        return {field.name: encode_field(field, getattr(self, field.key)) for field in self.schema()}

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(same(field, getattr(self, field.key), getattr(other, field.key)) for field in self.schema())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={self._shown(field)}" for key, field in self.__stead_fields__.items())
        return f"{type(self).__name__}({shown})"

    def _shown(self, field: Attribute | Block) -> str:
        value = getattr(self, field.key)
        hidden = isinstance(field, Attribute) and (field.sensitive or field.write_only)
        return "(sensitive)" if hidden and value is not None and value is not Unknown else repr(value)


class BlockSchema(Model):
    """Content of a nested block."""


class ObjectSchema(Model):
    """An object as the value of an attribute annotated ``Point``, ``list[Point]`` or ``dict[str, Point]``."""


def _absent(field: Attribute | Block) -> Any:
    return field.empty if isinstance(field, Block) else None


def _schema(cls: type[Model]) -> Schema:
    hints = _hints(cls)
    attributes, blocks = {}, {}
    for key, field in cls.__stead_fields__.items():
        if isinstance(field, Block):
            blocks[field.name] = field
        else:
            attributes[field.name] = replace(field, type=_type_of(cls, key, hints))
    own_doc = vars(cls).get("__doc__")
    return Schema(attributes, blocks, inspect.cleandoc(own_doc) if own_doc else "")


def _type_of(cls: type[Model], key: str, hints: dict[str, Any]) -> Type:
    if key not in hints:
        raise TypeError(f"{cls.__name__}.{key} needs an annotation that says its type")
    try:
        return from_annotation(hints[key])
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{key}: {error}") from None


def _hints(cls: type[Model]) -> dict[str, Any]:
    """Annotations of the fields alone, so that nothing else in the class needs to be resolvable."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        namespace = vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
        for key, annotation in vars(base).get("__annotations__", {}).items():
            if key in cls.__stead_fields__ and not isinstance(cls.__stead_fields__[key], Block):
                found[key] = _resolved(annotation, dict(namespace), dict(vars(base)))
    return found


def _resolved(annotation: Any, module: dict[str, Any], local: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    # A field called ``list`` or ``str`` must not hide the type of that name.
    scope = {key: value for key, value in local.items() if isinstance(value, type)}
    return typing.get_type_hints(_holder(annotation), module, scope)["value"]


def _holder(annotation: str) -> type:
    return type("Holder", (), {"__annotations__": {"value": annotation}})


def decode_field(field: Attribute | Block, raw: Any) -> Any:
    """The Python value of one field's wire value."""
    if isinstance(field, Attribute):
        return field.type.decode(raw)
    if raw is Unknown:
        return raw
    if raw is None:
        return field.empty
    if field.nesting is Nesting.SINGLE:
        return field.model.decode(raw)
    if field.nesting is Nesting.MAP:
        return {key: _decode_item(field, item) for key, item in raw.items()}
    return [_decode_item(field, item) for item in raw]


def _decode_item(field: Block, raw: Any) -> Any:
    return raw if raw is Unknown else field.model.decode(raw)


def encode_field(field: Attribute | Block, value: Any) -> Any:
    """The wire value of one field's Python value."""
    try:
        if isinstance(field, Attribute):
            return field.type.encode(value)
        return _encode_block(field, value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{field.name}: {error}") from None


def _encode_block(field: Block, value: Any) -> Any:
    if value is Unknown:
        return value
    if value is None:
        return None if field.nesting is Nesting.SINGLE else field.empty
    if field.nesting is Nesting.SINGLE:
        return _encode_item(field, value)
    if field.nesting is Nesting.MAP:
        return {key: _encode_item(field, item) for key, item in value.items()}
    return [_encode_item(field, item) for item in value]


def _encode_item(field: Block, value: Any) -> Any:
    if value is Unknown:
        return value
    if not isinstance(value, field.model):
        raise TypeError(f"expected {field.model.__name__}, got {type(value).__name__}")
    return value.encode()


def same(field: Attribute | Block, left: Any, right: Any) -> bool:
    """Whether two values of a field mean the same; unknown equals only unknown."""
    if isinstance(field, Attribute):
        return field.type.same(left, right)
    if left is Unknown or right is Unknown:
        return left is right
    left, right = (field.empty if value is None else value for value in (left, right))
    if field.nesting is Nesting.SET:
        return same_unordered(left, right, lambda one, other: bool(one == other))
    return bool(left == right)
