"""What a pod consists of."""

from __future__ import annotations

from typing import Any, ClassVar

from stead.api.provider import attribute, block, one_of
from stead_kubernetes.convert import Spec
from stead_kubernetes.pod_parts import Container, Expression, LabelSelector, PodSecurity
from stead_kubernetes.pod_volumes import Volume


class FieldExpression(Spec):
    """A requirement that fields of a node must meet."""

    key: str = attribute(required=True)
    operator: str = attribute(required=True)
    values: set[str] | None = attribute(optional=True)


class NodeTerm(Spec):
    """Nodes that fit."""

    match_expressions: list[Expression] = block(Expression)
    match_fields: list[FieldExpression] = block(FieldExpression)


class NodePreference(Spec):
    """Nodes that fit better."""

    weight: int = attribute(required=True)
    preference: list[NodeTerm] = block(NodeTerm, min_items=1, max_items=1)


class NodeRequirement(Spec):
    """Nodes of which one must fit."""

    node_selector_term: list[NodeTerm] = block(NodeTerm)


class NodeAffinity(Spec):
    """Which nodes a pod goes to."""

    preferred_during_scheduling_ignored_during_execution: list[NodePreference] = block(NodePreference)
    required_during_scheduling_ignored_during_execution: list[NodeRequirement] = block(NodeRequirement, max_items=1)


class PodTerm(Spec):
    """Pods to be near to, or far from."""

    OBJECTS = frozenset({"label_selector", "namespace_selector"})
    namespaces: set[str] | None = attribute(optional=True)
    topology_key: str = attribute(required=True)
    label_selector: list[LabelSelector] = block(LabelSelector)
    namespace_selector: list[LabelSelector] = block(LabelSelector)


class WeightedPodTerm(Spec):
    """How much it matters."""

    weight: int = attribute(required=True)
    pod_affinity_term: list[PodTerm] = block(PodTerm, min_items=1, max_items=1)


class PodAffinity(Spec):
    """Which pods to be near to, or far from."""

    preferred_during_scheduling_ignored_during_execution: list[WeightedPodTerm] = block(WeightedPodTerm)
    required_during_scheduling_ignored_during_execution: list[PodTerm] = block(PodTerm)


class Affinity(Spec):
    """Where a pod goes."""

    node_affinity: list[NodeAffinity] = block(NodeAffinity, max_items=1)
    pod_affinity: list[PodAffinity] = block(PodAffinity, max_items=1)
    pod_anti_affinity: list[PodAffinity] = block(PodAffinity, max_items=1)


class DnsOption(Spec):
    """An option of the resolver."""

    name: str = attribute(required=True)
    value: str | None = attribute(optional=True)


class DnsConfig(Spec):
    """How names are resolved."""

    nameservers: list[str] | None = attribute(optional=True)
    searches: list[str] | None = attribute(optional=True)
    option: list[DnsOption] = block(DnsOption)


class HostAlias(Spec):
    """A line of /etc/hosts."""

    hostnames: list[str] = attribute(required=True)
    ip: str = attribute(required=True)


class PullSecret(Spec):
    """A secret with which images are pulled."""

    name: str = attribute(required=True)


class System(Spec):
    """The operating system that the pod needs."""

    name: str = attribute(required=True)


class ReadinessGate(Spec):
    """A condition of others' that counts for readiness."""

    condition_type: str = attribute(required=True)


class Toleration(Spec):
    """A taint of a node that does not matter."""

    effect: str | None = attribute(optional=True, validators=[one_of("NoSchedule", "PreferNoSchedule", "NoExecute")])
    key: str | None = attribute(optional=True)
    operator: str = attribute(default="Equal", validators=[one_of("Exists", "Equal")])
    toleration_seconds: str | None = attribute(optional=True)
    value: str | None = attribute(optional=True)


class Spread(Spec):
    """How pods are spread."""

    OBJECTS = frozenset({"label_selector"})
    match_label_keys: set[str] | None = attribute(optional=True)
    max_skew: int = attribute(default=1)
    min_domains: int | None = attribute(optional=True)
    node_affinity_policy: str | None = attribute(optional=True)
    node_taints_policy: str | None = attribute(optional=True)
    topology_key: str | None = attribute(optional=True)
    when_unsatisfiable: str = attribute(default="DoNotSchedule", validators=[one_of("DoNotSchedule", "ScheduleAnyway")])
    label_selector: list[LabelSelector] = block(LabelSelector)


class PodSpec(Spec):
    """A pod: its containers and what they share."""

    SERVER: ClassVar[dict[str, Any]] = {"security_context": {}}
    active_deadline_seconds: int | None = attribute(optional=True)
    automount_service_account_token: bool = attribute(default=True)
    dns_policy: str = attribute(
        default="ClusterFirst", validators=[one_of("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")]
    )
    enable_service_links: bool = attribute(default=True)
    host_ipc: bool = attribute(default=False)
    host_network: bool = attribute(default=False)
    host_pid: bool = attribute(default=False)
    hostname: str | None = attribute(optional=True, computed=True)
    node_name: str | None = attribute(optional=True, computed=True)
    node_selector: dict[str, str] | None = attribute(optional=True)
    priority_class_name: str | None = attribute(optional=True)
    restart_policy: str = attribute(default="Always", validators=[one_of("Always", "OnFailure", "Never")])
    runtime_class_name: str | None = attribute(optional=True)
    scheduler_name: str | None = attribute(optional=True, computed=True)
    service_account_name: str | None = attribute(optional=True, computed=True)
    share_process_namespace: bool = attribute(default=False)
    subdomain: str | None = attribute(optional=True)
    termination_grace_period_seconds: int = attribute(default=30)
    affinity: list[Affinity] = block(Affinity, max_items=1)
    container: list[Container] = block(Container)
    dns_config: list[DnsConfig] = block(DnsConfig, max_items=1)
    host_aliases: list[HostAlias] = block(HostAlias)
    image_pull_secrets: list[PullSecret] = block(PullSecret)
    init_container: list[Container] = block(Container)
    os: list[System] = block(System, max_items=1)
    readiness_gate: list[ReadinessGate] = block(ReadinessGate)
    security_context: list[PodSecurity] = block(PodSecurity, max_items=1)
    toleration: list[Toleration] = block(Toleration)
    topology_spread_constraint: list[Spread] = block(Spread)
    volume: list[Volume] = block(Volume)
