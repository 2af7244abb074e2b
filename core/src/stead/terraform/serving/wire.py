"""Values, attribute paths and diagnostics of the provider protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgpack
from tf.gen import tfplugin_pb2 as pb

from stead.api.errors import ProviderFailure, SteadError
from stead.api.provider.context import Message
from stead.api.provider.fields import Attribute, Nesting
from stead.api.provider.model import Model
from stead.api.provider.types import List, Object, Set, Type
from stead.api.provider.values import Unknown

_UNKNOWN = msgpack.ExtType(0, b"\x00")
_STEP = re.compile(r'\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\["([^"]*)"\]')


def _from_extension(code: int, data: bytes) -> Any:
    """Extension 0 is an unknown value, 12 one of which something is known (not null, a prefix ...)."""
    del code, data
    return Unknown


def _to_extension(value: Any) -> Any:
    if value is Unknown:
        return _UNKNOWN
    raise TypeError(f"{type(value).__name__} cannot be sent to Terraform")


def unpack(value: pb.DynamicValue) -> Any:
    """The wire form that a message holds; ``None`` where it holds nothing."""
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, ext_hook=_from_extension, strict_map_key=False)
    return json.loads(value.json) if value.json else None


def pack(raw: Any) -> pb.DynamicValue:
    return pb.DynamicValue(msgpack=msgpack.packb(raw, default=_to_extension))


def warning(summary: str, detail: str = "", path: pb.AttributePath | None = None) -> pb.Diagnostic:
    return pb.Diagnostic(severity=pb.Diagnostic.WARNING, summary=summary, detail=detail, attribute=path)


def error(summary: str, detail: str = "", path: pb.AttributePath | None = None) -> pb.Diagnostic:
    return pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=summary, detail=detail, attribute=path)


def from_message(message: Message, model: type[Model], *, fatal: bool) -> pb.Diagnostic:
    build = error if fatal else warning
    return build(message.summary, message.detail, path_of(message.field, model))


def from_failure(failure: SteadError, model: type[Model]) -> pb.Diagnostic:
    """An expected failure. Those of providers name an attribute to point at; others name an input elsewhere."""
    field = failure.field if isinstance(failure, ProviderFailure) else None
    return error(failure.message, failure.remedy or "", path_of(field, model))


def path_of(field: str | None, model: type[Model]) -> pb.AttributePath | None:
    """``labels[0].value`` as steps. Elements of sets have no index, so a path ends at the set."""
    if not field:
        return None
    steps: list[pb.AttributePath.Step] = []
    inner: type[Model] | None = model
    unordered = False
    for name, index, key in _STEP.findall(field):
        if unordered:
            break
        if name:
            steps.append(pb.AttributePath.Step(attribute_name=name))
            inner, unordered = _inside(inner, name)
        elif index:
            steps.append(pb.AttributePath.Step(element_key_int=int(index)))
        else:
            steps.append(pb.AttributePath.Step(element_key_string=key))
    return pb.AttributePath(steps=steps)


def paths(names: Sequence[str]) -> list[pb.AttributePath]:
    """Paths of top-level fields."""
    return [pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name=name)]) for name in names]


def _inside(model: type[Model] | None, name: str) -> tuple[type[Model] | None, bool]:
    schema = model.schema() if model else None
    if schema is None or (name not in schema.attributes and name not in schema.blocks):
        return None, False
    field = schema.field(name)
    if isinstance(field, Attribute):
        return _model_of(field.type), isinstance(field.type, Set)
    return field.model, field.nesting is Nesting.SET


def _model_of(kind: Type) -> type[Model] | None:
    if isinstance(kind, Object):
        return kind.model
    return _model_of(kind.element) if isinstance(kind, List) else None
