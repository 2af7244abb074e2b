"""Tags: those of a template, and those by which Stead knows what is its own.

AWS allows letters, digits, spaces and ``_ . : / = + - @`` in tags, at most 256 characters in a value. Stead's labels
(``stead.key`` …) fit as they are; other characters of a value become ``_``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

KEY = "stead.key"
DEPLOYMENT = "stead.deployment"
OWN = "stead."
SYSTEM = "aws:"
Tags = dict[str, str]
_REFUSED = re.compile(r"[^\w\s.:/=+\-@]")


def own(labels: Mapping[str, str]) -> Tags:
    """Stead's labels as tags; empty ones are left out."""
    return {name: _REFUSED.sub("_", value)[:256] for name, value in labels.items() if value}


def to_api(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def of_api(found: Iterable[Mapping[str, str]] | None) -> Tags:
    """Every tag that AWS tells, Stead's own among them."""
    return {item["Key"]: item.get("Value", "") for item in found or ()}


def visible(tags: Mapping[str, str]) -> Tags:
    """What a template may know of: neither Stead's tags nor AWS's own."""
    return {name: value for name, value in tags.items() if not name.startswith((OWN, SYSTEM))}


def specification(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """``TagSpecifications`` of a call that creates."""
    return [{"ResourceType": kind, "Tags": to_api(tags)}] if tags else []


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[list[str], Tags]:
    """Names to remove, and tags to set, to come from one to the other. Stead's own are never touched."""
    gone = [name for name in before if name not in after and not name.startswith(OWN)]
    return gone, {name: value for name, value in after.items() if before.get(name) != value}
