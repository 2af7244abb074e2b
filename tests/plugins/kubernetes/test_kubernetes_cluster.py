"""A whole single-node cluster: a workspace of the starter template comes up in a pod, and a shell opens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes_node import BUSYBOX, Whole, whole_cluster

from stead.testing.deployment import Deployment
from stead.testing.left_out import leave_out
from stead.testing.session import Session
from stead.testing.waiting import eventually, find_free_port
from stead.testing.worlds import Person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PATIENCE = 180.0  # seconds
NAME = "first"


@pytest.fixture(scope="module")
def cluster(stead_session: Session) -> Iterator[Whole]:
    if os.environ.get("STEAD_TEST_ALL") != "1":
        leave_out("whole Kubernetes cluster", "it takes a minute to start; ./test --all runs it")
    with whole_cluster(stead_session) as found:
        yield found


@pytest.fixture(scope="module")
def bundle(stead_session: Session) -> Path:
    given = os.environ.get("STEAD_TEST_AGENT_BUNDLE")
    if given:
        return Path(given)

    def build() -> dict[str, Any]:
        folder = stead_session.folder / "agent-bundle"
        subprocess.run([sys.executable, "-m", "stead_agent_bundle", str(folder)], check=True, timeout=300)
        return {"folder": str(folder)}

    return Path(stead_session.shared("agent-bundle", build)["folder"])


@pytest.fixture
def deployment(cluster: Whole, bundle: Path, tmp_path: Path) -> Iterator[Deployment]:
    config = cluster.server.kubeconfig(tmp_path / "kubeconfig")
    port = find_free_port()
    environment = {
        "STEAD_ACCESS_URL": f"http://{cluster.address}:{port}",
        "STEAD_AGENT_BUNDLE_DIR": str(bundle),
        "STEAD_PLUGINS_KUBERNETES_CONFIG_PATH": str(config),
        "STEAD_PLUGINS_KUBERNETES_CONTEXT": "home",
    }
    made = Deployment(tmp_path / "data", port, find_free_port(), listen="0.0.0.0", environment=environment)
    with made:
        made.create_owner()
        yield made


def volume(cluster: Whole, folder: Path) -> None:
    """A persistent volume, as whoever runs a cluster provides them."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    spec = {
        "capacity": {"storage": "2Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": str(folder)},
    }
    body = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "home"}, "spec": spec}
    cluster.server.ask("POST", "/api/v1/persistentvolumes", body)


def agent_of(deployment: Deployment) -> dict[str, Any] | None:
    for item in deployment.get("/workspaces")["items"]:
        for resource in deployment.get(f"/workspaces/{item['id']}")["latest_build"].get("resources") or ():
            for agent in resource.get("agents") or ():
                if agent["status"] == "connected" and agent["lifecycle"] == "ready":
                    found: dict[str, Any] = agent
                    return found
    return None


def pods(cluster: Whole) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.server.ask("GET", "/api/v1/namespaces/default/pods")["items"]
    return found


def test_a_shell_opens_in_a_pod_of_the_starter_template(cluster: Whole, deployment: Deployment, tmp_path: Path) -> None:
    volume(cluster, tmp_path / "volume")
    person = Person(tmp_path / "person", deployment, NAME)
    person.set_up()
    person.stead("templates", "push", "pods", "--starter", "kubernetes/kubernetes", "--yes")
    given = {"image": BUSYBOX, "cpu": "1", "memory": "1", "home": "1"}
    parameters = [word for name, value in given.items() for word in ("--parameter", f"{name}={value}")]
    created = person.run(
        sys.executable,
        "-m",
        "stead.cli.main",
        "create",
        NAME,
        "--yes",
        "--template",
        "pods",
        *parameters,
        timeout=PATIENCE,
    )
    assert created.returncode == 0, created.stderr.decode() + created.stdout.decode() + deployment.log[-3000:]
    try:
        eventually(lambda: agent_of(deployment), PATIENCE, what="an agent that is ready")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{json.dumps(pods(cluster), indent=1)[-4000:]}") from error
    assert person.sh("id -u; hostname; echo here > /home/coder/kept").split() == ["1000", NAME]
    assert (tmp_path / "volume" / "kept").read_text() == "here\n"
    person.run(sys.executable, "-m", "stead.cli.main", "stop", NAME, timeout=PATIENCE)
    eventually(lambda: not pods(cluster), PATIENCE, what="the end of the pod")
    removed = person.run(sys.executable, "-m", "stead.cli.main", "delete", NAME, "--yes", timeout=PATIENCE)
    assert removed.returncode == 0, removed.stderr.decode()
    claims = "/api/v1/namespaces/default/persistentvolumeclaims"
    eventually(lambda: not cluster.server.ask("GET", claims)["items"], PATIENCE, what="the end of the claim")
