"""Terraform states at rest: compressed, then sealed for the build that they belong to."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import zstandard

from stead.services.core import Core

_LARGEST = 1 << 30  # bytes; a state beyond this is not one of ours


def seal_state(core: Core, build_id: str, state: bytes) -> bytes:
    return core.keyring.seal(f"state:{build_id}", zstandard.ZstdCompressor(level=6).compress(state))


def open_state(core: Core, build_id: str, sealed: bytes) -> bytes:
    plain = core.keyring.open(f"state:{build_id}", sealed)
    return zstandard.ZstdDecompressor().decompress(plain, max_output_size=_LARGEST)


def journal_keys(state: bytes) -> frozenset[str]:
    """The journal keys of the resources in a Terraform state: our providers keep them as private data."""
    try:
        document = json.loads(state)
    except ValueError:
        return frozenset()
    return frozenset(_keys(document))


def resources(state: bytes) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Type and attributes of every managed resource in a Terraform state."""
    try:
        document = json.loads(state)
    except ValueError:
        return ()
    return tuple(
        (str(resource.get("type")), instance.get("attributes") or {})
        for resource in document.get("resources") or ()
        if resource.get("mode") == "managed"
        for instance in resource.get("instances") or ()
    )


def _keys(document: dict[str, Any]) -> Iterator[str]:
    for resource in document.get("resources") or ():
        for instance in resource.get("instances") or ():
            try:
                private = json.loads(base64.b64decode(instance.get("private") or ""))
            except ValueError:  # of a provider that is not ours
                continue
            if isinstance(private, dict) and isinstance(private.get("key"), str):
                yield private["key"]
