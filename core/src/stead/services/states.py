"""Terraform states at rest: compressed, then sealed for the build that they belong to."""

from __future__ import annotations

import zstandard

from stead.domain.statefile import journal_keys, resources
from stead.services.core import Core

__all__ = ["journal_keys", "open_state", "resources", "seal_state"]

_LARGEST = 1 << 30  # bytes; a state beyond this is not one of ours


def seal_state(core: Core, build_id: str, state: bytes) -> bytes:
    return core.keyring.seal(f"state:{build_id}", zstandard.ZstdCompressor(level=6).compress(state))


def open_state(core: Core, build_id: str, sealed: bytes) -> bytes:
    plain = core.keyring.open(f"state:{build_id}", sealed)
    return zstandard.ZstdDecompressor().decompress(plain, max_output_size=_LARGEST)
