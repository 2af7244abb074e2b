"""Terraform providers in Python: declare classes, and the engine serves them to Terraform.

See ``docs/development/provider-api.md``.
"""

from stead.api.provider.context import (
    BuildContext,
    Context,
    Message,
    Owner,
    ParameterOption,
    ParameterReading,
    Plan,
    PresetReading,
    Recorder,
)
from stead.api.provider.fields import Nesting, attribute, block
from stead.api.provider.model import BlockSchema, ObjectSchema
from stead.api.provider.resources import DataSource, Provider, Resource
from stead.api.provider.validators import between, each, length, matches, non_empty, one_of
from stead.api.provider.values import Unknown, is_known, is_wholly_known

__all__ = [
    "BlockSchema",
    "BuildContext",
    "Context",
    "DataSource",
    "Message",
    "Nesting",
    "ObjectSchema",
    "Owner",
    "ParameterOption",
    "ParameterReading",
    "Plan",
    "PresetReading",
    "Provider",
    "Recorder",
    "Resource",
    "Unknown",
    "attribute",
    "between",
    "block",
    "each",
    "is_known",
    "is_wholly_known",
    "length",
    "matches",
    "non_empty",
    "one_of",
]
