"""Labels: those of a template, and those by which Stead knows what is its own.

Google Cloud allows lower-case letters, digits, ``-`` and ``_`` in labels, 63 at most. So ``stead.workspace.name``
becomes ``stead-workspace-name``, and a value that does not fit is rewritten with a digest of the original at its end,
so that two different values stay different. Firewall rules bear no labels: their last line of description does::

    Allows SSH from the office.
    [stead-deployment=… stead-key=… …]
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

OWN = "stead-"
KEY = "stead-key"
DEPLOYMENT = "stead-deployment"
LONGEST = 63
Labels = dict[str, str]
_FITS = re.compile(r"[a-z0-9_-]{0,63}")
_LINE = re.compile(r"\n?\[((?:stead-[a-z-]+=[a-z0-9_-]+ ?)+)\]\Z")


def value(text: str) -> str:
    """A label's value for any text."""
    if _FITS.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[: LONGEST - 9] + "-" + digest


def own(labels: Mapping[str, str]) -> Labels:
    """Stead's labels in the form that Google Cloud takes; empty ones are left out."""
    return {name.replace(".", "-"): value(text) for name, text in labels.items() if text}


def visible(labels: Mapping[str, str] | None) -> Labels:
    """What a template would have given."""
    return {name: text for name, text in (labels or {}).items() if not name.startswith(OWN)}


def carries(labels: Mapping[str, str] | None, key: str) -> bool:
    return bool(key) and (labels or {}).get(KEY) == value(key)


def described(description: str | None, labels: Mapping[str, str]) -> str:
    """A description that carries Stead's labels."""
    line = " ".join(f"{name}={text}" for name, text in own(labels).items())
    return f"{description}\n[{line}]" if description else f"[{line}]"


def of_description(description: str | None) -> tuple[str, Labels]:
    """What a template has given as description, and the labels in it."""
    found = _LINE.search(description or "")
    if found is None:
        return description or "", {}
    pairs = [item.partition("=") for item in found.group(1).split()]
    return (description or "")[: found.start()], {name: text for name, _, text in pairs}


def replaced(before: str | None, after: str | None) -> str:
    """The new description with the labels that the old one carries."""
    _, labels = of_description(before)
    line = " ".join(f"{name}={text}" for name, text in labels.items())
    return "\n".join(filter(None, [after, f"[{line}]" if line else ""]))
