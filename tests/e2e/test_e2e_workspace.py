"""The main job: from a Terraform template to a shell in a container, and back to nothing."""

from __future__ import annotations

import contextlib
import io
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from stead.testing.deployment import Deployment
from stead.testing.waiting import eventually, find_free_port
from stead.testing.worlds import Person

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.slow, pytest.mark.timeout(240)]

TEMPLATE = """
terraform {
  required_providers {
    coder  = { source = "coder/coder" }
    docker = { source = "kreuzwerker/docker" }
  }
}

provider "docker" {
  host = "ENGINE"
}

data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

data "coder_parameter" "greeting" {
  name    = "greeting"
  default = "hello"
  mutable = true
}

resource "coder_agent" "main" {
  os   = "linux"
  arch = "amd64"
  dir  = "/home/coder/work"
  env = {
    GREETING = data.coder_parameter.greeting.value
  }
  startup_script  = "echo starting; touch /tmp/started"
  shutdown_script = "date > /home/coder/last-shutdown; sync"
  metadata {
    key          = "user"
    display_name = "User"
    script       = "id -un"
    interval     = 5
    timeout      = 2
  }
}

resource "docker_volume" "home" {
  name = "stead-test-${data.coder_workspace.me.id}"
}

resource "docker_container" "workspace" {
  count      = data.coder_workspace.me.start_count
  image      = "IMAGE"
  name       = "stead-test-${data.coder_workspace_owner.me.name}-${data.coder_workspace.me.name}"
  user       = "coder"
  init       = true
  entrypoint = ["sh", "-c", coder_agent.main.init_script]
  env        = ["CODER_AGENT_TOKEN=${coder_agent.main.token}"]
  volumes {
    container_path = "/home/coder"
    volume_name    = docker_volume.home.name
  }
}
"""


def archive(text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("main.tf")
        entry.size = len(text.encode())
        tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def wait_for_job(deployment: Deployment, path: str) -> dict[str, Any]:
    """The build or version once its job has ended, with its log where it failed."""

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = deployment.get(path)
        return found if found["job"]["status"] in {"succeeded", "failed", "canceled"} else None

    found = eventually(ended, 40, what=f"the end of {path}: {deployment.get(path)}")
    assert found["job"]["status"] == "succeeded", f"{found['job']}\n{deployment.log[-3000:]}"
    return found


def run_build(deployment: Deployment, workspace: str, transition: str, **more: Any) -> dict[str, Any]:
    build = deployment.post(f"/workspaces/{workspace}/builds", {"transition": transition, **more})
    return wait_for_job(deployment, f"/builds/{build['id']}")


def wait_ready(deployment: Deployment, workspace: str) -> dict[str, Any]:
    def ready() -> dict[str, Any] | None:
        found: dict[str, Any] = deployment.get(f"/workspaces/{workspace}")
        return found if found["ready"] else None

    return eventually(ready, 60, what="a workspace that is ready")


@pytest.fixture(scope="module")
def engine(docker_engine: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient(base_url=docker_engine)) as client:
        yield client


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def deployment(
    request: pytest.FixtureRequest, tmp_path: Path, agent_bundle: Path, bridge_address: str
) -> Iterator[Deployment]:
    port = find_free_port()
    made = Deployment(
        tmp_path / "data",
        port,
        find_free_port(),
        listen="0.0.0.0",
        database_url=request.getfixturevalue("postgres_url") if request.param == "postgres" else None,
        environment={
            "STEAD_AGENT_BUNDLE_DIR": str(agent_bundle),
            "STEAD_ACCESS_URL": f"http://{bridge_address}:{port}",
        },
    )
    with made:
        made.create_owner()
        yield made


def make_template(deployment: Deployment, docker_engine: str, image: str) -> str:
    content = archive(TEMPLATE.replace("ENGINE", docker_engine).replace("IMAGE", image))
    with deployment.client() as client:
        answer = client.post("/template-versions", files={"archive": ("t.tar.gz", content)}, data={"name": "v1"})
        answer.raise_for_status()
    version = wait_for_job(deployment, f"/template-versions/{answer.json()['id']}")
    assert [p["name"] for p in version["parameters"]] == ["greeting"]
    return str(deployment.post("/templates", {"name": "machine", "version_id": version["id"]})["name"])


def test_a_template_becomes_a_workspace_with_a_shell(
    deployment: Deployment,
    engine: docker.DockerClient,
    docker_engine: str,
    debian_image: str,
    openssh: None,
    tmp_path: Path,
) -> None:
    template = make_template(deployment, docker_engine, debian_image)
    name = f"dev{secrets.token_hex(3)}"
    workspace = deployment.post(
        "/workspaces", {"template": template, "name": name, "parameters": {"greeting": "grüezi"}}
    )["id"]
    wait_for_job(deployment, f"/builds/{deployment.get(f'/workspaces/{workspace}')['latest_build']['id']}")
    volume = f"stead-test-{workspace}"
    container = f"stead-test-owner-{name}"
    try:
        ready = wait_ready(deployment, workspace)
        agent = next(a for r in ready["latest_build"]["resources"] for a in r["agents"])
        paths = {"direct", "relayed", "websocket"}
        eventually(lambda: the_agent(deployment, workspace)["path"] in paths, 10, what="a path to the agent")
        person = Person(tmp_path / "home", deployment, name)
        person.set_up()
        assert person.sh("pwd; echo $GREETING; cat /tmp/started; id -un") == "/home/coder/work\ngrüezi\ncoder\n"
        person.sh("echo kept > /home/coder/file")
        eventually(lambda: agent_metadata(deployment, workspace) == "coder", 15, what="the agent's metadata")
        log = deployment.get(f"/agents/{agent['id']}/logs")["items"]
        assert "starting" in [line["text"] for line in log]

        run_build(deployment, workspace, "stop")
        assert not engine.containers.list(all=True, filters={"name": container})
        stopped = person.ssh(person.host, "true")
        assert stopped.returncode == 255
        assert b"stopped" in stopped.stderr

        run_build(deployment, workspace, "start")
        wait_ready(deployment, workspace)
        assert person.sh("cat /home/coder/file") == "kept\n"
        assert person.sh("cat /home/coder/last-shutdown").strip(), "the shutdown script did not run"
    finally:
        run_build(deployment, workspace, "delete")
    assert not engine.containers.list(all=True, filters={"name": container})
    assert volume not in [v.name for v in engine.volumes.list()]


def the_agent(deployment: Deployment, workspace: str) -> dict[str, Any]:
    found = deployment.get(f"/workspaces/{workspace}")["latest_build"]
    agents: list[dict[str, Any]] = [a for r in found["resources"] for a in r["agents"]]
    return agents[0]


def agent_metadata(deployment: Deployment, workspace: str) -> str:
    return str(the_agent(deployment, workspace)["metadata"][0]["value"]).strip()
