"""Quantities as Kubernetes writes them: ``500m`` and ``0.5`` are one, as are ``1Gi`` and ``1024Mi``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

SUFFIXES = {
    **{name: Decimal(1024) ** power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{name: Decimal(1000) ** power for power, name in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{name: Decimal(1000) ** -power for power, name in enumerate(("m", "u", "n"), 1)},
    "": Decimal(1),
}
FORM = re.compile(r"([+-]?\d*\.?\d+|[+-]?\d+\.)(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]))?")


def amount(text: str) -> Decimal:
    """The number; :class:`ValueError` where it is no quantity."""
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"must be a quantity such as 500m, 2 or 4Gi; it is {text!r}")
    return Decimal(found[1] + (found[2] or "")) * SUFFIXES[found[3] or ""]


def are_quantities(values: Mapping[str, str]) -> None:
    """A validator."""
    for name, text in values.items():
        if isinstance(text, str):
            try:
                amount(text)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None


def same(one: object, other: object) -> bool:
    """Whether two texts are the same quantity; texts that are none are compared as they stand."""
    if one == other:
        return True
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    try:
        return amount(one) == amount(other)
    except ValueError:
        return False
