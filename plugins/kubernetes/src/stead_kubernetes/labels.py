"""Labels by which Stead knows what is its own.

Their names are valid in Kubernetes as they are. A value there has at most 63 letters, digits, dashes, dots and
underscores, and begins and ends with a letter or digit: another one is brought to that form and gets a digest
of what it was, so that two values never become one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

KEY = "stead.key"
DEPLOYMENT = "stead.deployment"
OWN = "stead."
MANAGER = "stead"  # field manager of server-side apply
VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


def value(text: str) -> str:
    """The text in the form that a label may have."""
    if VALUE.fullmatch(text):
        return text
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-_.")[:50].rstrip("-_.")
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{plain}-{digest}" if plain else digest


def own(labels: Mapping[str, str]) -> dict[str, str]:
    """Stead's labels, as they are written."""
    return {name: value(text) for name, text in labels.items()}


def kept(labels: Mapping[str, str]) -> dict[str, str]:
    """Stead's labels of something that exists: they stay as they were when it was made."""
    return {name: text for name, text in labels.items() if name.startswith(OWN)}


def carries(found: Mapping[str, object], key: str) -> bool:
    """Whether an object was made under this journal key."""
    labels = (found.get("metadata") or {}).get("labels") or {}  # type: ignore[attr-defined]
    return bool(key) and labels.get(KEY) == value(key)
