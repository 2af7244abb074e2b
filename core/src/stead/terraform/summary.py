"""A plan as policies see it: what becomes of each resource, without what is sensitive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stead.api.policies import Plan, PlannedAction, PlannedResource

LONGEST_VALUE = 8 * 1024  # characters; scripts and user data are longer

_ACTIONS = {
    "no-op": PlannedAction.KEEP,
    "create": PlannedAction.CREATE,
    "update": PlannedAction.UPDATE,
    "delete": PlannedAction.DELETE,
    "forget": PlannedAction.DELETE,
    "read": PlannedAction.READ,
}


def summary(shown: Mapping[str, Any], daily_cost: int = 0) -> Plan:
    """Of ``terraform show -json PLAN``."""
    planned = [_resource(item) for item in shown.get("resource_changes") or ()]
    known = {resource.address for resource in planned}
    prior = (shown.get("prior_state") or {}).get("values") or {}
    read = [resource for resource in _data_sources(prior.get("root_module") or {}) if resource.address not in known]
    resources = sorted([*planned, *read], key=lambda resource: resource.address)
    return Plan(resources=tuple(resources), daily_cost=daily_cost)


def _data_sources(module: Mapping[str, Any]) -> Iterator[PlannedResource]:
    """Those that the plan has read already: a plan lists the others only."""
    for item in module.get("resources", ()):
        if item.get("mode") == "data":
            yield _read(item)
    for child in module.get("child_modules", ()):
        yield from _data_sources(child)


def _read(item: Mapping[str, Any]) -> PlannedResource:
    return PlannedResource(
        address=item["address"], type=item["type"], provider=item["provider_name"], action=PlannedAction.READ
    )


def _resource(item: Mapping[str, Any]) -> PlannedResource:
    if item.get("mode") == "data":
        return _read(item)
    change = item["change"]
    actions: Sequence[str] = change["actions"]
    action = PlannedAction.REPLACE if len(actions) == 2 else _ACTIONS[actions[0]]
    side = "before" if action is PlannedAction.DELETE else "after"
    unknown = change.get("after_unknown") if side == "after" else None
    withheld: list[str] = []
    attributes = _told(change.get(side) or {}, change.get(f"{side}_sensitive"), unknown, "", withheld)
    return PlannedResource(
        address=item["address"],
        type=item["type"],
        provider=item["provider_name"],
        action=action,
        attributes=attributes if isinstance(attributes, dict) else {},
        withheld=tuple(sorted(withheld)),
    )


class _Gone:
    """A value that is not told."""


_GONE = _Gone()


def _told(value: Any, sensitive: Any, unknown: Any, where: str, withheld: list[str]) -> Any:
    """The value without what is sensitive or unknown; ``withheld`` gets the paths of these.

    Terraform marks both in structures of the same shape as the value, with ``true`` where it is so.
    """
    if sensitive is True or unknown is True or (isinstance(value, str) and len(value) > LONGEST_VALUE):
        withheld.append(where)
        return _GONE
    if isinstance(value, Mapping) or isinstance(unknown, Mapping):
        return _told_map(value or {}, sensitive, unknown, where, withheld)
    if isinstance(value, list) or isinstance(unknown, list):
        return _told_list(value or [], sensitive, unknown, where, withheld)
    return value


def _told_map(value: Mapping[str, Any], sensitive: Any, unknown: Any, where: str, withheld: list[str]) -> Any:
    marks, gaps = (part if isinstance(part, Mapping) else {} for part in (sensitive, unknown))
    found = {}
    for name in dict.fromkeys([*value, *gaps]):
        inner = f"{where}.{name}" if where else name
        if name not in value and not gaps[name]:
            continue  # nothing there, and nothing to come
        told = _told(value.get(name), marks.get(name), gaps.get(name), inner, withheld)
        if told is not _GONE:
            found[name] = told
    return found


def _told_list(value: list[Any], sensitive: Any, unknown: Any, where: str, withheld: list[str]) -> Any:
    marks, gaps = (part if isinstance(part, list) else [] for part in (sensitive, unknown))
    found = []
    for index in range(max(len(value), len(gaps))):
        item, mark, gap = (part[index] if index < len(part) else None for part in (value, marks, gaps))
        told = _told(item, mark, gap, f"{where}[{index}]", withheld)
        found.append(None if told is _GONE else told)
    return found
