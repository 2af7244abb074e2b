"""What a template declares, as the records that are stored."""

from __future__ import annotations

from collections.abc import Iterable

from stead.api.provider import ParameterReading, PresetReading
from stead.domain import records


def parameter(reading: ParameterReading) -> records.Parameter:
    """A parameter as the template declares it."""
    rules = reading.validation or {}
    known = {name: rules[name] for name in ("min", "max", "monotonic", "regex", "error") if rules.get(name) is not None}
    return records.Parameter(
        name=reading.name,
        display_name=reading.display_name,
        description=reading.description,
        type=reading.type,
        form_type=reading.form_type,
        default=reading.default,
        required=reading.required,
        mutable=reading.mutable,
        ephemeral=reading.ephemeral,
        icon=reading.icon,
        order=reading.order,
        options=tuple(records.ParameterOption(o.name, o.value, o.description, o.icon) for o in reading.options),
        validation=records.ParameterValidation(**known) if known else None,
        styling=dict(reading.styling),
    )


def preset(reading: PresetReading) -> records.Preset:
    return records.Preset(
        name=reading.name,
        default=reading.default,
        description=reading.description,
        icon=reading.icon,
        parameters=dict(reading.parameters),
        prebuilds=reading.prebuilds,
    )


def values(readings: Iterable[ParameterReading]) -> dict[str, str]:
    """What the template saw, by parameter."""
    return {reading.name: reading.value for reading in readings if reading.value is not None}
