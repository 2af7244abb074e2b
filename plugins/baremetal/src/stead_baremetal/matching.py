"""Which machines have the labels that are wanted, and which of those comes first.

A wanted label is a value; or several, of which one will do (``a|b``); or a bound for a number (``>=64``, ``<8``);
or ``*``, which any value meets; or ``!=value``.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterable, Mapping

from stead_baremetal.inventory import Machine

BOUNDS: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
    (">=", operator.ge),
    ("<=", operator.le),
    (">", operator.gt),
    ("<", operator.lt),
)


def meets(wanted: str, value: str | None) -> bool:
    """Whether the value of a label, ``None`` where there is none, is what is wanted."""
    if wanted.startswith("!="):
        return value != wanted[2:]
    if value is None:
        return False
    for sign, compare in BOUNDS:
        if wanted.startswith(sign):
            return _compared(compare, value, wanted.removeprefix(sign))
    return wanted == "*" or value in wanted.split("|")


def _compared(compare: Callable[[float, float], bool], value: str, bound: str) -> bool:
    try:
        return compare(float(value), float(bound))
    except ValueError:
        return False


def is_wanted(text: str) -> None:
    """A validator: a bound needs a number."""
    for sign, _ in BOUNDS:
        if text.startswith(sign):
            try:
                float(text.removeprefix(sign))
            except ValueError:
                raise ValueError(f"{text!r} needs a number after {sign}") from None
            return


def lacking(wanted: Mapping[str, str], machine: Machine) -> list[str]:
    """The wanted labels, as a person reads them, that the machine does not have."""
    return [shown(name, value) for name, value in sorted(wanted.items()) if not meets(value, machine.labels.get(name))]


def shown(name: str, value: str) -> str:
    return f"{name}{value}" if value[:1] in "<>!" and value else f"{name}={value}"


def ranked(machines: Iterable[Machine], wanted: Mapping[str, str], key: str) -> list[Machine]:
    """The cheapest first, then the one with the least beyond what is wanted; else each claim has an order of its own.

    So claims that race seldom meet at the same machine.
    """

    def rank(machine: Machine) -> tuple[float, int, str]:
        spread = hashlib.sha256(f"{key} {machine.name}".encode()).hexdigest()
        return machine.hourly_price, len(machine.labels.keys() - wanted.keys()), spread

    return sorted(machines, key=rank)
