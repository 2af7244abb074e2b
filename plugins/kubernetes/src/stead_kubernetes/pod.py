"""``kubernetes_pod``."""

from __future__ import annotations

import copy
from typing import Any

from stead.api.provider import Context, Nesting, Plan, Resource, attribute, block
from stead_kubernetes.base import Object
from stead_kubernetes.cluster import Found, cluster_of
from stead_kubernetes.kinds import PODS
from stead_kubernetes.metadata import CreateDelete, NamespacedMetadata
from stead_kubernetes.pod_spec import PodSpec
from stead_kubernetes.waiting import running_pod

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class Pod(Object, name="kubernetes_pod"):
    """Containers that run together on one node."""

    KIND = PODS
    target_state: list[str] | None = attribute(
        optional=True, description="Phases of which one is waited for; Running where not set."
    )
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    spec: list[PodSpec] = block(PodSpec, min_items=1, max_items=1)
    timeouts: CreateDelete | None = block(CreateDelete, nesting=Nesting.SINGLE)

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        if plan.prior is not None and "spec" in plan.changed and not _in_place(plan.prior, self):
            plan.require_replace("spec")

    def settle(self, context: Context, found: Found) -> Found:
        return running_pod(cluster_of(context), context, found, self.target_state or ("Running",))

    def change(self, context: Context, cluster: Any, doing: str, live: Found, body: Found) -> Found:
        # What the cluster chose and what it added stays: a pod that runs can hardly be changed.
        for name in ("hostname", "nodeName", "schedulerName", "serviceAccountName"):
            body["spec"].pop(name, None)
            if live["spec"].get(name):
                body["spec"][name] = live["spec"][name]
        return super().change(context, cluster, doing, live, body)

    def fill(self, context: Context, found: Found) -> None:
        super().fill(context, {**found, "spec": without_additions(found["spec"])})


class PodV1(Pod, name="kubernetes_pod_v1"):
    """Containers that run together on one node."""


def _in_place(prior: Pod, planned: Pod) -> bool:
    """Whether nothing differs but images and how long the pod may take: the rest of a pod is fixed."""
    before, after = copy.deepcopy(prior.spec), copy.deepcopy(planned.spec)
    if len(before) != len(after):
        return False
    for one, other in zip(before, after, strict=True):
        one.active_deadline_seconds = other.active_deadline_seconds
        for kind in ("container", "init_container"):
            for old, new in zip(getattr(one, kind), getattr(other, kind), strict=False):
                old.image = new.image
    return bool(before == after)


def without_additions(spec: Found) -> Found:
    """A pod's specification without what admission puts into every pod: the account's token and two tolerations."""
    found: Found = copy.deepcopy(spec)
    own = set()
    for kind in ("containers", "initContainers"):
        for container in found.get(kind) or ():
            mounts = container.get("volumeMounts") or []
            own |= {item["name"] for item in mounts if item["mountPath"] == ACCOUNT}
            container["volumeMounts"] = [item for item in mounts if item["mountPath"] != ACCOUNT]
            if not container.get("resources"):
                container.pop("resources", None)
    found["volumes"] = [item for item in found.get("volumes") or () if item["name"] not in own]
    found["tolerations"] = [item for item in found.get("tolerations") or () if item.get("key") not in TAINTS]
    return found


RESOURCES: tuple[type[Resource], ...] = (Pod, PodV1)
