"""What a resource will look like: the planned instance from configuration and state.

A configured value stands as it is. Where there is none, a default stands, else the value of the state,
else it is unknown until apply. Terraform's own proposal is not used: it cannot tell a default that came
back from a value that stays.
"""

from __future__ import annotations

from typing import Any, TypeVar

from stead.api.provider.fields import Attribute, Block, Nesting
from stead.api.provider.model import Model, same
from stead.api.provider.types import List, Map, Set
from stead.api.provider.values import Unknown
from stead.terraform.serving.schemas import nested_object

M = TypeVar("M", bound=Model)


def planned(prior: M | None, config: M) -> M:
    """The planned instance; ``prior`` is ``None`` where there is no state."""
    result = type(config)()
    for field in config.schema():
        before = None if prior is None else getattr(prior, field.key)
        given = getattr(config, field.key)
        if isinstance(field, Block):
            value = _block(field, before, given)
        else:
            value = _attribute(field, before, given, fresh=prior is None)
        setattr(result, field.key, value)
    return result


def defaulted(config: M) -> M:
    """The configuration of a data source with its defaults; what only ``read`` can tell is null."""
    for attribute in config.schema().attributes.values():
        if attribute.has_default and getattr(config, attribute.key) is None:
            setattr(config, attribute.key, attribute.default)
    for block in config.schema().blocks.values():
        for item in _items(getattr(config, block.key)):
            defaulted(item)
    return config


def _items(value: Any) -> list[Model]:
    if isinstance(value, Model):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in values if isinstance(item, Model)]


def _attribute(attribute: Attribute, prior: Any, given: Any, *, fresh: bool) -> Any:
    if attribute.write_only:
        return None
    if given is None:
        return _absent(attribute, prior, fresh=fresh)
    value = _nested(attribute, prior, given)
    if prior is None or prior is Unknown or value is Unknown or attribute.normalize is None:
        return value
    return prior if attribute.normalize(prior, value) else value


def _absent(attribute: Attribute, prior: Any, *, fresh: bool) -> Any:
    if not attribute.computed:
        return None
    if attribute.has_default:
        return attribute.default
    return Unknown if fresh else prior


def _nested(attribute: Attribute, prior: Any, given: Any) -> Any:
    """Nested attributes have defaults and computed fields of their own."""
    if nested_object(attribute) is None or given is Unknown:
        return given
    if isinstance(attribute.type, Set):
        return _unordered(prior, given)
    return _ordered(prior, given)


def _block(block: Block, prior: Any, given: Any) -> Any:
    if given is Unknown:
        return given
    if block.nesting is Nesting.SET:
        return _unordered(prior, given)
    return _ordered(prior, given)


def _ordered(prior: Any, given: Any) -> Any:
    """One model, a list by position, or a dict by key."""
    if isinstance(given, Model):
        return planned(prior if isinstance(prior, Model) else None, given)
    if isinstance(given, dict):
        known = prior if isinstance(prior, dict) else {}
        return {key: _ordered(known.get(key), item) for key, item in given.items()}
    if isinstance(given, list):
        before = prior if isinstance(prior, list) else []
        padded = [*before, *[None] * (len(given) - len(before))]
        return [_ordered(old, item) for old, item in zip(padded, given, strict=False)]
    return given


def _unordered(prior: Any, given: Any) -> Any:
    """Each element of a set goes on from the element of the state that fits what is configured."""
    rest = list(prior) if isinstance(prior, list) else []
    result = []
    for item in given:
        match = next((old for old in rest if isinstance(item, Model) and _fits(old, item)), None)
        if match is not None:
            rest.remove(match)
        result.append(_ordered(match, item))
    return result


def _fits(prior: Model, config: Model) -> bool:
    return all(
        same(field, getattr(prior, field.key), getattr(config, field.key))
        for field in config.schema()
        if getattr(config, field.key) is not None or not (isinstance(field, Attribute) and field.computed)
    )


def changed_fields(prior: Model, plan: Model) -> frozenset[str]:
    """Terraform names of the fields that differ. An unknown value differs from every known one."""
    return frozenset(
        field.name for field in plan.schema() if not same(field, getattr(prior, field.key), getattr(plan, field.key))
    )


def forced_fields(prior: Model, plan: Model) -> set[str]:
    """Names of the changed fields whose change replaces the resource."""
    return {field.name for field in plan.schema() if _forces(field, prior, plan)}


def _forces(field: Attribute | Block, prior: Model | None, plan: Model | None) -> bool:
    before, after = (_value(field, owner) for owner in (prior, plan))
    if same(field, before, after):
        return False
    if field.force_new or before is Unknown or after is Unknown:
        return field.force_new or (isinstance(field, Block) and _any_forces(field.model))
    if isinstance(field, Block):
        return any(_pair_forces(*pair) for pair in _pairs(field.nesting, before, after))
    if nested_object(field) is not None:
        return any(_pair_forces(*pair) for pair in _pairs(_NESTINGS.get(type(field.type)), before, after))
    return False


_NESTINGS = {List: Nesting.LIST, Set: Nesting.SET, Map: Nesting.MAP}


def _value(field: Attribute | Block, owner: Model | None) -> Any:
    if owner is None:
        return field.empty if isinstance(field, Block) else None
    return getattr(owner, field.key)


def _pair_forces(before: Model | None, after: Model | None) -> bool:
    owner = before if before is not None else after
    return owner is not None and any(_forces(field, before, after) for field in owner.schema())


def _any_forces(model: type[Model]) -> bool:
    return any(field.force_new or (isinstance(field, Block) and _any_forces(field.model)) for field in model.schema())


def _pairs(nesting: Nesting | None, before: Any, after: Any) -> list[tuple[Any, Any]]:
    if nesting is Nesting.MAP:
        before, after = before or {}, after or {}
        return [(before.get(key), after.get(key)) for key in {**before, **after}]
    if nesting is Nesting.LIST or nesting is Nesting.SET:
        before, after = list(before or []), list(after or [])
        if nesting is Nesting.SET:
            return [(old, None) for old in before if old not in after] + [
                (None, new) for new in after if new not in before
            ]
        size = max(len(before), len(after))
        padded = ([*items, *[None] * (size - len(items))] for items in (before, after))
        return list(zip(*padded, strict=True))
    return [(before, after)]
