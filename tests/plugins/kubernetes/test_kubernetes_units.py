"""Conversion, failures, explanations, connections and prices, without a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import models
from kubernetes.config.config_exception import ConfigException

from stead.api.errors import (
    CapacityExhausted,
    CredentialsRejected,
    OperationTimedOut,
    ProviderFailure,
    QuotaExceeded,
    ResourceNotFound,
    Throttled,
)
from stead.api.provider import BuildContext, Context, Owner, Unknown
from stead_kubernetes import labels, prices
from stead_kubernetes.cluster import Cluster
from stead_kubernetes.connection import Address, Execution, connect, environment_paths
from stead_kubernetes.convert import imported, observe, render
from stead_kubernetes.events import Reason, Watch, of_image, of_pod, of_refusal, of_scheduling
from stead_kubernetes.pod import without_additions
from stead_kubernetes.pod_parts import (
    Container,
    HttpGet,
    PodSecurity,
    Port,
    Probe,
    ResourceReference,
    Resources,
    ValueFrom,
    Variable,
    VolumeMount,
)
from stead_kubernetes.pod_spec import PodSpec, Toleration
from stead_kubernetes.pod_volumes import ClaimVolume, EmptyDir, Projected, ProjectedFiles, SecretVolume, Source, Volume
from stead_kubernetes.provider import Kubernetes
from stead_kubernetes.quantities import amount, same
from stead_kubernetes.settings import KubernetesSettings

GIB = 1024**3


def pod() -> PodSpec:
    probe = Probe(http_get=[HttpGet(path="/", port="8080", scheme="HTTP")], period_seconds=10)
    container = Container(
        name="main",
        image="i:1",
        env=[Variable(name="A", value=""), Variable(name="B", value="b")],
        port=[Port(container_port=80, protocol="TCP", host_ip="10.0.0.1")],
        liveness_probe=[probe],
        resources=[Resources(limits={"cpu": "0.5", "memory": "1024Mi"})],
        volume_mount=[VolumeMount(name="v", mount_path="/v")],
    )
    return PodSpec(
        container=[container],
        host_ipc=False,
        security_context=[PodSecurity(run_as_user="1000", supplemental_groups={7, 3})],
        toleration=[Toleration(key="k", toleration_seconds="60")],
        volume=[
            Volume(name="v", empty_dir=[EmptyDir(medium="")]),
            Volume(name="s", secret=[SecretVolume(secret_name="x", default_mode="0640")]),
            Volume(name="c", persistent_volume_claim=[ClaimVolume(claim_name="c")]),
            Volume(name="p", projected=[Projected(sources=[Source(secret=[ProjectedFiles(name="x")])])]),
        ],
    )


def test_a_pod_becomes_what_the_api_takes() -> None:
    found = render(pod())
    container = found["containers"][0]
    assert container["env"] == [{"name": "A", "value": ""}, {"name": "B", "value": "b"}]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostIP": "10.0.0.1"}]
    assert container["livenessProbe"]["httpGet"]["port"] == 8080
    assert found["securityContext"] == {"runAsUser": 1000, "supplementalGroups": [3, 7]}
    assert found["tolerations"] == [{"key": "k", "tolerationSeconds": 60}]
    assert found["hostIPC"] is False
    volumes = {item["name"]: item for item in found["volumes"]}
    assert volumes["s"]["secret"]["defaultMode"] == 0o640
    assert volumes["v"]["emptyDir"] == {"medium": ""}
    assert volumes["p"]["projected"]["sources"] == [{"secret": {"name": "x"}}]
    assert models.V1PodSpec.from_dict(found).containers[0].name == "main"


def test_what_is_unknown_or_null_is_left_out() -> None:
    assert render(PodSpec(hostname=Unknown, node_name=None, node_selector={})) == {}


def test_what_a_pod_reads_back_as_is_what_it_was() -> None:
    found, wanted = render(pod()), pod()
    found["containers"][0]["resources"]["limits"] = {"cpu": "500m", "memory": "1Gi", "foreign": "1"}
    found["containers"].insert(0, {"name": "sidecar"})
    found["schedulerName"] = "default-scheduler"
    seen = pod()
    observe(seen, found, refresh=True)
    assert seen == wanted


def test_drift_is_seen() -> None:
    found, seen = render(pod()), pod()
    found["containers"][0]["image"] = "i:2"
    found["containers"][0]["env"] = [{"name": "B", "value": "c"}]
    observe(seen, found, refresh=True)
    assert seen.container[0].image == "i:2"
    assert [(item.name, item.value) for item in seen.container[0].env] == [("B", "c")]


def test_what_is_computed_is_filled_in() -> None:
    seen = pod()
    seen.node_name = seen.service_account_name = Unknown
    observe(seen, {**render(pod()), "nodeName": "n1"}, refresh=False)
    assert (seen.node_name, seen.service_account_name) == ("n1", None)


def test_an_import_leaves_out_what_the_cluster_adds() -> None:
    raw = render(pod())
    raw["containers"][0]["volumeMounts"].append(
        {"name": "token-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    )
    raw["volumes"].append({"name": "token-x", "secret": {"secretName": "token-x"}})
    raw["tolerations"].append({"key": "node.kubernetes.io/not-ready", "operator": "Exists"})
    found: Any = imported(PodSpec, without_additions(raw))
    assert [item.name for item in found.volume] == ["v", "s", "c", "p"]
    assert [item.key for item in found.toleration] == ["k"]
    assert found.volume[1].secret[0].default_mode == "0640"


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [("1Gi", "1024Mi", True), ("0.5", "500m", True), ("1k", "1000", True), ("1Gi", "1G", False), ("x", "x", True),
     ("x", "y", False), ("1e3", "1000", True)],
)  # fmt: skip
def test_quantities_are_compared_by_what_they_are(one: str, other: str, equal: bool) -> None:
    assert same(one, other) is equal


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1Qi", "--1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        amount(text)


@pytest.mark.parametrize("text", ["plain", "", "a" * 63, "with space", "é", "-x-", "a" * 200, "a/b"])
def test_label_values_are_valid_and_stay_apart(text: str) -> None:
    assert labels.VALUE.fullmatch(labels.value(text))
    assert text != labels.value(text + "!")
    assert labels.value(text + " ") != labels.value(text + "/")


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        ("toomanyrequests: limit reached", Throttled),
        ("unauthorized: authentication required", CredentialsRejected),
        ("manifest for x not found", ResourceNotFound),
        ("dial tcp: i/o timeout", ProviderFailure),
    ],
)
def test_why_an_image_is_not_pulled(words: str, failure: type[ProviderFailure]) -> None:
    assert of_image(words).failure is failure


def test_why_no_pod_is_made() -> None:
    assert of_refusal("exceeded quota: q").failure is QuotaExceeded
    assert of_refusal("admission webhook denied").failure is ProviderFailure


def test_why_no_node_takes_a_pod() -> None:
    room, claim = (
        of_scheduling("0/1 nodes: Insufficient cpu"),
        of_scheduling("unbound immediate PersistentVolumeClaims"),
    )
    assert room.failure is claim.failure is CapacityExhausted
    assert room.patient
    assert "claims" in claim.remedy


def status(waiting: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    container = {"name": "main", "state": {"waiting": waiting} if waiting else {}, **values}
    return {"metadata": {"name": "p", "uid": "u"}, "status": {"phase": "Pending", "containerStatuses": [container]}}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (status({"reason": "CrashLoopBackOff"}, lastState={"terminated": {"exitCode": 3}}), "exit code 3"),
        (status({"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}), 'secret "s" not found'),
        (status({"reason": "InvalidImageName"}), "InvalidImageName"),
        ({"status": {"phase": "Failed", "reason": "Evicted"}}, "Evicted"),
    ],
)
def test_why_a_pod_does_not_run(found: dict[str, Any], words: str) -> None:
    reason = of_pod(found)
    assert reason is not None
    assert words in reason.words


def test_a_pod_that_begins_has_nothing_wrong() -> None:
    assert of_pod(status({"reason": "ContainerCreating"})) is None
    assert of_pod({}) is None


def watch(patience: float, times: list[float]) -> Watch:
    cluster = Cluster(lambda: Address(), KubernetesSettings(patience=patience))
    return Watch(cluster, Context(), "Pod p does not run", "default", clock=lambda: times[0])


def test_patience_is_for_what_may_mend() -> None:
    times = [0.0]
    seen = watch(10.0, times)
    reason = Reason(ResourceNotFound, "not found", "check")
    seen.consider(reason)
    times[0] = 9.0
    seen.consider(reason)
    seen.consider(None)
    times[0] = 15.0
    seen.consider(reason)
    times[0] = 26.0
    with pytest.raises(ResourceNotFound, match=r"Pod p does not run: not found\. check"):
        seen.consider(reason)


def test_what_is_hopeless_ends_at_once_and_what_is_patient_never() -> None:
    times = [0.0]
    seen = watch(0.0, times)
    seen.consider(Reason(CapacityExhausted, "no room", "add nodes", patient=True))
    late = seen.late()
    assert isinstance(late, CapacityExhausted)
    with pytest.raises(ProviderFailure, match="no hope"):
        seen.consider(Reason(ProviderFailure, "no hope", "", hopeless=True))


def kubeconfig(path: Path, server: str, name: str, user: dict[str, Any], **extra: Any) -> Path:
    content = {
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        **extra,
    }
    path.write_text(json.dumps(content))
    return path


def test_several_kubeconfigs_are_one(tmp_path: Path) -> None:
    one = kubeconfig(tmp_path / "1", "http://one.test", "one", {"token": "t1"}, **{"current-context": "one"})
    two = kubeconfig(tmp_path / "2", "http://two.test", "two", {"token": "t2"}, **{"current-context": "two"})
    paths = (one, two)
    hosts = {
        context: connect(Address(paths=paths, context=context)).configuration.host for context in (None, "one", "two")
    }
    assert hosts == {None: "http://one.test", "one": "http://one.test", "two": "http://two.test"}
    mixed = connect(Address(paths=paths, context="one", cluster="two")).configuration
    assert (mixed.host, mixed.api_key["BearerToken"]) == ("http://two.test", "Bearer t1")


def test_a_context_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "1", "http://one.test", "one", {})
    with pytest.raises(ConfigException, match="no context 'three'; it has: one"):
        connect(Address(paths=(path,), context="three"))


def test_the_block_wins_over_the_files(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "1", "http://one.test", "one", {"token": "t1"}, **{"current-context": "one"})
    found = connect(Address(paths=(path,), host="http://own.test", token="own", insecure=True)).configuration
    assert (found.host, found.api_key["BearerToken"], found.verify_ssl) == ("http://own.test", "Bearer own", False)


def test_a_program_gives_the_credential(tmp_path: Path) -> None:
    program = tmp_path / "login"
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "fresh"}}
    program.write_text(f"#!/bin/sh\ntest \"$WHO\" = me || exit 1\nprintf '%s' '{json.dumps(answer)}'\n")
    program.chmod(0o755)
    execution = Execution("client.authentication.k8s.io/v1", str(program), ["a"], {"WHO": "me"})
    found = connect(Address(host="https://own.test", execution=execution)).configuration
    assert found.api_key["BearerToken"] == "Bearer fresh"


def test_no_cluster_is_said_plainly() -> None:
    cluster = Cluster(lambda: Address(), KubernetesSettings())
    with pytest.raises(CredentialsRejected, match="no kubeconfig, and no host"):
        _ = cluster.client


def test_where_the_environment_names_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBE_CONFIG_PATH", "KUBE_CONFIG_PATHS", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    assert environment_paths() == ()
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    assert environment_paths() == (Path("/a"), Path("/b"))
    monkeypatch.setenv("KUBE_CONFIG_PATH", "/c")
    assert environment_paths() == (Path("/c"),)


def test_a_pod_of_the_cluster_needs_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert Address().in_cluster
    assert not Address(host="https://x.test").in_cluster


def test_secrets_stay_out_of_what_is_shown() -> None:
    address = Address(host="x", token="very-secret", password="very-secret", key="very-secret")
    provider = Kubernetes(
        settings=KubernetesSettings(token="very-secret"), token="very-secret", client_key="very-secret"
    )
    assert "very-secret" not in repr(address) + repr(provider) + repr(provider.settings)


def test_every_owner_has_a_namespace() -> None:
    provider = Kubernetes(settings=KubernetesSettings(user_namespace="dev-{owner}"))
    context = Context(provider=provider, build=BuildContext(owner=Owner(name="Alice.B")))
    assert provider.default_namespace(context) == "dev-alice-b"
    assert provider.default_namespace(Context(provider=provider)) == "default"


def test_prices_are_computed_from_what_is_asked_for() -> None:
    table = prices.Prices("2026-01-01", "EUR", 0.04, 0.005, {"": 0.073, "fast": 0.146})
    container = {"resources": [{"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"cpu": "4"}}]}
    pod_spec = [{"container": [container, container]}]
    found = table.price("kubernetes_pod_v1", {"spec": pod_spec})
    assert found is not None
    assert (found.hourly, found.currency, found.as_of) == (pytest.approx(0.06), "EUR", "2026-01-01")
    deployment = {"spec": [{"replicas": "3", "template": [{"spec": pod_spec}]}]}
    assert table.price("kubernetes_deployment", deployment).hourly == pytest.approx(0.18)
    claim = {"spec": [{"storage_class_name": "fast", "resources": [{"requests": {"storage": "10Gi"}}]}]}
    assert table.price("kubernetes_persistent_volume_claim", claim).hourly == pytest.approx(0.002)
    assert table.price("kubernetes_pod", {"spec": [{"container": [{}]}]}) is None
    assert table.price("kubernetes_secret", {}) is None


def test_a_table_is_made_of_what_a_node_costs(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    arguments = ["--node", "146", "--node-cpus", "4", "--node-gib", "16", "--storage", "0.1", "--storage", "fast=0.2"]
    assert prices.main([*arguments, "--output", str(path)]) == 0
    table = prices.load(path)
    assert table.pods(4, 16) * prices.HOURS == pytest.approx(146, rel=0.001)
    assert table.storage == {"": 0.1, "fast": 0.2}


def test_the_bundled_table_says_that_it_is_an_example() -> None:
    raw = json.loads(prices.TABLE.read_text())
    assert "no public price" in raw["note"]
    assert prices.table().pods(1, 1) > 0


def test_certificates_are_given_as_text(tmp_path: Path) -> None:
    found = connect(Address(host="https://x.test", authority="AUTHORITY")).configuration
    assert Path(found.ssl_ca_cert).read_text() == "AUTHORITY"


def test_a_silent_server_is_a_time_out(edge, bench) -> None:
    edge.answers = ["silent"]
    made = bench(timeout=0.2, attempts=1)
    with pytest.raises(OperationTimedOut):
        made.provider.cluster.call(made.context(), "It could not be read", "GET", "/version")


def test_a_quantity_that_the_api_server_writes_in_its_own_way_is_the_same() -> None:
    """An empty_dir of 1024Mi reads back as 1Gi: that must not replace the pod."""
    memory = ResourceReference(resource="limits.memory", divisor="1024Ki")
    variable = Variable(name="MEMORY", value_from=[ValueFrom(resource_field_ref=[memory])])
    room = EmptyDir(medium="", size_limit="1024Mi")
    made = PodSpec(container=[Container(name="main", env=[variable])], volume=[Volume(name="cache", empty_dir=[room])])
    found = render(made)
    found["containers"][0]["env"][0]["valueFrom"]["resourceFieldRef"]["divisor"] = "1Mi"
    found["volumes"][0]["emptyDir"]["sizeLimit"] = "1Gi"
    observe(made, found, refresh=True)
    assert (room.size_limit, memory.divisor) == ("1024Mi", "1024Ki")
    found["volumes"][0]["emptyDir"]["sizeLimit"] = "2Gi"
    observe(made, found, refresh=True)
    assert room.size_limit == "2Gi"
