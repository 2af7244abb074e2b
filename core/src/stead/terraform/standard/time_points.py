"""Points in time as ``hashicorp/time`` writes them, and durations as Go writes them."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

from stead.api.provider import attribute
from stead.api.provider.model import Model

_FRACTION = re.compile(r"(?<=\d)\.(\d+)")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def now() -> datetime:
    """The present second in UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def parse(text: str) -> datetime:
    """An RFC 3339 timestamp, in its own zone; :class:`ValueError` where it is none."""
    try:
        parsed = datetime.fromisoformat(_FRACTION.sub(lambda match: f".{match[1][:6]:0<6}", text))
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or "T" not in text.upper():
        raise ValueError(f"must be a time such as 2026-01-31T12:00:00Z; it is {text!r}")
    return parsed


def rfc3339(moment: datetime) -> str:
    """The usual writing: whole seconds, and ``Z`` for UTC."""
    return moment.replace(microsecond=0).isoformat().removesuffix("+00:00") + (
        "Z" if moment.utcoffset() == timedelta(0) else ""
    )


def timestamp(text: str) -> None:
    """A validator: an RFC 3339 timestamp."""
    parse(text)


def seconds_of(text: str) -> float:
    """A duration such as ``1h30m`` or ``500ms`` in seconds; :class:`ValueError` where it is none."""
    if text == "0":
        return 0.0
    matches = list(_PART.finditer(text))
    if not matches or "".join(match[0] for match in matches) != text:
        raise ValueError(f"must be a duration such as 30s, 5m or 1h30m; it is {text!r}")
    return sum(float(match[1]) * _SECONDS[match[2]] for match in matches)


def duration(text: str) -> None:
    """A validator: a duration."""
    seconds_of(text)


def shifted(moment: datetime, *, years: int = 0, months: int = 0, **units: int) -> datetime:
    """Add calendar units first, then days, hours, minutes and seconds.

    A day that the month lacks runs over into the next one: a month after 31 January is 3 March, or 2 March
    in a leap year. That is how Terraform's own time provider counts.
    """
    month_index = moment.year * 12 + moment.month - 1 + years * 12 + months
    year, month = divmod(month_index, 12)
    overflow = max(0, moment.day - calendar.monthrange(year, month + 1)[1])
    base = moment.replace(year=year, month=month + 1, day=moment.day - overflow)
    return base + timedelta(days=overflow) + timedelta(**units)


class Parts(Model):
    """The computed attributes that take a point in time apart."""

    year: int = attribute(computed=True)
    month: int = attribute(computed=True)
    day: int = attribute(computed=True)
    hour: int = attribute(computed=True)
    minute: int = attribute(computed=True)
    second: int = attribute(computed=True)
    unix: int = attribute(computed=True, description="Seconds since 1970.")

    def take_apart(self, moment: datetime) -> None:
        self.year, self.month, self.day = moment.year, moment.month, moment.day
        self.hour, self.minute, self.second = moment.hour, moment.minute, moment.second
        self.unix = int(moment.timestamp())
