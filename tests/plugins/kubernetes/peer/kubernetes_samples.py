"""One resource of each type, as a template would write it, in a namespace that is there."""

from __future__ import annotations

from stead.testing.conformance import Rig, Sample
from stead_kubernetes.claim import ClaimSpec, ClaimV1, Room
from stead_kubernetes.deployment import DeploymentSpec, DeploymentV1, Template
from stead_kubernetes.metadata import ClusterMetadata, NamespacedMetadata, RbacMetadata, TemplateMetadata
from stead_kubernetes.pod import PodV1
from stead_kubernetes.pod_parts import Container, LabelSelector, Resources, Variable
from stead_kubernetes.pod_spec import PodSpec
from stead_kubernetes.role import RoleBindingV1, RoleReference, RoleV1, Rule, Subject
from stead_kubernetes.secret import SecretV1
from stead_kubernetes.service import ServicePort, ServiceSpec, ServiceV1
from stead_kubernetes.simple import (
    ConfigMapV1,
    NamespaceV1,
    NetworkPolicyV1,
    PolicySpec,
    QuotaSpec,
    ResourceQuotaV1,
    ServiceAccountV1,
)

NAMESPACE = "conformance"


def meta(rig: Rig, kind: type = NamespacedMetadata, **values) -> list:
    place = {} if kind is ClusterMetadata else {"namespace": NAMESPACE}
    return [kind(name=rig.unique(), labels={"team": "red"}, **place, **values)]


def pod_spec(image: str = "busybox:1") -> list[PodSpec]:
    size = Resources(limits={"cpu": "500m", "memory": "64Mi"}, requests={"cpu": "100m", "memory": "64Mi"})
    container = Container(
        name="main", image=image, command=["sleep", "9"], env=[Variable(name="A", value="b")], resources=[size]
    )
    return [PodSpec(container=[container], automount_service_account_token=False)]


def deployment(rig: Rig) -> DeploymentV1:
    labels = {"app": rig.unique()}
    template = Template(metadata=[TemplateMetadata(labels=labels)], spec=pod_spec())
    spec = DeploymentSpec(replicas="1", selector=[LabelSelector(match_labels=labels)], template=[template])
    return DeploymentV1(metadata=meta(rig), spec=[spec])


def claim(rig: Rig) -> ClaimV1:
    room = Room(requests={"storage": "1Gi"})
    spec = ClaimSpec(access_modes={"ReadWriteOnce"}, storage_class_name="none", resources=[room])
    return ClaimV1(metadata=meta(rig), wait_until_bound=False, spec=[spec])


def rules(*verbs: str) -> list[Rule]:
    return [Rule(api_groups={""}, resources={"pods"}, verbs=set(verbs))]


def binding(rig: Rig) -> RoleBindingV1:
    role = rig.create(RoleV1(metadata=meta(rig, RbacMetadata), rule=rules("get")))
    reference = RoleReference(kind="Role", name=role.meta.name)
    subject = Subject(kind="ServiceAccount", name="default", namespace=NAMESPACE)
    return RoleBindingV1(metadata=meta(rig), role_ref=[reference], subject=[subject])


SAMPLES = {
    "kubernetes_config_map_v1": Sample(
        lambda rig: ConfigMapV1(metadata=meta(rig), data={"a": "b"}), change={"data": {"a": "c", "d": "e"}}
    ),
    "kubernetes_deployment_v1": Sample(
        deployment, change={"wait_for_rollout": False}, not_imported=frozenset({"wait_for_rollout"})
    ),
    "kubernetes_namespace_v1": Sample(lambda rig: NamespaceV1(metadata=meta(rig, ClusterMetadata))),
    "kubernetes_network_policy_v1": Sample(
        lambda rig: NetworkPolicyV1(
            metadata=meta(rig), spec=[PolicySpec(pod_selector=[LabelSelector()], policy_types=["Ingress"])]
        )
    ),
    "kubernetes_persistent_volume_claim_v1": Sample(claim, not_imported=frozenset({"wait_until_bound"})),
    "kubernetes_pod_v1": Sample(lambda rig: PodV1(metadata=meta(rig), spec=pod_spec())),
    "kubernetes_resource_quota_v1": Sample(
        lambda rig: ResourceQuotaV1(metadata=meta(rig), spec=[QuotaSpec(hard={"services.nodeports": "7"})]),
        change={"spec": [QuotaSpec(hard={"services.nodeports": "8", "services.loadbalancers": "2"})]},
        not_imported=frozenset({"metadata"}),  # counting it changes its version
    ),
    "kubernetes_role_v1": Sample(
        lambda rig: RoleV1(metadata=meta(rig, RbacMetadata), rule=rules("get")), change={"rule": rules("get", "list")}
    ),
    "kubernetes_role_binding_v1": Sample(
        binding,
        change={
            "subject": [Subject(kind="User", name="alice", namespace="default", api_group="rbac.authorization.k8s.io")]
        },
    ),
    "kubernetes_secret_v1": Sample(
        lambda rig: SecretV1(metadata=meta(rig), data={"a": "secret-b"}), change={"data": {"a": "secret-c"}}
    ),
    "kubernetes_service_v1": Sample(
        lambda rig: ServiceV1(
            metadata=meta(rig),
            spec=[ServiceSpec(selector={"app": "x"}, port=[ServicePort(port=80, target_port="http")])],
        )
    ),
    "kubernetes_service_account_v1": Sample(
        lambda rig: ServiceAccountV1(metadata=meta(rig), automount_service_account_token=False),
        change={"automount_service_account_token": True},
        not_imported=frozenset({"default_secret_name", "metadata"}),
    ),
}
