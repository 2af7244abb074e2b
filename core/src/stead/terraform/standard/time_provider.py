"""``hashicorp/time``: points in time that stay, offsets from them, rotations and pauses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stead.api.errors import ProviderFailure
from stead.api.provider import Context, Plan, Provider, Unknown, attribute, between
from stead.api.records import NoSettings, ProviderSpec
from stead.terraform.standard.time_points import (
    Parts,
    duration,
    now,
    parse,
    rfc3339,
    seconds_of,
    shifted,
    timestamp,
)
from stead.terraform.standard.virtual import Virtual

_UNITS = ("years", "months", "days", "hours", "minutes", "seconds")
_MOMENT = ("year", "month", "day", "hour", "minute", "second", "unix")


class TimeStatic(Parts, Virtual, name="time_static"):
    """The time of its create, or a given one."""

    id: str = attribute(computed=True)
    rfc3339: str = attribute(optional=True, computed=True, force_new=True, validators=[timestamp])
    triggers: dict[str, str] | None = attribute(optional=True, force_new=True)

    def create(self, context: Context) -> None:
        del context
        moment = parse(self.rfc3339) if isinstance(self.rfc3339, str) else now()
        self.id = self.rfc3339 = self.rfc3339 if isinstance(self.rfc3339, str) else rfc3339(moment)
        self.take_apart(moment)

    @classmethod
    def import_(cls, context: Context, identity: str) -> TimeStatic:
        """An RFC 3339 timestamp."""
        del context
        return _at(cls(id=identity, rfc3339=identity), identity)


class TimeOffset(Parts, Virtual, name="time_offset"):
    """A point in time at a distance from the time of its create, or from a given one."""

    id: str = attribute(computed=True)
    base_rfc3339: str = attribute(optional=True, computed=True, force_new=True, validators=[timestamp])
    offset_years: int | None = attribute(optional=True)
    offset_months: int | None = attribute(optional=True)
    offset_days: int | None = attribute(optional=True)
    offset_hours: int | None = attribute(optional=True)
    offset_minutes: int | None = attribute(optional=True)
    offset_seconds: int | None = attribute(optional=True)
    triggers: dict[str, str] | None = attribute(optional=True, force_new=True)
    rfc3339: str = attribute(computed=True)

    def validate(self, context: Context) -> None:
        del context
        if all(getattr(self, f"offset_{unit}") is None for unit in _UNITS):
            raise ProviderFailure("No offset is set.", field="offset_days", remedy="Set one of the offset_ arguments.")

    def plan(self, context: Context, plan: Plan) -> None:
        del context
        if plan.action == "update":
            for name in (*_MOMENT, "rfc3339"):
                setattr(self, name, Unknown)

    def create(self, context: Context) -> None:
        del context
        if not isinstance(self.base_rfc3339, str):
            self.base_rfc3339 = rfc3339(now())
        self.id = self.base_rfc3339
        self._apply()

    def update(self, context: Context, prior: TimeOffset) -> None:
        del context, prior
        self._apply()

    def _apply(self) -> None:
        offsets = {unit: getattr(self, f"offset_{unit}") or 0 for unit in _UNITS}
        moment = _shift(parse(self.base_rfc3339), offsets, "offset")
        self.rfc3339 = rfc3339(moment)
        self.take_apart(moment)


class TimeRotating(Parts, Virtual, name="time_rotating"):
    """A point in time that is renewed when the rotation time has come."""

    id: str = attribute(computed=True)
    rfc3339: str = attribute(optional=True, computed=True, force_new=True, validators=[timestamp])
    rotation_years: int | None = attribute(optional=True, validators=[between(low=1)])
    rotation_months: int | None = attribute(optional=True, validators=[between(low=1)])
    rotation_days: int | None = attribute(optional=True, validators=[between(low=1)])
    rotation_hours: int | None = attribute(optional=True, validators=[between(low=1)])
    rotation_minutes: int | None = attribute(optional=True, validators=[between(low=1)])
    rotation_rfc3339: str = attribute(optional=True, computed=True, validators=[timestamp])
    triggers: dict[str, str] | None = attribute(optional=True, force_new=True)

    def validate(self, context: Context) -> None:
        del context
        if self.rotation_rfc3339 is None and all(value is None for value in self._rotation().values()):
            raise ProviderFailure(
                "No rotation is set.", field="rotation_days", remedy="Set one of the rotation_ arguments."
            )

    def plan(self, context: Context, plan: Plan) -> None:
        del context
        if plan.action == "update" and "rotation_rfc3339" not in plan.changed:
            self.rotation_rfc3339 = Unknown

    def create(self, context: Context) -> None:
        del context
        moment = parse(self.rfc3339) if isinstance(self.rfc3339, str) else now()
        if not isinstance(self.rfc3339, str):
            self.rfc3339 = rfc3339(moment)
        self.id = self.rfc3339
        self.take_apart(moment)
        self._set_rotation()

    def update(self, context: Context, prior: TimeRotating) -> None:
        del context, prior
        self._set_rotation()

    def read(self, context: Context) -> bool:
        """Once the rotation time has passed, the resource counts as gone and is made anew."""
        del context
        return now() < parse(self.rotation_rfc3339)

    def _rotation(self) -> dict[str, Any]:
        return {unit: getattr(self, f"rotation_{unit}") for unit in _UNITS[:-1]}

    def _set_rotation(self) -> None:
        if isinstance(self.rotation_rfc3339, str):
            return
        amounts = {unit: amount or 0 for unit, amount in self._rotation().items()}
        self.rotation_rfc3339 = rfc3339(_shift(parse(self.rfc3339), amounts, "rotation"))


class TimeSleep(Virtual, name="time_sleep"):
    """A pause before what depends on it, and one before it is removed."""

    id: str = attribute(computed=True)
    create_duration: str | None = attribute(optional=True, validators=[duration])
    destroy_duration: str | None = attribute(optional=True, validators=[duration])
    triggers: dict[str, str] | None = attribute(optional=True, force_new=True)

    def validate(self, context: Context) -> None:
        del context
        if self.create_duration is None and self.destroy_duration is None:
            raise ProviderFailure(
                "No duration is set.",
                field="create_duration",
                remedy="Set create_duration or destroy_duration.",
            )

    def create(self, context: Context) -> None:
        _pause(context, self.create_duration)
        self.id = rfc3339(now())

    def update(self, context: Context, prior: TimeSleep) -> None:
        """Another duration holds from the next create or destroy on."""

    def delete(self, context: Context) -> None:
        _pause(context, self.destroy_duration)


class Time(Provider, address="hashicorp/time", resources=[TimeOffset, TimeRotating, TimeSleep, TimeStatic]):
    """Points in time, and pauses."""


def time_provider() -> ProviderSpec:
    return ProviderSpec(address="hashicorp/time", title="Time", factory=_make)


def _make(settings: NoSettings) -> Time:
    del settings
    return Time()


def _pause(context: Context, length: str | None) -> None:
    if length:
        context.wait(seconds_of(length))


def _shift(moment: datetime, amounts: dict[str, int], kind: str) -> datetime:
    try:
        return shifted(moment, **amounts)
    except (ValueError, OverflowError):
        raise ProviderFailure(f"The {kind} leads to a year that no calendar has.", field=f"{kind}_years") from None


def _at(instance: TimeStatic, text: str) -> TimeStatic:
    try:
        instance.take_apart(parse(text))
    except ValueError as error:
        raise ProviderFailure(f"The time to import {error}.") from None
    return instance
