"""The main job on bare metal: a starter template, the real agent on the machine, a shell, and nothing left."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.testing.deployment import Deployment
from stead.testing.left_out import leave_out
from stead.testing.pytest_plugin import SESSION
from stead.testing.waiting import eventually, find_free_port
from stead.testing.worlds import Person
from stead_baremetal import plugin

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.slow, pytest.mark.timeout(300, func_only=True)]
ENDED = {"succeeded", "failed", "canceled"}
BUILD_SECONDS = 120.0


@pytest.fixture(scope="session")
def agent_bundle(request: pytest.FixtureRequest) -> Path:
    """The folder of agent bundles; ``STEAD_TEST_AGENT_BUNDLE`` names a finished one."""
    given = os.environ.get("STEAD_TEST_AGENT_BUNDLE")
    if given:
        return Path(given)
    session = request.config.stash[SESSION]

    def build() -> dict[str, Any]:
        folder = session.folder / "agent-bundle"
        subprocess.run([sys.executable, "-m", "stead_agent_bundle", str(folder)], check=True, timeout=300)
        return {"folder": str(folder)}

    return Path(session.shared("agent-bundle", build)["folder"])


@pytest.fixture
def deployment(rig, tmp_path: Path, agent_bundle: Path) -> Iterator[Deployment]:
    if shutil.which("ssh") is None:
        leave_out("OpenSSH", "there is no ssh here")
    port = find_free_port()
    made = Deployment(
        tmp_path / "data",
        port,
        find_free_port(),
        listen="0.0.0.0",
        environment={
            "STEAD_AGENT_BUNDLE_DIR": str(agent_bundle),
            "STEAD_ACCESS_URL": f"http://{rig.farm.gateway}:{port}",
            "STEAD_CONFIG": str(tmp_path / "stead.toml"),
        },
    )
    (tmp_path / "stead.toml").write_text(
        f'[plugins.baremetal]\ninventory = "{rig.path}"\nkey_file = "{rig.farm.key_file}"\nstop_grace = 15\n'
    )
    with made:
        made.create_owner()
        yield made


def archive(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder / "main.tf", "main.tf")
    return buffer.getvalue()


def finished(deployment: Deployment, path: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = deployment.get(path)
        return found if found["job"]["status"] in ENDED else None

    found = eventually(ended, BUILD_SECONDS, what=f"the end of {path}")
    assert found["job"]["status"] == "succeeded", f"{found['job']}\n{deployment.log[-3000:]}"
    return found


def build(deployment: Deployment, workspace: str, transition: str) -> None:
    made = deployment.post(f"/workspaces/{workspace}/builds", {"transition": transition})
    finished(deployment, f"/builds/{made['id']}")


def wait_ready(deployment: Deployment, workspace: str) -> None:
    eventually(lambda: deployment.get(f"/workspaces/{workspace}")["ready"], 120, what="a workspace that is ready")


def make_template(deployment: Deployment) -> str:
    (starter,) = [item for item in plugin.STARTERS if item.name == "baremetal"]
    with deployment.client() as client:
        files = {"archive": ("t.tar.gz", archive(starter.path))}
        answer = client.post("/template-versions", files=files, data={"name": "v1"})
        answer.raise_for_status()
    version = finished(deployment, f"/template-versions/{answer.json()['id']}")
    return str(deployment.post("/templates", {"name": "metal", "version_id": version["id"]})["name"])


def test_an_agent_comes_up_on_a_machine_and_a_shell_opens(rig, deployment: Deployment, tmp_path: Path) -> None:
    template, name = make_template(deployment), f"dev{secrets.token_hex(3)}"
    workspace = deployment.post("/workspaces", {"template": template, "name": name})["id"]
    finished(deployment, f"/builds/{deployment.get(f'/workspaces/{workspace}')['latest_build']['id']}")
    (box,) = [box for box in rig.boxes if rig.state(box) == "busy"]
    try:
        wait_ready(deployment, workspace)
        person = Person(tmp_path / "home", deployment, name)
        person.set_up()
        assert person.sh("id -un; pwd; hostname") == f"coder\n/home/coder\n{box.name}\n"
        person.sh("echo kept >file")

        build(deployment, workspace, "stop")
        assert box.sh("ps -o pid= -u coder", check=False) == ""
        assert rig.state(box) == "busy"

        build(deployment, workspace, "start")
        wait_ready(deployment, workspace)
        assert person.sh("cat file") == "kept\n"

        # The machine boots by itself; its agent is there again without a build.
        box.container.restart(timeout=2)
        box.wait()
        eventually(lambda: b"kept" in person.ssh(person.host, "cat file").stdout, 120, what="a shell after the boot")
    finally:
        build(deployment, workspace, "delete")
    assert rig.state(box) == "free"
    assert box.sh("ls -A /home") == ""
