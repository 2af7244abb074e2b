"""Declarative classes as schema messages of the provider protocol."""

from __future__ import annotations

import json
from typing import Any

from tf.gen import tfplugin_pb2 as pb

from stead.api.provider.fields import Attribute, Block, Nesting
from stead.api.provider.model import Model
from stead.api.provider.resources import DataSource, Provider, Resource
from stead.api.provider.types import List, Map, Object, Set, Type
from stead.terraform.serving.functions import signature

# ``write_only`` is field 11 of the message in newer editions of protocol 6 than the generated one;
# protobuf keeps fields that it does not know and sends them on.
_WRITE_ONLY = b"\x58\x01"

_BLOCKS = {
    Nesting.SINGLE: pb.Schema.NestedBlock.SINGLE,
    Nesting.LIST: pb.Schema.NestedBlock.LIST,
    Nesting.SET: pb.Schema.NestedBlock.SET,
    Nesting.MAP: pb.Schema.NestedBlock.MAP,
}
_OBJECTS: dict[type[Type], Any] = {
    List: pb.Schema.Object.LIST,
    Set: pb.Schema.Object.SET,
    Map: pb.Schema.Object.MAP,
}


_schemas: dict[type[Provider], pb.GetProviderSchema.Response] = {}


def provider_schema(provider: type[Provider]) -> pb.GetProviderSchema.Response:
    """Everything that Terraform asks about a provider class, made once per process."""
    if provider not in _schemas:
        _schemas[provider] = _provider(provider)
    return _schemas[provider]


def _provider(provider: type[Provider]) -> pb.GetProviderSchema.Response:
    return pb.GetProviderSchema.Response(
        provider=pb.Schema(block=_block(provider)),
        resource_schemas={kind.type_name: _resource(kind) for kind in provider.resources},
        data_source_schemas={kind.type_name: _data_source(kind) for kind in provider.data_sources},
        functions={function.__name__: signature(function) for function in provider.functions},
        server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=True),
    )


def _resource(kind: type[Resource]) -> pb.Schema:
    return pb.Schema(version=kind.schema_version, block=_block(kind))


def _data_source(kind: type[DataSource]) -> pb.Schema:
    return pb.Schema(block=_block(kind))


def _block(model: type[Model], *, deprecated: bool = False) -> pb.Schema.Block:
    schema = model.schema()
    _check_objects(model)
    return pb.Schema.Block(
        attributes=[_attribute(attribute) for attribute in schema.attributes.values()],
        block_types=[_nested(block) for block in schema.blocks.values()],
        description=schema.description,
        description_kind=pb.MARKDOWN,
        deprecated=deprecated,
    )


def _check_objects(model: type[Model]) -> None:
    """Terraform takes blocks for attributes only in schemas that have no nested attributes."""
    attributes = model.schema().attributes.values()
    mixed = any(item.as_blocks for item in attributes) and any(map(nested_object, attributes))
    if mixed:
        raise TypeError(f"{model.__name__} has objects with as_blocks beside objects without")


def _nested(block: Block) -> pb.Schema.NestedBlock:
    return pb.Schema.NestedBlock(
        type_name=block.name,
        block=_block(block.model, deprecated=bool(block.deprecated)),
        nesting=_BLOCKS[block.nesting],
        min_items=block.min_items,
        max_items=block.max_items,
    )


def _attribute(attribute: Attribute) -> pb.Schema.Attribute:
    message = pb.Schema.Attribute(
        name=attribute.name,
        description=attribute.description,
        description_kind=pb.MARKDOWN,
        required=attribute.required,
        optional=attribute.optional,
        computed=attribute.computed,
        sensitive=attribute.sensitive,
        deprecated=bool(attribute.deprecated),
    )
    nested = nested_object(attribute)
    if nested is None:
        message.type = json.dumps(attribute.type.signature()).encode()
    else:
        message.nested_type.CopyFrom(_object(attribute.type, nested))
    if attribute.write_only:
        message.MergeFromString(_WRITE_ONLY)
    return message


def nested_object(attribute: Attribute) -> type[Model] | None:
    """The object class of an attribute whose fields Terraform knows as nested attributes."""
    kind = attribute.type.element if isinstance(attribute.type, List | Set | Map) else attribute.type
    return kind.model if isinstance(kind, Object) and not attribute.as_blocks else None


def _object(kind: Type, model: type[Model]) -> pb.Schema.Object:
    return pb.Schema.Object(
        attributes=[_attribute(attribute) for attribute in model.schema().attributes.values()],
        nesting=_OBJECTS.get(type(kind), pb.Schema.Object.SINGLE),
    )
