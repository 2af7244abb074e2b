"""How times, durations, sizes and money are written for people. Jinja filters, without Flask."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from markupsafe import Markup, escape

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
# Up to how many seconds a unit is used, its length, its name. The script in assets/js/clock.js has the same table.
_STEPS = (
    (45, 1, "second"),
    (45 * _MINUTE, _MINUTE, "minute"),
    (22 * _HOUR, _HOUR, "hour"),
    (26 * _DAY, _DAY, "day"),
    (320 * _DAY, 2_629_800, "month"),
)
_YEAR = 31_557_600
_JUST_NOW = 10
_CODE = re.compile(r"`([^`\n]+)`")


def coded(text: str) -> Markup:
    """A message whose commands stand between backticks, as HTML: they become code, all else stays text."""
    # What alternates with the text around it are the groups: every second piece.
    pieces = [escape(piece) for piece in _CODE.split(text)]
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if index % 2 else piece for index, piece in enumerate(pieces)
    )


def distance(seconds: float) -> str:
    """A length of time in its largest fitting unit: ``3 minutes``."""
    size, unit = next(((size, unit) for limit, size, unit in _STEPS if seconds < limit), (_YEAR, "year"))
    count = max(1, int(seconds / size + 0.5))
    return f"{count} {unit}{'' if count == 1 else 's'}"


def relative(at: datetime, now: datetime) -> str:
    """``3 minutes ago``, ``in 2 hours``, ``just now``."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < _JUST_NOW:
        return "just now"
    return f"{distance(seconds)} ago" if seconds > 0 else f"in {distance(-seconds)}"


def exact(at: datetime) -> str:
    """The whole time, for the tooltip."""
    return at.strftime("%A %-d %B %Y, %H:%M:%S %Z").strip()


def duration(value: timedelta | float) -> str:
    """How long something took: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < _JUST_NOW:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def size(count: int) -> str:
    """Bytes as people read them: ``812 bytes``, ``4.2 MB``."""
    if count == 1:
        return "1 byte"
    value = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def cost(daily: int) -> str:
    """What a workspace costs each day, in the units that its template counts in."""
    return "Nothing" if daily == 0 else f"{daily:,} a day"


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 workspace``, ``3 workspaces``, ``1,204 workspaces``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Vivaldi", "Vivaldi"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chromium", "Chromium"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


def browser(user_agent: str) -> str:
    """``Firefox on Windows``, as people call it; what is not known stays as it was sent."""
    if not user_agent.startswith("Mozilla/"):
        return user_agent or "unknown browser"
    found = next((name for mark, name in _BROWSERS if f"{mark}/" in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return " on ".join(filter(None, [found or "A browser", system]))


def initials(name: str) -> str:
    """One or two letters that stand for a person."""
    parts = [part for part in name.replace("-", " ").replace(".", " ").replace("_", " ").split() if part]
    return "".join(part[0] for part in parts[:2]).upper() or "?"
