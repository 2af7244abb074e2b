"""Records inside JSON columns."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from stead.domain.records import AgentMetadata, MetadataItem, Parameter, Preset, ProviderChoice, Variable

PARAMETERS = TypeAdapter(tuple[Parameter, ...])
PRESETS = TypeAdapter(tuple[Preset, ...])
VARIABLES = TypeAdapter(tuple[Variable, ...])
PROVIDERS = TypeAdapter(tuple[ProviderChoice, ...])
METADATA_ITEMS = TypeAdapter(tuple[MetadataItem, ...])
AGENT_METADATA = TypeAdapter(tuple[AgentMetadata, ...])


def dump(records: Any) -> list[dict[str, Any]]:
    """Frozen dataclasses as plain JSON values."""
    return [asdict(record) for record in records]
