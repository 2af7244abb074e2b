"""Declarations of attributes and blocks."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stead.api.provider.types import DYNAMIC, Type
from stead.api.provider.values import Unknown

if TYPE_CHECKING:
    from stead.api.provider.model import Model

Validator = Callable[[Any], object]
"""Takes a known value and raises :class:`ValueError` with the reason where it does not accept it."""

_UNSET: Any = object()


class Nesting(enum.Enum):
    """How often a block may stand, and what its field holds."""

    SINGLE = "single"  # once; the field is an instance or None
    LIST = "list"  # in order; a list
    SET = "set"  # without order; a list
    MAP = "map"  # each with a label of its own; a dict


@dataclass(frozen=True)
class Rules:
    """Rules between the fields of one block, by their Terraform names."""

    conflicts_with: tuple[str, ...] = ()
    exactly_one_of: tuple[str, ...] = ()
    required_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attribute:
    """A declared attribute. ``key`` is its Python name, ``name`` its Terraform name."""

    required: bool
    optional: bool
    computed: bool
    force_new: bool
    sensitive: bool
    write_only: bool
    as_blocks: bool
    deprecated: str
    description: str
    validators: tuple[Validator, ...]
    rules: Rules
    normalize: Callable[[Any, Any], bool] | None
    default_value: Any
    name: str
    key: str = ""
    type: Type = DYNAMIC

    @property
    def has_default(self) -> bool:
        return self.default_value is not _UNSET

    @property
    def default(self) -> Any:
        """The default, called where it is a factory such as ``list``."""
        return self.default_value() if callable(self.default_value) else self.default_value

    def bound(self, key: str) -> Attribute:
        return dataclasses.replace(self, key=key, name=self.name or key)


@dataclass(frozen=True)
class Block:
    """A declared block type."""

    model: type[Model]
    nesting: Nesting
    min_items: int
    max_items: int
    force_new: bool
    deprecated: str
    description: str
    rules: Rules
    name: str
    key: str = ""

    def bound(self, key: str) -> Block:
        return dataclasses.replace(self, key=key, name=self.name or key)

    @property
    def empty(self) -> Any:
        """What the field holds where the block does not stand."""
        if self.nesting is Nesting.SINGLE:
            return None
        return {} if self.nesting is Nesting.MAP else []


def attribute(
    *,
    required: bool = False,
    optional: bool = False,
    computed: bool = False,
    force_new: bool = False,
    sensitive: bool = False,
    default: Any = _UNSET,
    deprecated: str = "",
    validators: Sequence[Validator] = (),
    conflicts_with: Sequence[str] = (),
    exactly_one_of: Sequence[str] = (),
    required_with: Sequence[str] = (),
    write_only: bool = False,
    as_blocks: bool = False,
    normalize: Callable[[Any, Any], bool] | None = None,
    description: str = "",
    name: str = "",
) -> Any:
    """Declare an attribute; its type is the annotation's.

    :param default: value where the configuration has none; implies ``optional`` and ``computed``. For
        lists, sets and maps pass a factory (``list``).
    :param force_new: a change replaces the resource.
    :param deprecated: what to use instead; shown as a warning where the attribute is set.
    :param validators: called with each known, non-null value.
    :param conflicts_with: names of siblings that may not be set together with this one.
    :param exactly_one_of: names of which, together with this one, exactly one must be set.
    :param required_with: names of siblings that must be set where this one is.
    :param write_only: the value reaches ``create`` and ``update`` but is never stored.
    :param as_blocks: for lists and sets of objects: may also be written as blocks. It takes all objects of a
        class or none.
    :param normalize: ``normalize(prior, planned)`` is true where the difference is cosmetic.
    :param name: Terraform's name, where it is no Python name or hides a method.
    """
    has_default = default is not _UNSET
    if not (required or optional or computed or has_default):
        raise TypeError("an attribute is required, optional, computed, or has a default")
    return Attribute(
        required=required,
        optional=optional or has_default,
        computed=computed or has_default,
        force_new=force_new,
        sensitive=sensitive,
        write_only=write_only,
        as_blocks=as_blocks,
        deprecated=deprecated,
        description=description,
        validators=tuple(validators),
        rules=Rules(tuple(conflicts_with), tuple(exactly_one_of), tuple(required_with)),
        normalize=normalize,
        default_value=default,
        name=name,
    )


def block(
    model: type[Model],
    *,
    nesting: Nesting = Nesting.LIST,
    min_items: int = 0,
    max_items: int = 0,
    force_new: bool = False,
    deprecated: str = "",
    conflicts_with: Sequence[str] = (),
    exactly_one_of: Sequence[str] = (),
    required_with: Sequence[str] = (),
    description: str = "",
    name: str = "",
) -> Any:
    """Declare a block type.

    :param max_items: 0 means no bound.
    :param force_new: any change in it replaces the resource.
    """
    return Block(
        model=model,
        nesting=nesting,
        min_items=min_items,
        max_items=max_items,
        force_new=force_new,
        deprecated=deprecated,
        description=description,
        rules=Rules(tuple(conflicts_with), tuple(exactly_one_of), tuple(required_with)),
        name=name,
    )


def is_set(value: Any) -> bool:
    """Whether a configuration gives this value: unknown counts as given, empty blocks do not."""
    return value is Unknown or not (value is None or (isinstance(value, list | dict) and not value))
