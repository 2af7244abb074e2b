"""The figures of a benchmark: each a value with its unit, and a goal where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measurement. ``goal`` is a bound in the same unit; ``at_most`` says on which side."""

    value: float
    unit: str
    goal: float | None = None
    at_most: bool = True

    @property
    def ok(self) -> bool:
        if self.goal is None:
            return True
        return self.value <= self.goal if self.at_most else self.value >= self.goal


class Figures:
    """Figures by name, in the order in which they were added."""

    def __init__(self) -> None:
        self._figures: dict[str, Figure] = {}

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """Record one figure, with its goal where there is one."""
        goal = at_most if at_most is not None else at_least
        self._figures[name] = Figure(round(value, 4), unit, goal, at_least is None)

    def add_percentiles(
        self, name: str, values: Sequence[float], unit: str, *, p50_at_most: float | None = None
    ) -> None:
        """Record median and 95th percentile as ``NAME_p50`` and ``NAME_p95``."""
        self.add(f"{name}_p50", percentile(values, 50), unit, at_most=p50_at_most)
        self.add(f"{name}_p95", percentile(values, 95), unit)

    @property
    def ok(self) -> bool:
        return all(figure.ok for figure in self._figures.values())

    def as_json(self) -> dict[str, dict[str, Any]]:
        return {
            name: {"value": f.value, "unit": f.unit, "goal": _goal(f), "ok": f.ok} for name, f in self._figures.items()
        }

    def as_table(self, title: str) -> str:
        width = max((len(name) for name in self._figures), default=0)
        lines = [title, "-" * len(title)]
        for name, figure in self._figures.items():
            goal = _goal(figure)
            verdict = "" if goal is None else f"   {'ok' if figure.ok else 'MISSED'} (goal {goal})"
            lines.append(f"{name:<{width}}  {figure.value:>12g} {figure.unit}{verdict}")
        return "\n".join(lines)


def percentile(values: Sequence[float], rank: float) -> float:
    """The nearest-rank percentile: the smallest value that at least ``rank`` percent do not exceed."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, -(-len(ordered) * rank // 100).__int__() - 1)]


def _goal(figure: Figure) -> str | None:
    if figure.goal is None:
        return None
    return f"{'<=' if figure.at_most else '>='} {figure.goal:g} {figure.unit}"
