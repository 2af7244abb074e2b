"""A namespace for each owner, with its quota and its network policy.

It belongs to no workspace: it is made when the first one needs it and stays, so it carries no journal key.
"""

from __future__ import annotations

from stead.api.errors import ResourceConflict
from stead.api.provider import Context
from stead_kubernetes import labels as labelling
from stead_kubernetes.cluster import Cluster, Found
from stead_kubernetes.kinds import NAMESPACES, NETWORK_POLICIES, QUOTAS, Kind
from stead_kubernetes.settings import KubernetesSettings

NAME = "stead"
OWNER = "stead.owner"


def ensure(cluster: Cluster, context: Context, namespace: str, settings: KubernetesSettings) -> None:
    """Make what is missing, and bring quota and policy to what the settings say."""
    labels = labelling.own({labelling.DEPLOYMENT: context.build.deployment, OWNER: context.build.owner.name})
    found = _there(cluster, context, NAMESPACES, None, namespace, {"metadata": {"labels": labels}})
    seen = found["metadata"].get("labels") or {}
    if any(name in seen and seen[name] != text for name, text in labels.items()):
        raise ResourceConflict(
            f"Namespace {namespace} belongs to {seen.get(OWNER)}, not to {context.build.owner.name}.",
            field="metadata[0].namespace",
            remedy="Set user_namespace in [plugins.kubernetes] to a pattern that gives each owner another name.",
        )
    if settings.user_quota:
        body: Found = {"metadata": {"labels": labels}, "spec": {"hard": dict(settings.user_quota)}}
        _there(cluster, context, QUOTAS, namespace, NAME, body)
    if settings.user_isolation:
        spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}
        body = {"metadata": {"labels": labels}, "spec": spec}
        _there(cluster, context, NETWORK_POLICIES, namespace, NAME, body)


def _there(cluster: Cluster, context: Context, kind: Kind, namespace: str | None, name: str, content: Found) -> Found:
    """The object as it is wanted. Two builds may come to make it at once: the second takes the first's."""
    doing = f"{kind.kind} {name} of the owner could not be made"
    head = {"apiVersion": kind.api_version, "kind": kind.kind}
    body: Found = {**head, **content, "metadata": {**content["metadata"], "name": name}}
    found = cluster.find(context, doing, kind, namespace, name)
    if found is None:
        try:
            return cluster.make(context, doing, kind, namespace, body)
        except ResourceConflict:
            return cluster.ask(context, doing, kind, namespace, name)
    if "spec" in body and found.get("spec") != body["spec"]:
        return cluster.apply(context, doing, kind, found, body)
    return found
