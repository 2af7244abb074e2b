"""Labels: those of a template, and those by which Stead knows what is its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stead.api.provider import BlockSchema, attribute

KEY = "stead.key"
DEPLOYMENT = "stead.deployment"
WORKSPACE = "stead.workspace"
OWN = "stead."


class Label(BlockSchema):
    """A label of what is created."""

    label: str = attribute(required=True, force_new=True, description="Name of the label.")
    value: str = attribute(required=True, force_new=True, description="Value of the label.")


def merged(blocks: Iterable[Label], own: Mapping[str, str]) -> dict[str, str]:
    """A template's labels together with Stead's, which win: the sweep depends on them."""
    return {**{block.label: block.value for block in blocks}, **own}


def blocks_of(labels: Mapping[str, str] | None) -> list[Label]:
    """The labels that a template would have given."""
    return [
        Label(label=name, value=value) for name, value in sorted((labels or {}).items()) if not name.startswith(OWN)
    ]


def carries(labels: Mapping[str, str] | None, key: str) -> bool:
    return bool(key) and (labels or {}).get(KEY) == key


def same_workspace(labels: Mapping[str, str] | None, own: Mapping[str, str]) -> bool:
    """Whether something was made for the same workspace of the same installation."""
    have = labels or {}
    return bool(own.get(WORKSPACE)) and all(have.get(name) == own[name] for name in (WORKSPACE, DEPLOYMENT))
