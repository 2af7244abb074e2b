"""Base64, in which Azure takes what a machine reads at its start."""

from __future__ import annotations

import base64
import binascii

LARGEST = 87380  # characters: 64 KiB


def is_base64(value: str) -> None:
    """A validator."""
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64: wrap it in base64encode(…)") from None
    if len(value) > LARGEST:
        raise ValueError("is larger than the 64 KiB that Azure takes; fetch the rest at the start of the machine")
