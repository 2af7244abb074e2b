"""Kubernetes as a place where workspaces run: may we, what in the cluster is ours, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stead.api import CredentialsReport, OwnedResource, Platform, Price, Trial
from stead.api.errors import PermissionMissing, ProviderFailure
from stead.api.provider import BuildContext, Context
from stead_kubernetes import labels as labelling
from stead_kubernetes import prices
from stead_kubernetes.cluster import Found
from stead_kubernetes.failures import PERMISSION, as_object
from stead_kubernetes.kinds import (
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    KINDS,
    NAMESPACES,
    NETWORK_POLICIES,
    PODS,
    QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Kind,
)
from stead_kubernetes.provider import Kubernetes
from stead_kubernetes.settings import KubernetesSettings

# What uses others comes first: a claim does not go while a pod has it.
OWNED: tuple[tuple[str, Kind], ...] = (
    ("kubernetes_deployment_v1", DEPLOYMENTS),
    ("kubernetes_pod_v1", PODS),
    ("kubernetes_service_v1", SERVICES),
    ("kubernetes_role_binding_v1", ROLE_BINDINGS),
    ("kubernetes_role_v1", ROLES),
    ("kubernetes_service_account_v1", SERVICE_ACCOUNTS),
    ("kubernetes_config_map_v1", CONFIG_MAPS),
    ("kubernetes_secret_v1", SECRETS),
    ("kubernetes_network_policy_v1", NETWORK_POLICIES),
    ("kubernetes_resource_quota_v1", QUOTAS),
    ("kubernetes_persistent_volume_claim_v1", CLAIMS),
    ("kubernetes_namespace_v1", NAMESPACES),
)
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
AT_ONCE = 8  # questions


class KubernetesPlatform(Platform):
    """The cluster that the settings name."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        self._provider = Kubernetes(settings=settings)

    def _context(self) -> Context:
        return Context(provider=self._provider, build=BuildContext())

    def check_credentials(self) -> CredentialsReport:
        try:
            doing = "The cluster's version could not be read"
            version = self._provider.cluster.call(self._context(), doing, "GET", "/version", read=as_object)
            lacking = self._lacking()
        except ProviderFailure as failure:
            return CredentialsReport(False, failure.message, tuple(filter(None, [failure.remedy])))
        where = f"Kubernetes {version.get('gitVersion', '')} at {self._provider.cluster.client.configuration.host}"
        if lacking:
            return CredentialsReport(
                False, f"{where}: the account may not do all that is needed.", (*lacking, PERMISSION)
            )
        return CredentialsReport(True, f"{where} answers, and the account may do all that is needed.")

    def _lacking(self) -> list[str]:
        """A line for each permission that is missing."""
        places: Sequence[str] = self._settings.namespaces or [""]
        questions = [
            (kind, verb, place)
            for kind in KINDS
            for verb in kind.verbs
            for place in (places if kind.namespaced else [""])
            if kind.namespaced or not self._settings.namespaces
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda question: self._allowed(*question), questions))
        return [_line(*question) for question, allowed in zip(questions, answers, strict=True) if not allowed]

    def _allowed(self, kind: Kind, verb: str, namespace: str) -> bool:
        about: Found = {"verb": verb, "group": kind.group, "resource": kind.plural, "subresource": kind.part}
        if namespace:
            about["namespace"] = namespace
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: text for name, text in about.items() if text}},
        }
        doing = "The permissions could not be asked for"
        answer = self._provider.cluster.call(self._context(), doing, "POST", REVIEW, body=body, read=as_object)
        return bool((answer.get("status") or {}).get("allowed"))

    def trial(self) -> Trial:
        raise ProviderFailure(
            "Kubernetes cannot be tried without asking: workspaces there must reach the server, and need an image.",
            remedy="Set config_path and context in [plugins.kubernetes], an access URL that pods reach, and use the "
            "starter template.",
        )

    def owned_resources(self, deployment: str) -> Sequence[OwnedResource]:
        return tuple(self._owned(deployment))

    def _owned(self, deployment: str) -> Iterator[OwnedResource]:
        selector = f"{labelling.DEPLOYMENT}={labelling.value(deployment)},{labelling.KEY}"
        for type_name, kind in OWNED:
            for item in self._listed(kind, selector):
                metadata = item["metadata"]
                labels = metadata.get("labels") or {}
                namespace = metadata.get("namespace")
                identity = f"{namespace}/{metadata['name']}" if namespace else metadata["name"]
                yield OwnedResource(labels[labelling.KEY], type_name, identity, deployment, dict(labels))

    def _listed(self, kind: Kind, selector: str) -> Iterator[Found]:
        doing, cluster = f"{kind.plural} could not be listed", self._provider.cluster
        if kind.namespaced:
            places: Sequence[str | None] = self._settings.namespaces or [None]
            for namespace in places:
                yield from cluster.items(self._context(), doing, kind, namespace, labelSelector=selector)
            return
        try:
            yield from cluster.items(self._context(), doing, kind, labelSelector=selector)
        except PermissionMissing:
            # With Roles in a few namespaces nothing outside of them can be ours.
            if not self._settings.namespaces:
                raise

    def destroy_owned(self, resource: OwnedResource) -> None:
        kinds = {kind.type_name: kind for kind in Kubernetes.resources}
        if resource.type_name not in kinds:
            raise ProviderFailure(f"{resource.type_name} is nothing that Kubernetes has.")
        context = self._context()
        found: Any = kinds[resource.type_name].import_(context, resource.identity)
        if found is None:
            return
        cluster = self._provider.cluster
        live = cluster.find(context, f"{resource.identity} could not be read", found.KIND, *found._place())
        # A namesake that is another's is not what was listed.
        if live is not None and labelling.carries(live, resource.key):
            found.delete(context)

    def price(self, type_name: str, attributes: Mapping[str, Any]) -> Price | None:
        return prices.table(self._settings.prices).price(type_name, attributes)


def _line(kind: Kind, verb: str, namespace: str) -> str:
    group = f" of {kind.group}" if kind.group else ""
    place = f" in namespace {namespace}" if namespace else ""
    return f"The account lacks {verb} on {kind.resource}{group}{place}."
