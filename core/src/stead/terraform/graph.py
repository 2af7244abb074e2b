"""Who depends on whom, from ``terraform graph -type=plan``."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable

_EDGE = re.compile(r'^\s*"\[root\] ((?:[^"\\]|\\.)+)" -> "\[root\] ((?:[^"\\]|\\.)+)"', re.MULTILINE)
_SUFFIX = re.compile(r" \(expand\)$")
_INDEX = re.compile(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]')


def configuration_address(address: str) -> str:
    """The address without instance keys: ``module.m["a"].x.y[0]`` is ``module.m.x.y``."""
    return _INDEX.sub("", address)


class Graph:
    """Edges between what a configuration declares, without instance keys.

    Resources, data sources, locals, variables, outputs and modules are nodes. Providers are none: what a
    provider's configuration refers to says nothing about the resources that the provider makes.
    """

    def __init__(self, dot: str) -> None:
        self.dependencies: dict[str, set[str]] = {}
        self.dependents: dict[str, set[str]] = {}
        for match in _EDGE.finditer(dot):
            source, target = (_name(group) for group in match.groups())
            if source and target and source != target:
                self.dependencies.setdefault(source, set()).add(target)
                self.dependents.setdefault(target, set()).add(source)

    def nearest_dependents(self, address: str, wanted: Callable[[str], bool]) -> list[str]:
        """The nearest wanted nodes that need ``address``, by name where several are equally near."""
        return _nearest(self.dependents, address, wanted)

    def nearest_dependencies(self, address: str, wanted: Callable[[str], bool]) -> list[str]:
        """The nearest wanted nodes that ``address`` needs."""
        return _nearest(self.dependencies, address, wanted)


def _name(label: str) -> str:
    text = label.replace('\\"', '"').replace("\\\\", "\\")
    if text == "root" or "provider[" in text:
        return ""
    return _INDEX.sub("", _SUFFIX.sub("", text))


def _nearest(edges: dict[str, set[str]], start: str, wanted: Callable[[str], bool]) -> list[str]:
    seen, layer = {start}, deque([start])
    while layer:
        found: Iterable[str] = {node for each in layer for node in edges.get(each, ())} - seen
        matches = sorted(filter(wanted, found))
        if matches:
            return matches
        seen |= set(found)
        layer = deque(found)
    return []
