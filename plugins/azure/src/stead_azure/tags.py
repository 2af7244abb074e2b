"""Tags: those of a template, and those by which Stead knows what is its own.

Azure allows at most 512 characters in a name, without ``<>%&\\?/`` and control characters, and 256 in a value. Stead's
labels (``stead.key`` …) fit as they are. Names are compared without regard to case.

Subnets bear no tags. The network that holds one says whose it is instead: ``stead.subnet.NAME`` with the value
``KEY DEPLOYMENT``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "stead.key"
DEPLOYMENT = "stead.deployment"
OWN = "stead."
SUBNET = "stead.subnet."
LONGEST = 256
REFUSED = "<>%&\\?/"
Tags = dict[str, str]


def own(labels: Mapping[str, str]) -> Tags:
    """Stead's labels as tags; empty ones are left out."""
    return {name: value[:LONGEST] for name, value in labels.items() if value}


def visible(found: Mapping[str, str] | None) -> Tags:
    """What a template may know of: neither Stead's tags nor the hidden ones of Azure."""
    return {name: value for name, value in (found or {}).items() if not name.lower().startswith((OWN, "hidden-"))}


def merged(template: Mapping[str, str] | None, present: Mapping[str, str] | None, labels: Mapping[str, str]) -> Tags:
    """What a thing shall carry: the template's tags, Stead's labels, and what Stead or Azure have put there before."""
    kept = {name: value for name, value in (present or {}).items() if name not in visible(present)}
    return {**(template or {}), **own(labels), **kept}


def carries(found: Mapping[str, Any], key: str) -> bool:
    """Whether something was made under this journal key."""
    return bool(key) and (found.get("tags") or {}).get(KEY) == key


def subnet_mark(deployment: str, key: str) -> str:
    return f"{key} {deployment}"


def valid(values: Mapping[str, str]) -> None:
    """A validator."""
    for name, value in values.items():
        if not name or len(name) > 512 or any(letter in REFUSED for letter in name):
            raise ValueError(f"the tag name {name!r} must have 1 to 512 characters, and none of {REFUSED}")
        if isinstance(value, str) and len(value) > LONGEST:
            raise ValueError(f"the value of tag {name!r} is longer than {LONGEST} characters")
        if name.lower().startswith(OWN):
            raise ValueError(f"the tag name {name!r} belongs to Stead; choose another")
