"""What a run's steps return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stead.api.policies import Plan
from stead.api.provider.context import ParameterReading, PresetReading
from stead.terraform.document import Document


@dataclass(frozen=True)
class Change:
    """What a plan does to one resource. ``action``: create, update, replace, delete or read."""

    address: str
    type: str
    name: str
    provider: str
    action: str

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Change | None:
        actions = value["change"]["actions"]
        if actions == ["no-op"]:
            return None
        return cls(
            address=value["address"],
            type=value["type"],
            name=value["name"],
            provider=value["provider_name"],
            action="replace" if len(actions) == 2 else actions[0],
        )


@dataclass(frozen=True)
class PlanResult:
    """A plan, ready to be applied.

    :param summary: what policies are told of it.
    :param graph: of the configuration; pass it to the next run of the same template version.
    :param path: the plan file, gone when the run closes.
    """

    changes: tuple[Change, ...]
    document: Document
    parameters: tuple[ParameterReading, ...]
    presets: tuple[PresetReading, ...]
    graph: str = field(repr=False)
    path: Path
    summary: Plan = field(default_factory=Plan, repr=False)

    @property
    def daily_cost(self) -> int:
        return self.document.daily_cost

    @property
    def has_changes(self) -> bool:
        return any(change.action != "read" for change in self.changes)


@dataclass(frozen=True)
class StateResult:
    """After an apply. ``state`` is Terraform's state file; it holds secrets."""

    state: bytes = field(repr=False)
    document: Document
    outputs: Mapping[str, Any] = field(repr=False)
