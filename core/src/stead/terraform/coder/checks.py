"""Checks that several resources of the coder provider share.

A validator takes a known value and raises :class:`ValueError` with the reason where it does not accept it.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

from stead.api.errors import ProviderFailure
from stead.api.provider import is_known, matches

_NOT_IN_URLS = re.compile(r"[\s\x00-\x1f]")
#: A schedule is valid or not on any day; a fixed one keeps the check the same on all of them.
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)

slug = matches(
    r"[a-z0-9](-?[a-z0-9])*",
    "must hold lower-case letters and digits, joined by single hyphens, such as code-server",
)
env_name = matches(r"[a-zA-Z_][a-zA-Z0-9_]*", "must hold letters, digits and underscores, and start with no digit")
absolute_path = matches(r"/[^\x00]*", "must be an absolute path: start it with a slash")
home_or_absolute_path = matches(r"(~/|/)[^\x00]*", "must start with ~/ or with /")


def url(value: str) -> None:
    """A URL, or a path of the control plane such as ``/icon/docker.svg``; empty is allowed."""
    if _NOT_IN_URLS.search(value):
        raise ValueError(f"must be a URL, and {value!r} holds white space")
    try:
        _ = urlsplit(value).port
    except ValueError as error:
        raise ValueError(f"must be a URL, and {value!r} is none: {error}") from None


def uuid_text(value: str) -> None:
    try:
        uuid.UUID(value)
    except ValueError:
        raise ValueError(f"must be the id of a coder_app, and {value!r} is no UUID") from None


def script_schedule(value: str) -> None:
    """Six fields, seconds first: ``0 30 8 * * 1-5`` is 08:30:00 from Monday to Friday. Empty is none."""
    if not value:
        return
    if len(value.split()) != 6:
        raise ValueError(
            f"must have six fields (second, minute, hour, day of month, month, day of week); it is {value!r}"
        )
    _parse_cron(value, seconds_first=True)


def prebuild_schedule(value: str) -> None:
    """``* HOUR DOM MONTH DOW``: the minute is a star, as pools are sized by the hour."""
    fields = value.split()
    if len(fields) != 5 or fields[0] != "*":
        raise ValueError(f"must have five fields, of which the first is * (* HOUR DAY MONTH WEEKDAY); it is {value!r}")
    _parse_cron(value, seconds_first=False)


def time_zone(value: str) -> None:
    """An IANA name."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"must be the IANA name of a time zone, such as UTC or Europe/Berlin; it is {value!r}"
        ) from None


def prebuild_lifetime(value: int) -> None:
    if value != 0 and not 3600 <= value <= 31536000:
        raise ValueError(f"must be 0 (no expiry) or 3600 (an hour) to 31536000 (a year) seconds; it is {value}")


def refuse_repeats(values: Iterable[Any], *, what: str, field: str) -> None:
    """Raise where a known value stands twice. A ``{}`` in ``field`` becomes the index of the second one."""
    listed = list(values)
    counts = Counter(value for value in listed if is_known(value))
    repeated = next((value for value, count in counts.items() if count > 1), None)
    if repeated is not None:
        second = listed.index(repeated, listed.index(repeated) + 1)
        raise ProviderFailure(
            f"{what} {repeated!r} is used twice.", field=field.format(second), remedy="Give each its own."
        )


def all_known(*values: object) -> bool:
    """Whether a rule over these values can be judged yet."""
    return all(is_known(value) for value in values)


def _parse_cron(value: str, *, seconds_first: bool) -> None:
    try:
        croniter(value, _ANY_DAY, second_at_beginning=seconds_first)
    except CroniterError as error:
        raise ValueError(f"must be a schedule that can be read: {error}") from None
