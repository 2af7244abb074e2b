"""The starter templates and failing builds under the real Terraform, on a real API server with Stead's own role."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes_peer import Node, Server, node

from stead.api.errors import SteadError
from stead.api.provider import BuildContext, Owner
from stead.terraform.builtin import builtin_providers
from stead.terraform.engine import Engine, EngineOptions
from stead.testing.templates import TemplateRunner
from stead.testing.terraform import MemoryJournal
from stead_kubernetes import plugin
from stead_kubernetes.platform import KubernetesPlatform
from stead_kubernetes.plugin import STARTERS
from stead_kubernetes.settings import KubernetesSettings

pytestmark = pytest.mark.timeout(400)  # the first test of a run waits for the API server
TEMPLATES = {starter.name: starter.path for starter in STARTERS}
POD = """
terraform {
  required_providers {
    kubernetes = { source = "hashicorp/kubernetes" }
  }
}
variable "image" { default = "fine:1" }
variable "cpu" { default = "100m" }
resource "kubernetes_deployment" "it" {
  metadata {
    name = "it"
  }
  spec {
    selector {
      match_labels = { app = "it" }
    }
    template {
      metadata {
        labels = { app = "it" }
      }
      spec {
        container {
          name  = "main"
          image = var.image
          resources {
            requests = { cpu = var.cpu }
          }
        }
      }
    }
  }
  timeouts {
    create = "TIMEOUT"
    update = "TIMEOUT"
  }
}
"""
KEPT = {"is_prebuild_claim": True}  # every other build gives the agent a new token
QUOTA = """
resource "kubernetes_resource_quota" "it" {
  metadata {
    name = "small"
  }
  spec {
    hard = { "requests.cpu" = "200m" }
  }
}
"""


class Bench:
    """A deployment of Stead on the server, and one workspace of it."""

    def __init__(self, server: Server, folder: Path, **settings: Any) -> None:
        self.name = f"t{secrets.token_hex(5)}"
        self.server, self.namespace = server, self.name
        quick = {"poll": 0.1, "patience": 1.0, "namespace": self.namespace, **settings}
        config = server.kubeconfig(folder / "kubeconfig")
        self.settings = KubernetesSettings(config_path=config, context="home", **quick)
        self.platform = KubernetesPlatform(self.settings)
        spec = plugin.stead_terraform_providers()[0]
        builtin = [(item, item.settings()) for item in builtin_providers()]
        self.engine = Engine(EngineOptions(network=False), [(spec, self.settings), *builtin])
        context = BuildContext(
            deployment=self.name,
            workspace_id=self.name,
            workspace_name="Dev",
            build_id="b1",
            owner=Owner(id="o1", name="alice"),
            init_scripts=lambda os, arch: f"echo {os} {arch}",
            access_url="http://stead.test",
        )
        (folder / "runs").mkdir()
        self.journal = MemoryJournal()
        self.runner = TemplateRunner(self.engine, folder / "runs", context, self.journal, timeout=100.0)

    def get(self, path: str) -> Any:
        return self.server.ask("GET", path)

    def owned(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in self.platform.owned_resources(self.name):
            found.setdefault(item.type_name.removeprefix("kubernetes_").removesuffix("_v1"), []).append(item.identity)
        return found

    def close(self) -> None:
        self.engine.close()
        for item in self.platform.owned_resources(self.name):
            self.platform.destroy_owned(item)
        self.server.ask("DELETE", f"/api/v1/namespaces/{self.namespace}")


@pytest.fixture
def bench(api_server: Server, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(api_server, tmp_path)
    api_server.namespace(made.namespace)
    yield made
    made.close()


@pytest.fixture
def pods(bench: Bench) -> Iterator[Node]:
    with node(bench.server, bench.namespace) as hand:
        yield hand


def starter(name: str) -> dict[str, str]:
    return {file.name: file.read_text() for file in TEMPLATES[name].iterdir() if file.suffix == ".tf"}


def test_the_plain_starter_lives_and_dies(bench: Bench, pods: Node) -> None:
    template, runner = starter("kubernetes"), bench.runner
    small = {"parameters": {"cpu": "1", "memory": "1", "home": "1"}}
    runner.apply(template, **small)
    owned = bench.owned()
    assert set(owned) == {"deployment", "persistent_volume_claim"}
    assert not runner.plan(template, **small, **KEPT).has_changes
    runner.apply(template, transition="stop", **small)
    assert set(bench.owned()) == {"persistent_volume_claim"}
    runner.apply(template, **small)
    assert bench.owned() == owned
    large = {"parameters": {**small["parameters"], "cpu": "2", "image": "other:2"}, "build_id": "b2"}
    assert [change.action for change in runner.plan(template, **large).changes] == ["update"]
    runner.apply(template, **large)
    assert not runner.plan(template, **large, **KEPT).has_changes
    path = f"/apis/apps/v1/namespaces/{bench.namespace}/deployments/{owned['deployment'][0].partition('/')[2]}"
    found = bench.get(path)
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["resources"]["limits"]["cpu"]) == ("other:2", "2")
    assert found["metadata"]["labels"]["stead.build"] == "b1", "our labels stay as they were made"
    runner.destroy(template, **large)
    assert bench.owned() == {}
    assert "ReplicaSet" in runner.log, "events are in the build log"


def test_the_showing_starter_lives_and_dies(bench: Bench) -> None:
    template, runner = starter("kubernetes-workbench"), bench.runner
    namespace = f"stead-{bench.name}"
    with node(bench.server, namespace):
        first = {"parameters": {"size": "small", "home": "1"}}
        planned = runner.plan(template, **first)
        assert planned.daily_cost > 0
        assert {preset.name for preset in planned.presets} == {"Light", "Heavy"}
        runner.apply(template, **first)
        owned = bench.owned()
        assert set(owned) == {
            "config_map", "namespace", "network_policy", "persistent_volume_claim", "pod", "resource_quota", "secret",
            "service_account",
        }  # fmt: skip
        assert not runner.plan(template, **first, **KEPT).has_changes
        runner.apply(template, transition="stop", **first)
        assert set(bench.owned()) == set(owned) - {"pod"}
        runner.apply(template, **first)
        second = {"parameters": {"size": "medium", "home": "1", "outside": "public"}}
        runner.apply(template, **second)
        assert not runner.plan(template, **second, **KEPT).has_changes
        policy = bench.get(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/workspace")
        assert "10.0.0.0/8" in policy["spec"]["egress"][0]["to"][0]["ipBlock"]["except"]
        quota = bench.get(f"/api/v1/namespaces/{namespace}/resourcequotas/workspace")
        assert quota["spec"]["hard"]["limits.cpu"] == "4"
        runner.destroy(template, **second)
    assert bench.owned() == {}
    assert bench.get(f"/api/v1/namespaces/{namespace}") is None


def waiting(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    container = {"name": "main", "ready": False, "restartCount": 0, "image": "x", "imageID": "", "state": state}
    return {"phase": "Pending", "containerStatuses": [container]}


def unschedulable(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (waiting("ImagePullBackOff", 'pull of "bad:1": not found'), ["bad:1", "Check the image's name and tag"]),
        (waiting("ErrImagePull", "unauthorized: authentication required"), ["unauthorized", "image_pull_secrets"]),
        (unschedulable("0/3 nodes are available: 3 Insufficient cpu."), ["Insufficient cpu", "Ask for less"]),
    ],
    ids=["image", "login", "no node"],
)
def test_a_rollout_that_fails_says_why(bench: Bench, pods: Node, status: dict[str, Any], words: list[str]) -> None:
    pods.statuses["bad:1"] = status
    template = POD.replace("TIMEOUT", "12s").replace("fine:1", "bad:1")
    with pytest.raises(SteadError) as caught:
        bench.runner.apply(template)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert bench.owned() == {"deployment": [f"{bench.namespace}/it"]}, "what was made is known"
    bench.runner.apply(template.replace("bad:1", "fine:1"))
    assert not bench.runner.plan(template.replace("bad:1", "fine:1")).has_changes
    bench.runner.destroy(template)
    assert bench.owned() == {}


def test_a_quota_that_refuses_the_pod_says_so(bench: Bench, pods: Node) -> None:
    template = QUOTA + POD.replace("TIMEOUT", "60s").replace(
        'resource "kubernetes_deployment" "it" {',
        'resource "kubernetes_deployment" "it" {\n  depends_on = [kubernetes_resource_quota.it]',
    )
    with pytest.raises(SteadError, match="exceeded quota"):
        bench.runner.apply(template.replace('"100m"', '"500m"'))
    bench.runner.apply(template)
    bench.runner.destroy(template)
    assert bench.owned() == {}


def test_what_vanished_is_made_anew(bench: Bench, pods: Node) -> None:
    template = POD.replace("TIMEOUT", "60s")
    bench.runner.apply(template)
    path = f"/apis/apps/v1/namespaces/{bench.namespace}/deployments/it"
    first = bench.get(path)["metadata"]["uid"]
    bench.server.ask("DELETE", path)
    bench.runner.apply(template)
    assert bench.get(path)["metadata"]["uid"] != first
    bench.runner.destroy(template)


def test_what_others_changed_is_brought_back_and_what_they_added_stays(bench: Bench, pods: Node) -> None:
    template = POD.replace("TIMEOUT", "60s")
    bench.runner.apply(template)
    path = f"/apis/apps/v1/namespaces/{bench.namespace}/deployments/it"
    change = {"metadata": {"annotations": {"other": "1"}}, "spec": {"template": {"spec": {"dnsPolicy": "Default"}}}}
    bench.server.ask("PATCH", path, change, "application/merge-patch+json")
    assert bench.runner.plan(template).has_changes
    bench.runner.apply(template)
    found = bench.get(path)
    assert found["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"
    assert found["metadata"]["annotations"]["other"] == "1"
    bench.runner.destroy(template)


def test_what_a_template_takes_back_is_gone(bench: Bench) -> None:
    """An entry that was set by the creation goes by server-side apply, whoever recorded it."""
    template = """
terraform {
  required_providers {
    kubernetes = { source = "hashicorp/kubernetes" }
  }
}
resource "kubernetes_config_map" "it" {
  metadata {
    name        = "it"
    annotations = { mine = "1" }
  }
  data = { a = "1", b = "2" }
}
"""
    bench.runner.apply(template)
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps/it"
    other = {"metadata": {"labels": {"others": "x"}}}
    bench.server.ask("PATCH", path, other, "application/merge-patch+json")
    changed = template.replace(', b = "2"', "").replace('    annotations = { mine = "1" }\n', "")
    bench.runner.apply(changed)
    found = bench.get(path)
    assert found["data"] == {"a": "1"}
    assert "mine" not in found["metadata"].get("annotations", {})
    assert found["metadata"]["labels"]["others"] == "x"
    assert not bench.runner.plan(changed).has_changes
    bench.runner.destroy(changed)
