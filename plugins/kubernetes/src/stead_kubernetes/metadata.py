"""The block ``metadata``: name, namespace, labels and annotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stead.api.provider import BlockSchema, attribute, is_known, matches
from stead.api.provider.durations import is_duration
from stead_kubernetes.labels import OWN

PREFIX = matches(
    r"[a-z0-9]([-a-z0-9.]*[-a-z0-9.])?", "must be lower-case letters, digits, dashes and dots, and begin with a letter"
)
NAME = matches(
    r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?",
    "must be 1 to 253 lower-case letters, digits, dashes or dots, and begin and end with a letter or digit",
)
INTERNAL = ("kubernetes.io/", "k8s.io/")


def is_rbac_name(text: str) -> None:
    """Names of roles may have colons and capitals: only what a path cannot have is refused."""
    if not text or text in {".", ".."} or "/" in text or "%" in text:
        raise ValueError("may not be empty, '.' or '..', and has no '/' and no '%'")


class Labelled(BlockSchema):
    """Labels and annotations alone, as of a template inside another object."""

    annotations: dict[str, str] | None = attribute(optional=True, description="Annotations of the object.")
    labels: dict[str, str] | None = attribute(optional=True, description="Labels of the object.")


class Metadata(Labelled):
    """What every object has."""

    name: str | None = attribute(
        optional=True, computed=True, force_new=True, validators=[NAME], description="Name, unique in its namespace."
    )
    generation: int = attribute(computed=True, description="Counts the changes of what is wanted.")
    resource_version: str = attribute(computed=True, description="Changes with every change.")
    uid: str = attribute(computed=True, description="Unique in space and time.")


class ClusterMetadata(Metadata):
    """Of an object outside of namespaces."""

    generate_name: str | None = attribute(
        optional=True, force_new=True, validators=[PREFIX], conflicts_with=["name"],
        description="What a name that the API server makes up begins with.",
    )  # fmt: skip


class NamespacedMetadata(ClusterMetadata):
    """Of an object in a namespace."""

    namespace: str | None = attribute(
        optional=True, computed=True, force_new=True,
        description="Namespace; the provider's where not set.",
    )  # fmt: skip


class RbacMetadata(NamespacedMetadata):
    """Of a role or its binding."""

    name: str | None = attribute(
        optional=True, computed=True, force_new=True, validators=[is_rbac_name], description="Name."
    )


class TemplateMetadata(Labelled):
    """Of the pods of a deployment."""

    generate_name: str | None = attribute(optional=True, description="Without effect in a template.")
    generation: int = attribute(computed=True)
    name: str | None = attribute(optional=True, computed=True, description="Without effect in a template.")
    namespace: str | None = attribute(optional=True, description="Without effect in a template.")
    resource_version: str = attribute(computed=True)
    uid: str = attribute(computed=True)


class Create(BlockSchema):
    """How long to wait."""

    create: str | None = attribute(optional=True, validators=[is_duration], description="For its creation.")


class Delete(BlockSchema):
    """How long to wait."""

    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")


class CreateDelete(Create):
    """How long to wait."""

    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")


class CreateUpdate(Create):
    """How long to wait."""

    update: str | None = attribute(optional=True, validators=[is_duration], description="For a change.")


class CreateUpdateDelete(CreateUpdate):
    """How long to wait."""

    delete: str | None = attribute(optional=True, validators=[is_duration], description="For its end.")


def visible(entries: Mapping[str, str] | None) -> dict[str, str]:
    """Labels or annotations that a template may have given: not Stead's, and not Kubernetes' own."""
    return {
        name: text
        for name, text in (entries or {}).items()
        if not name.startswith(OWN) and not _internal(name)
    }  # fmt: skip


def _internal(name: str) -> bool:
    domain = name.rpartition("/")[0] + "/"
    return domain.endswith(INTERNAL) and not domain.startswith("app.kubernetes.io")


def wanted(metadata: Any, own: Mapping[str, str]) -> dict[str, Any]:
    """The API's metadata for a block and Stead's labels, which win: the sweep depends on them."""
    named = {
        name: value
        for name in ("name", "namespace")
        if is_known(value := getattr(metadata, name, None)) and value is not None
    }
    if "name" not in named and getattr(metadata, "generate_name", None):
        named["generateName"] = metadata.generate_name
    annotations = metadata.annotations if is_known(metadata.annotations) else None
    labels = {**(metadata.labels or {}), **own}
    return {**named, "labels": labels, **({"annotations": dict(annotations)} if annotations else {})}
