"""Kubernetes passes what every provider and platform must do, on a real API server, with Stead's own role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import urllib3
from kubernetes.client import exceptions as sdk
from kubernetes.config import config_exception
from kubernetes_peer import Server, node

from stead.api.errors import SteadError
from stead.testing.conformance import PlatformConformance, ProviderConformance, Rig, Sample, exceptions_of
from stead_kubernetes import plugin
from stead_kubernetes.claim import ClaimSpec, ClaimV1, Room
from stead_kubernetes.cluster import Cluster
from stead_kubernetes.deployment import DeploymentSpec, DeploymentV1, Template
from stead_kubernetes.failures import SDK_ERRORS, translate
from stead_kubernetes.metadata import ClusterMetadata, NamespacedMetadata, RbacMetadata, TemplateMetadata
from stead_kubernetes.pod import PodV1
from stead_kubernetes.pod_parts import Container, LabelSelector, Resources, Variable
from stead_kubernetes.pod_spec import PodSpec
from stead_kubernetes.role import RoleBindingV1, RoleReference, RoleV1, Rule, Subject
from stead_kubernetes.secret import SecretV1
from stead_kubernetes.service import ServicePort, ServiceSpec, ServiceV1
from stead_kubernetes.settings import KubernetesSettings
from stead_kubernetes.simple import (
    ConfigMapV1,
    NamespaceV1,
    NetworkPolicyV1,
    PolicySpec,
    QuotaSpec,
    ResourceQuotaV1,
    ServiceAccountV1,
)

pytestmark = pytest.mark.timeout(400)  # the first test of a run waits for the API server
NAMESPACE = "conformance"
PLAIN = "the same class under the name without a version"
POOL = urllib3.HTTPConnectionPool("127.0.0.1")
MAKERS = {
    name: partial(getattr(urllib3.exceptions, name), *arguments)
    for name, arguments in {
        "HeaderParsingError": ([], b""),
        "HostChangedError": (POOL, "/"),
        "IncompleteRead": (1, 2),
        "InvalidChunkLength": (urllib3.HTTPResponse(b""), b"x"),
        "MaxRetryError": (POOL, "/"),
        "NameResolutionError": ("host", POOL, OSError("no")),
        "NewConnectionError": (POOL, "no"),
        "ReadTimeoutError": (POOL, "/", "late"),
        "RequestError": (POOL, "/", "no"),
        "PoolError": (POOL, "no"),
        "EmptyPoolError": (POOL, "no"),
        "FullPoolError": (POOL, "no"),
        "ClosedPoolError": (POOL, "no"),
        "LocationParseError": ("x",),
    }.items()
}


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


@pytest.fixture(scope="module", autouse=True)
def place(api_server: Server) -> Iterator[None]:
    """A namespace, and what runs its pods."""
    api_server.namespace(NAMESPACE)
    with node(api_server, NAMESPACE):
        yield


class TestKubernetes(PlatformConformance, ProviderConformance):
    plugin = plugin
    sdk_modules = ("kubernetes", "urllib3", "yaml")
    samples = SAMPLES
    unsampled = {name.removesuffix("_v1"): PLAIN for name in SAMPLES}

    @pytest.fixture
    def settings(self, api_server: Server, tmp_path: Path) -> KubernetesSettings:
        path = api_server.kubeconfig(tmp_path / "kubeconfig")
        return KubernetesSettings(config_path=path, context="home", poll=0.1)

    @pytest.fixture
    def refused_settings(self, api_server: Server) -> KubernetesSettings:
        return KubernetesSettings(
            host=api_server.url, ca_file=Path(api_server.authority), token="wrong-token", attempts=1
        )

    @contextmanager
    def midway(self, rig: Rig, type_name: str) -> Iterator[None]:
        """The request reaches the API server; its answer, and all that comes after, is lost."""
        original = Cluster._post

        def lost(self, *arguments):
            original(self, *arguments)
            raise SteadError("the process is gone")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Cluster, "_post", lost)
            yield

    def sdk_errors(self) -> Iterator[Exception]:
        found = exceptions_of(sdk, config_exception, urllib3.exceptions, makers=MAKERS)
        return (error for error in found if isinstance(error, SDK_ERRORS))

    def translate(self, error: Exception) -> Exception:
        return translate(error, "It could not be done")
