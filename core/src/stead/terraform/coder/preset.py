"""``coder_workspace_preset``: parameter values under a name, and the pool of prebuilds for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stead.api.errors import ProviderFailure
from stead.api.provider import (
    BlockSchema,
    Context,
    DataSource,
    Nesting,
    PresetReading,
    attribute,
    between,
    block,
    length,
    non_empty,
)
from stead.terraform.coder import checks
from stead.terraform.coder.records import stable_id


class ExpirationPolicy(BlockSchema):
    ttl: int = attribute(
        required=True,
        force_new=True,
        validators=[checks.prebuild_lifetime],
        description="Seconds after which a prebuild that nobody claimed is replaced; 0 keeps it.",
    )


class Schedule(BlockSchema):
    cron: str = attribute(required=True, validators=[checks.prebuild_schedule], description="* HOUR DAY MONTH WEEKDAY")
    instances: int = attribute(required=True, validators=[between(low=0)])


class Scheduling(BlockSchema):
    """How many prebuilds to keep at which hours."""

    timezone: str = attribute(required=True, validators=[checks.time_zone])
    schedule: list[Schedule] = block(Schedule, nesting=Nesting.LIST, min_items=1)


class Prebuilds(BlockSchema):
    """A pool of started workspaces that belong to nobody yet."""

    instances: int = attribute(required=True, force_new=True, validators=[between(low=0)])
    expiration_policy: list[ExpirationPolicy] = block(ExpirationPolicy, nesting=Nesting.SET, max_items=1)
    scheduling: list[Scheduling] = block(Scheduling, nesting=Nesting.LIST, max_items=1)

    def plain(self) -> dict[str, Any]:
        """The block as plain values, for the control plane."""
        policy = self.expiration_policy[0] if self.expiration_policy else None
        scheduling = self.scheduling[0] if self.scheduling else None
        return {
            "instances": self.instances,
            "expiration_policy": {"ttl": policy.ttl} if policy else None,
            "scheduling": _plain_scheduling(scheduling) if scheduling else None,
        }


class WorkspacePreset(DataSource, name="coder_workspace_preset"):
    """A named set of parameter values that a person may start from."""

    id: str = attribute(computed=True)
    name: str = attribute(required=True, validators=[non_empty])
    description: str | None = attribute(optional=True, validators=[length(0, 128)])
    icon: str | None = attribute(optional=True, validators=[length(0, 256), checks.url])
    default: bool = attribute(default=False)
    parameters: dict[str, str] | None = attribute(optional=True)
    prebuilds: list[Prebuilds] = block(Prebuilds, nesting=Nesting.SET, max_items=1)

    def read(self, context: Context) -> None:
        self.id = stable_id(context.build, "preset", self.name)
        reading = PresetReading(
            name=self.name,
            default=bool(self.default),
            description=self.description or "",
            icon=self.icon or "",
            parameters=dict(self.parameters or {}),
            prebuilds=self.prebuilds[0].plain() if self.prebuilds else None,
        )
        _refuse_clash(reading, context.build.recorder.presets)
        context.build.recorder.preset(reading)


def _refuse_clash(reading: PresetReading, others: Sequence[PresetReading]) -> None:
    """A preset's name is its own, and one at most is the default. The same preset may be read again."""
    for other in others:
        if other.name == reading.name and other != reading:
            raise ProviderFailure(f"Two presets are named {reading.name!r}.", field="name")
        if other.name != reading.name and other.default and reading.default:
            raise ProviderFailure(
                f"The presets {other.name!r} and {reading.name!r} are both the default.",
                field="default",
                remedy="Set default on one of them only.",
            )


def _plain_scheduling(scheduling: Scheduling) -> dict[str, Any]:
    return {
        "timezone": scheduling.timezone,
        "schedule": [{"cron": item.cron, "instances": item.instances} for item in scheduling.schedule],
    }
