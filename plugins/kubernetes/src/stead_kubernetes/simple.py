"""Namespaces, config maps, service accounts, quotas and network policies."""

from __future__ import annotations

from typing import Any, ClassVar

from stead.api.provider import Context, Nesting, Plan, Resource, Unknown, attribute, block
from stead_kubernetes.base import LIMITS, Object
from stead_kubernetes.cluster import Found, cluster_of
from stead_kubernetes.convert import Spec
from stead_kubernetes.kinds import CONFIG_MAPS, NAMESPACES, NETWORK_POLICIES, QUOTAS, SERVICE_ACCOUNTS
from stead_kubernetes.metadata import ClusterMetadata, Create, CreateUpdate, Delete, NamespacedMetadata
from stead_kubernetes.pod_parts import LabelSelector
from stead_kubernetes.quantities import are_quantities
from stead_kubernetes.waiting import default_account


class Namespace(Object, name="kubernetes_namespace"):
    """A namespace. Everything in it goes with it."""

    KIND = NAMESPACES
    wait_for_default_service_account: bool = attribute(
        default=False, description="Wait for its service account default."
    )
    metadata: list[ClusterMetadata] = block(ClusterMetadata, min_items=1, max_items=1)
    timeouts: Delete | None = block(Delete, nesting=Nesting.SINGLE)

    def settle(self, context: Context, found: Found) -> Found:
        if self.wait_for_default_service_account:
            default_account(cluster_of(context), context, found["metadata"]["name"])
        return found


class NamespaceV1(Namespace, name="kubernetes_namespace_v1"):
    """A namespace. Everything in it goes with it."""


class ConfigMap(Object, name="kubernetes_config_map"):
    """Settings that pods read."""

    KIND = CONFIG_MAPS
    binary_data: dict[str, str] | None = attribute(optional=True, description="Entries in base64.")
    data: dict[str, str] | None = attribute(optional=True, description="Entries.")
    immutable: bool | None = attribute(optional=True, description="It cannot be changed any more.")
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)

    def plan(self, context: Context, plan: Plan) -> None:
        super().plan(context, plan)
        frozen_changes(plan, {"binary_data", "data", "immutable"})

    def content(self, context: Context) -> Found:
        del context
        values = {"binaryData": self.binary_data, "data": self.data, "immutable": self.immutable}
        return {name: value for name, value in values.items() if value is not None and value != {}}

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        del context
        if refresh:
            self.binary_data = seen_map(self.binary_data, found.get("binaryData"))
            self.data = seen_map(self.data, found.get("data"))
            self.immutable = found.get("immutable", False) if self.immutable is not None else found.get("immutable")

    def fill(self, context: Context, found: Found) -> None:
        self.observe(context, found, refresh=True)


class ConfigMapV1(ConfigMap, name="kubernetes_config_map_v1"):
    """Settings that pods read."""


def seen_map(current: dict[str, str] | None, seen: dict[str, str] | None) -> dict[str, str] | None:
    """All entries as they are; null and empty are one."""
    return current if not current and not seen else dict(seen or {})


def frozen_changes(plan: Plan, names: set[str]) -> None:
    """What was made immutable is replaced."""
    if plan.prior is not None and plan.prior.immutable:
        for name in sorted(plan.changed & names):
            plan.require_replace(name)


class AccountReference(Spec):
    """A secret by its name."""

    name: str | None = attribute(optional=True)


class ServiceAccount(Object, name="kubernetes_service_account"):
    """Who the processes of a pod are to the API server."""

    KIND = SERVICE_ACCOUNTS
    LIMITS: ClassVar[dict[str, float]] = {**LIMITS, "create": 30.0}
    automount_service_account_token: bool = attribute(default=True, description="Pods get its token.")
    default_secret_name: str = attribute(computed=True, description="Secret with its token, in old clusters.")
    image_pull_secret: list[AccountReference] = block(AccountReference, nesting=Nesting.SET)
    secret: list[AccountReference] = block(AccountReference, nesting=Nesting.SET)
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    timeouts: Create | None = block(Create, nesting=Nesting.SINGLE)

    def content(self, context: Context) -> Found:
        del context
        found: Found = {"automountServiceAccountToken": self.automount_service_account_token}
        if self.image_pull_secret:
            found["imagePullSecrets"] = [{"name": item.name} for item in self.image_pull_secret]
        if self.secret:
            found["secrets"] = [{"name": item.name} for item in self.secret]
        return found

    def observe(self, context: Context, found: Found, *, refresh: bool) -> None:
        del context
        if self.default_secret_name is Unknown:
            named = [item["name"] for item in found.get("secrets") or ()]
            mine = {item.name for item in self.secret}
            prefix = f"{found['metadata']['name']}-token-"
            self.default_secret_name = next(
                (item for item in named if item not in mine and item.startswith(prefix)), ""
            )
        if refresh:
            self.automount_service_account_token = found.get("automountServiceAccountToken", True)
            self.image_pull_secret = _named(self.image_pull_secret, found.get("imagePullSecrets"))
            self.secret = _named(self.secret, found.get("secrets"))

    def fill(self, context: Context, found: Found) -> None:
        self.default_secret_name = Unknown
        self.observe(context, found, refresh=True)
        self.image_pull_secret = [AccountReference(name=item["name"]) for item in found.get("imagePullSecrets") or ()]
        own = [item["name"] for item in found.get("secrets") or () if item["name"] != self.default_secret_name]
        self.secret = [AccountReference(name=name) for name in own]


class ServiceAccountV1(ServiceAccount, name="kubernetes_service_account_v1"):
    """Who the processes of a pod are to the API server."""


def _named(items: list[AccountReference], seen: Any) -> list[AccountReference]:
    names = {item.get("name") for item in seen or ()}
    return [item for item in items if item.name in names]


class ScopeExpression(Spec):
    """A requirement on the pods that are counted."""

    operator: str = attribute(required=True)
    scope_name: str = attribute(required=True)
    values: set[str] | None = attribute(optional=True)


class ScopeSelector(Spec):
    """Which pods are counted."""

    NAMES: ClassVar[dict[str, str]] = {"match_expression": "matchExpressions"}
    match_expression: list[ScopeExpression] = block(ScopeExpression)


class QuotaSpec(Spec):
    """How much there may be."""

    hard: dict[str, str] | None = attribute(optional=True, validators=[are_quantities])
    scopes: set[str] | None = attribute(optional=True, force_new=True)
    scope_selector: list[ScopeSelector] = block(ScopeSelector, max_items=1)


class ResourceQuota(Object, name="kubernetes_resource_quota"):
    """How much a namespace may have."""

    KIND = QUOTAS
    LIMITS: ClassVar[dict[str, float]] = {**LIMITS, "create": 60.0, "update": 60.0}
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    spec: list[QuotaSpec] = block(QuotaSpec, max_items=1)
    timeouts: CreateUpdate | None = block(CreateUpdate, nesting=Nesting.SINGLE)


class ResourceQuotaV1(ResourceQuota, name="kubernetes_resource_quota_v1"):
    """How much a namespace may have."""


class IpBlock(Spec):
    """A range of addresses."""

    NAMES: ClassVar[dict[str, str]] = {"except": "except"}
    cidr: str | None = attribute(optional=True)
    except_: list[str] | None = attribute(optional=True, name="except")


class PolicyPort(Spec):
    """A port that is open."""

    end_port: int | None = attribute(optional=True)
    port: str | None = attribute(optional=True)
    protocol: str = attribute(default="TCP")


class Peer(Spec):
    """Who is at the other end."""

    ip_block: list[IpBlock] = block(IpBlock, max_items=1)
    namespace_selector: list[LabelSelector] = block(LabelSelector, max_items=1)
    pod_selector: list[LabelSelector] = block(LabelSelector, max_items=1)


class Ingress(Spec):
    """What may come in."""

    NAMES: ClassVar[dict[str, str]] = {"from": "from"}
    from_: list[Peer] = block(Peer, name="from")
    ports: list[PolicyPort] = block(PolicyPort)


class Egress(Spec):
    """What may go out."""

    ports: list[PolicyPort] = block(PolicyPort)
    to: list[Peer] = block(Peer)


class PolicySpec(Spec):
    """Which pods, and what they may."""

    policy_types: list[str] = attribute(required=True)
    egress: list[Egress] = block(Egress)
    ingress: list[Ingress] = block(Ingress)
    pod_selector: list[LabelSelector] = block(LabelSelector, min_items=1, max_items=1)


class NetworkPolicy(Object, name="kubernetes_network_policy"):
    """Which connections of pods are allowed."""

    KIND = NETWORK_POLICIES
    metadata: list[NamespacedMetadata] = block(NamespacedMetadata, min_items=1, max_items=1)
    spec: list[PolicySpec] = block(PolicySpec, min_items=1, max_items=1)


class NetworkPolicyV1(NetworkPolicy, name="kubernetes_network_policy_v1"):
    """Which connections of pods are allowed."""


RESOURCES: tuple[type[Resource], ...] = (
    Namespace,
    NamespaceV1,
    ConfigMap,
    ConfigMapV1,
    ServiceAccount,
    ServiceAccountV1,
    ResourceQuota,
    ResourceQuotaV1,
    NetworkPolicy,
    NetworkPolicyV1,
)
