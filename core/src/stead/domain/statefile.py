"""What stands in a Terraform state file."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any


def journal_keys(state: bytes) -> frozenset[str]:
    """The journal keys of the resources in a Terraform state: our providers keep them as private data."""
    return frozenset(_keys(_document(state)))


def resources(state: bytes) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Type and attributes of every managed resource in a Terraform state."""
    return tuple(
        (str(resource.get("type")), instance.get("attributes") or {})
        for resource in _document(state).get("resources") or ()
        if resource.get("mode") == "managed"
        for instance in resource.get("instances") or ()
    )


def serial(state: bytes) -> int | None:
    """Terraform counts every write of a state; ``None`` for what is not a whole state."""
    found = _document(state).get("serial")
    return found if isinstance(found, int) else None


def _document(state: bytes) -> dict[str, Any]:
    try:
        document = json.loads(state)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _keys(document: dict[str, Any]) -> Iterator[str]:
    for resource in document.get("resources") or ():
        for instance in resource.get("instances") or ():
            try:
                private = json.loads(base64.b64decode(instance.get("private") or ""))
            except ValueError:  # of a provider that is not ours
                continue
            if isinstance(private, dict) and isinstance(private.get("key"), str):
                yield private["key"]
