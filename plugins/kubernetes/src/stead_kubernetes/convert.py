"""Between blocks of a template and objects of the API, by the blocks' own declarations.

An attribute ``host_ip`` is the API's ``hostIP``, and a block that may stand once is an object there. What differs
from that rule is told by the tables here and by the class variables of :class:`Spec`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from stead.api.provider import BlockSchema, Unknown, is_known
from stead.api.provider.fields import Attribute, Block, Nesting
from stead.api.provider.model import Model
from stead_kubernetes import quantities

Found = dict[str, Any]

BLOCKS = {
    "container": "containers",
    "env": "env",
    "http_header": "httpHeaders",
    "image_pull_secret": "imagePullSecrets",
    "init_container": "initContainers",
    "match_expression": "matchExpressions",
    "node_selector_term": "nodeSelectorTerms",
    "option": "options",
    "port": "ports",
    "readiness_gate": "readinessGates",
    "rule": "rules",
    "secret": "secrets",
    "subject": "subjects",
    "sysctl": "sysctls",
    "toleration": "tolerations",
    "topology_spread_constraint": "topologySpreadConstraints",
    "volume": "volumes",
    "volume_device": "volumeDevices",
    "volume_mount": "volumeMounts",
}
ATTRIBUTES = {
    "cluster_ip": "clusterIP",
    "cluster_ips": "clusterIPs",
    "external_ips": "externalIPs",
    "host_ip": "hostIP",
    "host_ipc": "hostIPC",
    "host_pid": "hostPID",
    "load_balancer_ip": "loadBalancerIP",
    "run_as_username": "runAsUserName",
    "volume_id": "volumeID",
}
NUMBERS = frozenset({"fs_group", "replicas", "run_as_group", "run_as_user", "toleration_seconds"})
OCTAL = frozenset({"default_mode", "mode"})
EITHER = frozenset({"max_surge", "max_unavailable", "port", "target_port"})
QUANTITIES = frozenset({"divisor", "size_limit"})
FILLED = frozenset({"annotations", "labels", "limits", "requests"})
KEYS = ("name", "key", "mount_path", "device_path", "container_port", "port", "ip", "path")
UNDERSCORE = re.compile(r"_([a-z0-9])")


class Spec(BlockSchema):
    """A block that is a part of an object.

    :cvar NAMES: names of the API that the rule does not give.
    :cvar OBJECTS: blocks that may be written several times and of which the API takes one.
    :cvar SERVER: values that the API server fills in where a template says nothing: an import leaves them out.
    """

    NAMES: ClassVar[Mapping[str, str]] = {}
    OBJECTS: ClassVar[frozenset[str]] = frozenset()
    SERVER: ClassVar[Mapping[str, Any]] = {}


def api_name(model: Model, field: Attribute | Block) -> str:
    """What the API calls a field."""
    own = getattr(model, "NAMES", {})
    if field.name in own:
        return str(own[field.name])
    table = BLOCKS if isinstance(field, Block) and not _once(model, field) else ATTRIBUTES
    return table.get(field.name) or UNDERSCORE.sub(lambda found: found.group(1).upper(), field.name)


def _once(model: Model, field: Block) -> bool:
    """Whether the API has one object where Terraform has a list."""
    return field.nesting is Nesting.SINGLE or field.max_items == 1 or field.name in getattr(model, "OBJECTS", ())


def _items(value: Any) -> list[Any]:
    if value is None or value is Unknown:
        return []
    return value if isinstance(value, list) else [value]


def render(model: Model) -> Found:
    """A block as the API takes it. What is null or not known yet is left out."""
    found: Found = {}
    for attribute in model.schema().attributes.values():
        value = getattr(model, attribute.key)
        if value is not None and is_known(value) and value not in ([], {}, set()):
            found[api_name(model, attribute)] = _sent(attribute, value)
    for block in model.schema().blocks.values():
        items = [render(item) for item in _items(getattr(model, block.key))]
        if items:
            found[api_name(model, block)] = items[0] if _once(model, block) else items
    return found


def _sent(attribute: Attribute, value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if not isinstance(value, str):
        return value
    if attribute.name in OCTAL:
        return int(value, 8)
    if attribute.name in NUMBERS or (attribute.name in EITHER and value.isdecimal()):
        return int(value) if value else None
    return value


def told(attribute: Attribute, value: Any) -> Any:
    """A value of the API as the attribute has it."""
    if value is None:
        return None
    if attribute.name in OCTAL and isinstance(value, int):
        return f"{value:04o}"
    signature = attribute.type.signature()
    if signature == "string" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return set(value) if isinstance(signature, list) and signature[0] == "set" else value


def _nothing(value: Any) -> bool:
    return value is None or value is False or value in ("", 0) or (isinstance(value, list | dict | set) and not value)


def _alike(attribute: Attribute, current: Any, seen: Any) -> bool:
    if _nothing(current) and _nothing(seen):
        return True
    if attribute.name in QUANTITIES:
        return quantities.same(current, seen)
    # Of some maps the API server fills in entries, which are not ours to remove.
    whole = attribute.name in FILLED or not isinstance(current, dict) or len(current) == len(seen or {})
    return whole and _same(current, seen)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    if isinstance(one, dict) and isinstance(other, dict):
        return all(name in other and quantities.same(text, other[name]) for name, text in one.items())
    if isinstance(one, list | set) and isinstance(other, list | set):
        return sorted(map(str, one)) == sorted(map(str, other)) if isinstance(one, set) else list(one) == list(other)
    return bool(one == other)


def observe(model: Model, found: Mapping[str, Any], *, refresh: bool) -> None:
    """Assign what the API server tells: where it is unknown, and with ``refresh`` where it has changed.

    What a template does not set is not looked at: an object has defaults and additions of others everywhere.
    """
    for attribute in model.schema().attributes.values():
        current, seen = getattr(model, attribute.key), told(attribute, found.get(api_name(model, attribute)))
        if current is Unknown:
            setattr(model, attribute.key, seen if seen is not None else _empty(attribute))
        elif refresh and current is not None and not _alike(attribute, current, seen):
            setattr(model, attribute.key, _kept(attribute, current, seen))
    for block in model.schema().blocks.values():
        _observe_block(model, block, found.get(api_name(model, block)), refresh=refresh)


def _empty(attribute: Attribute) -> Any:
    """What a computed attribute is where the API server tells nothing of it."""
    signature = attribute.type.signature()
    return {} if isinstance(signature, list) and signature[0] == "map" else None


def _kept(attribute: Attribute, current: Any, seen: Any) -> Any:
    """The value as it is now; of a map's entries the text that a template has, where it means the same."""
    if not isinstance(current, dict) or not isinstance(seen, dict):
        return seen
    names = [name for name in seen if name in current or attribute.name not in FILLED]
    return {name: current[name] if quantities.same(current.get(name), seen[name]) else seen[name] for name in names}


def _observe_block(model: Model, block: Block, seen: Any, *, refresh: bool) -> None:
    items = _items(getattr(model, block.key))
    if not items:
        return
    if _once(model, block):
        if seen is None and refresh and render(items[0]):
            setattr(model, block.key, None if block.nesting is Nesting.SINGLE else [])
            return
        observe(items[0], seen or {}, refresh=refresh)
        return
    left = []
    for item, match in zip(items, _matched(items, list(seen or ())), strict=True):
        if match is None and refresh:
            continue
        observe(item, match or {}, refresh=refresh)
        left.append(item)
    if len(left) != len(items):
        setattr(model, block.key, left)


def _matched(items: list[Model], seen: list[Found]) -> list[Found | None]:
    """The API's object of each block: by what tells them apart, else by position."""
    for key in KEYS:
        field = type(items[0]).schema().attributes.get(key)
        if field is None:
            continue
        name = api_name(items[0], field)
        given = [getattr(item, field.key) for item in items]
        if all(value is not None and is_known(value) for value in given) and len(set(given)) == len(given):
            known = {str(item.get(name)): item for item in seen}
            return [known.get(str(value)) for value in given]
    return [*seen[: len(items)], *[None] * (len(items) - len(seen))]


def imported(kind: type[Model], found: Mapping[str, Any]) -> Model:
    """A block with everything that the API server tells, but for what it fills in by itself."""
    model = kind()
    server = getattr(kind, "SERVER", {})
    for attribute in kind.schema().attributes.values():
        seen = told(attribute, found.get(api_name(model, attribute)))
        if seen is None and attribute.has_default:
            seen = attribute.default
        if attribute.name in server and server[attribute.name] == seen:
            seen = None
        setattr(model, attribute.key, seen)
    for block in kind.schema().blocks.values():
        seen = found.get(api_name(model, block))
        if seen is None or (block.name in server and server[block.name] == seen):
            continue
        if block.nesting is Nesting.SINGLE:
            setattr(model, block.key, imported(block.model, seen))
            continue
        listed = [seen] if isinstance(seen, dict) else seen
        setattr(model, block.key, [imported(block.model, item) for item in listed])
    return model
