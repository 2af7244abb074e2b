"""Waits for objects to become what they are for, with what explains a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stead.api.errors import OperationTimedOut, ProviderFailure, ResourceNotFound
from stead.api.provider import Context
from stead_kubernetes.cluster import Cluster, Found
from stead_kubernetes.events import Reason, Watch, of_pod, of_refusal
from stead_kubernetes.kinds import CLAIMS, DEPLOYMENTS, PODS, REPLICA_SETS, SECRETS, SERVICE_ACCOUNTS, SERVICES

FIRST_LOOK = 0.1  # seconds
Look = Callable[[Found, Watch], bool]
REVISION = "deployment.kubernetes.io/revision"


def wait_for(
    cluster: Cluster, context: Context, kind: Any, found: Found, what: str, reached: Look, *, events: bool = True
) -> Found:
    """Look at an object until ``reached`` is true of it. Gives it as it is then.

    :param what: what does not come to be, as the start of a sentence: "Pod web does not run".
    """
    metadata = found["metadata"]
    namespace, name = metadata.get("namespace"), metadata["name"]
    watch = Watch(cluster, context, what, namespace or "")
    pause = min(FIRST_LOOK, cluster.settings.poll)
    try:
        while not reached(found, watch):
            if events:
                watch.events([found])
            context.wait(pause)
            pause = min(pause * 1.5, cluster.settings.poll)
            found = _again(cluster, context, kind, namespace, name, metadata["uid"], what)
    except OperationTimedOut as error:
        # The time may be over in the middle of a question, too.
        if context.remaining != 0.0:
            raise
        raise watch.late() from error
    return found


def _again(
    cluster: Cluster, context: Context, kind: Any, namespace: str | None, name: str, uid: str, what: str
) -> Found:
    found = cluster.find(context, f"{what}: it could not be read", kind, namespace, name)
    if found is None or found["metadata"]["uid"] != uid:
        raise ResourceNotFound(f"{what}: it has vanished.", remedy="Build again: it is made anew.")
    return found


def running_pod(cluster: Cluster, context: Context, pod: Found, states: Iterable[str]) -> Found:
    """The pod in one of the states."""
    wanted = set(states)

    def reached(found: Found, watch: Watch) -> bool:
        watch.log_of(found)
        if (found.get("status") or {}).get("phase") in wanted:
            return True
        watch.consider(of_pod(found))
        return False

    return wait_for(cluster, context, PODS, pod, f"Pod {pod['metadata']['name']} does not run", reached)


def rolled_out(cluster: Cluster, context: Context, deployment: Found) -> Found:
    """The deployment with all its pods as they are wanted now."""

    def reached(found: Found, watch: Watch) -> bool:
        if _complete(found):
            return True
        members = _members(cluster, context, found)
        if members is not None:
            watch.consider(_refused(found) or _first_reason(watch, members))
        return False

    what = f"Deployment {deployment['metadata']['name']} is not rolled out"
    return wait_for(cluster, context, DEPLOYMENTS, deployment, what, reached)


def _first_reason(watch: Watch, members: list[Found]) -> Reason | None:
    reason = None
    for item in members:
        watch.events([item])
        if item["kind"] == "Pod":
            watch.log_of(item)
            reason = reason or of_pod(item)
    return reason


def _complete(found: Found) -> bool:
    """As ``kubectl rollout status`` counts; a paused one is as far as it gets."""
    spec, status = found["spec"], found.get("status") or {}
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return False
    wanted = spec.get("replicas", 1)
    if spec.get("paused"):
        return True
    updated = status.get("updatedReplicas", 0)
    return (
        updated >= wanted
        and status.get("replicas", 0) <= updated
        and status.get("availableReplicas", 0) >= updated
    )  # fmt: skip


def _refused(found: Found) -> Reason | None:
    for condition in (found.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return of_refusal(str(condition.get("message", "")))
    for condition in (found.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            words = str(condition.get("message", "it makes no progress"))
            return Reason(ProviderFailure, words, "Raise progress_deadline_seconds, or see kubectl describe.")
    return None


def _members(cluster: Cluster, context: Context, found: Found) -> list[Found] | None:
    """The newest replica set of a deployment, and its pods; ``None`` where they cannot be told."""
    namespace, uid = found["metadata"]["namespace"], found["metadata"]["uid"]
    selector = _selector(found["spec"]["selector"])
    try:
        sets = list(
            cluster.items(context, "Replica sets could not be listed", REPLICA_SETS, namespace, labelSelector=selector)
        )
        newest = [item for item in sets if _owned(item, uid) and _revision(item) == _revision(found)]
        pods = cluster.items(context, "Pods could not be listed", PODS, namespace, labelSelector=selector)
        owners = {item["metadata"]["uid"] for item in newest}
        mine = [item for item in pods if any(_owned(item, owner) for owner in owners)]
    except ProviderFailure as failure:
        if context.remaining == 0.0:
            raise
        # They only explain: the rollout may succeed without them.
        context.log(str(failure), "debug")
        return None
    return [{**item, "kind": "ReplicaSet"} for item in newest] + [{**item, "kind": "Pod"} for item in mine]


def _owned(item: Found, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences") or ())


def _revision(item: Found) -> str:
    return str((item["metadata"].get("annotations") or {}).get(REVISION, ""))


def _selector(selector: Found) -> str:
    """A label selector as a query has it."""
    parts = [f"{name}={text}" for name, text in (selector.get("matchLabels") or {}).items()]
    forms = {
        "In": "{key} in ({values})",
        "NotIn": "{key} notin ({values})",
        "Exists": "{key}",
        "DoesNotExist": "!{key}",
    }
    for item in selector.get("matchExpressions") or ():
        parts.append(forms[item["operator"]].format(key=item["key"], values=",".join(item.get("values") or ())))
    return ",".join(parts)


def bound_claim(cluster: Cluster, context: Context, claim: Found) -> Found:
    """The claim with a volume; or as it is, where the volume is only made when a pod wants it."""
    name = claim["metadata"]["name"]

    def reached(found: Found, watch: Watch) -> bool:
        phase = (found.get("status") or {}).get("phase")
        if phase == "Bound":
            return True
        if phase == "Lost":
            words = "the volume that it was bound to is gone"
            watch.consider(Reason(ResourceNotFound, words, "Restore the volume, or remove the claim.", hopeless=True))
        events = watch.events([found])
        if any(item.get("reason") == "WaitForFirstConsumer" for item in events):
            context.log(f"Claim {name} gets its volume with the first pod that uses it.")
            return True
        return False

    return wait_for(cluster, context, CLAIMS, claim, f"Claim {name} is not bound", reached, events=False)


def balanced_service(cluster: Cluster, context: Context, service: Found) -> Found:
    """The service with an address of its load balancer."""

    def reached(found: Found, watch: Watch) -> bool:
        del watch
        return bool(((found.get("status") or {}).get("loadBalancer") or {}).get("ingress"))

    what = f"Service {service['metadata']['name']} gets no load balancer"
    return wait_for(cluster, context, SERVICES, service, what, reached)


def token_secret(cluster: Cluster, context: Context, secret: Found) -> Found:
    """The secret with the token that the cluster makes for its service account."""

    def reached(found: Found, watch: Watch) -> bool:
        del watch
        return "token" in (found.get("data") or {})

    what = f"Secret {secret['metadata']['name']} gets no token"
    return wait_for(cluster, context, SECRETS, secret, what, reached)


def default_account(cluster: Cluster, context: Context, namespace: str) -> None:
    """Until the namespace has its service account ``default``."""
    pause = min(FIRST_LOOK, cluster.settings.poll)
    doing = f"Namespace {namespace} gets no service account default"
    while cluster.find(context, doing, SERVICE_ACCOUNTS, namespace, "default") is None:
        cluster.pause(context, pause, doing)
        pause = min(pause * 1.5, cluster.settings.poll)
