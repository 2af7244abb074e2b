"""Data sources."""

from __future__ import annotations

from typing import Any

from stead.api.provider import BlockSchema, Context, DataSource, attribute, block
from stead_kubernetes.base import provider_of
from stead_kubernetes.cluster import Found, cluster_of
from stead_kubernetes.kinds import NAMESPACES, SECRETS
from stead_kubernetes.secret import decoded


class SeenMetadata(BlockSchema):
    """What every object has."""

    annotations: dict[str, str] | None = attribute(optional=True, computed=True, description="Annotations.")
    generation: int = attribute(computed=True, description="Counts the changes of what is wanted.")
    labels: dict[str, str] | None = attribute(optional=True, computed=True, description="Labels.")
    name: str | None = attribute(optional=True, computed=True, description="Name.")
    resource_version: str = attribute(computed=True, description="Changes with every change.")
    uid: str = attribute(computed=True, description="Unique in space and time.")


class SeenNamespacedMetadata(SeenMetadata):
    """What every object in a namespace has."""

    generate_name: str | None = attribute(optional=True, description="Without effect.")
    namespace: str | None = attribute(
        optional=True, computed=True, description="Namespace; the provider's where not set."
    )


def _assign(meta: Any, found: Found) -> None:
    seen = found["metadata"]
    meta.annotations, meta.labels = seen.get("annotations") or {}, seen.get("labels") or {}
    meta.generation, meta.resource_version = int(seen.get("generation", 0)), seen.get("resourceVersion", "")
    meta.uid = seen["uid"]


class NamespaceData(DataSource, name="kubernetes_namespace"):
    """A namespace that exists."""

    id: str = attribute(computed=True, description="Its name.")
    spec: list[dict[str, list[str]]] = attribute(computed=True, description="Its finalizers.")
    metadata: list[SeenMetadata] = block(SeenMetadata, min_items=1, max_items=1)

    def read(self, context: Context) -> None:
        meta: Any = self.metadata[0]
        found = cluster_of(context).ask(
            context, f"Namespace {meta.name} could not be read", NAMESPACES, None, meta.name
        )
        _assign(meta, found)
        self.id = found["metadata"]["name"]
        self.spec = [{"finalizers": (found.get("spec") or {}).get("finalizers") or []}]


class NamespaceDataV1(NamespaceData, name="kubernetes_namespace_v1"):
    """A namespace that exists."""


class SecretData(DataSource, name="kubernetes_secret"):
    """A secret that exists."""

    id: str = attribute(computed=True, description="NAMESPACE/NAME.")
    binary_data: dict[str, str] | None = attribute(
        optional=True, computed=True, sensitive=True, description="Entries in base64: of those that are named here."
    )
    data: dict[str, str] = attribute(computed=True, sensitive=True, description="Entries.")
    immutable: bool = attribute(computed=True, description="It cannot be changed any more.")
    type: str = attribute(computed=True, description="What kind of secret it is.")
    metadata: list[SeenNamespacedMetadata] = block(SeenNamespacedMetadata, min_items=1, max_items=1)

    def read(self, context: Context) -> None:
        meta: Any = self.metadata[0]
        meta.namespace = meta.namespace or provider_of(context).default_namespace(context)
        doing = f"Secret {meta.name} could not be read"
        found = cluster_of(context).ask(context, doing, SECRETS, meta.namespace, meta.name)
        _assign(meta, found)
        self.id = f"{meta.namespace}/{meta.name}"
        entries = found.get("data") or {}
        named = set(self.binary_data or ())
        self.binary_data = {name: entries[name] for name in named if name in entries}
        self.data = {name: decoded(text) for name, text in entries.items() if name not in named}
        self.immutable, self.type = found.get("immutable", False), found.get("type", "")


class SecretDataV1(SecretData, name="kubernetes_secret_v1"):
    """A secret that exists."""


class AllNamespaces(DataSource, name="kubernetes_all_namespaces"):
    """All namespaces of the cluster."""

    id: str = attribute(computed=True, description="Of the listing.")
    namespaces: list[str] = attribute(computed=True, description="Their names.")

    def read(self, context: Context) -> None:
        listed = cluster_of(context).items(context, "Namespaces could not be listed", NAMESPACES)
        self.namespaces = sorted(item["metadata"]["name"] for item in listed)
        self.id = ",".join(self.namespaces)
