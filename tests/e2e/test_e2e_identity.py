"""The init script of a machine without a token, as its user data runs it: from the bundle to a connected agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.network.children import die_with
from stead.services import authentication
from stead.services.core import close_core, open_core
from stead.services.work import require_bundle
from stead.terraform.coder.agent import with_auth
from stead.testing.deployment import Deployment
from stead.testing.handmade import HandmadeAgent, import_template, start_workspace
from stead.testing.machines import Answer, Asked, GoogleMachine, Http, Signer
from stead.testing.waiting import eventually, find_free_port

PATIENCE = 60.0


@pytest.fixture
def google() -> Signer:
    return Signer("google")


@pytest.fixture
def deployment(agent_bundle: Path, google: Signer, tmp_path: Path) -> Iterator[Deployment]:
    def keys(asked: Asked) -> Answer:
        del asked
        return 200, json.dumps({"keys": [google.jwk("k1")]}).encode()

    with Http(keys) as published:
        environment = {
            "STEAD_PROVISIONERS": "0",
            "STEAD_AGENT_BUNDLE_DIR": str(agent_bundle),
            "STEAD_PLUGINS_GCP_IDENTITY_KEYS": published.url,
        }
        made = Deployment(tmp_path / "data", find_free_port(), find_free_port(), environment=environment)
        with made:
            made.create_owner()
            yield made


def test_a_machine_without_a_token_comes_up_from_its_user_data(
    deployment: Deployment, google: Signer, tmp_path: Path
) -> None:
    machine = GoogleMachine(google, project="acme-dev", zone="europe-west1-b", instance="7000000123")
    core = open_core(deployment.settings())
    try:
        owner = authentication.actor_for_token(core, deployment.token)
        agent = HandmadeAgent(instance_id=machine.instance_id, settings={"auth": machine.auth})
        template = import_template(core, owner, "plain")
        made = start_workspace(core, owner, template, "dev", [agent], machine.state())
        script = with_auth(require_bundle(core, "linux", "amd64"), machine.auth)
    finally:
        close_core(core)
    assert "'" not in script
    with Http(machine) as metadata:
        process = run_user_data(script, tmp_path, metadata.url)
        try:
            eventually(lambda: is_ready(deployment, made.workspace.id), PATIENCE, what="a ready agent")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{(tmp_path / 'agent.log').read_text()[-3000:]}") from error
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def run_user_data(script: str, folder: Path, metadata: str) -> subprocess.Popen[bytes]:
    """What a machine does with ``sh -c '${coder_agent.main.init_script}'``."""
    home = folder / "home"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "STEAD_AGENT_METADATA_URL": metadata,
        "STEAD_AGENT_RUN_DIR": str(folder / "run"),
        "STEAD_AGENT_TUNNEL": "0",
    }
    with (folder / "agent.log").open("wb") as log:
        return subprocess.Popen(
            ["sh", "-c", script],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )


def is_ready(deployment: Deployment, workspace: str) -> bool:
    found: dict[str, Any] = deployment.get(f"/workspaces/{workspace}")["latest_build"]["resources"][0]["agents"][0]
    return found["status"] == "connected" and found["lifecycle"] == "ready"
