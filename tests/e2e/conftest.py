"""Whole deployments: a server process, agents in containers, OpenSSH's own clients."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from stead.services import authentication
from stead.services.core import close_core, open_core
from stead.testing.deployment import Deployment
from stead.testing.handmade import import_template, start_workspace
from stead.testing.left_out import leave_out
from stead.testing.pytest_plugin import SESSION
from stead.testing.worlds import TRANSPORTS, WORLDS, Person, World, run_container

SSH = ("ssh", "scp", "sftp", "ssh-keygen")


@pytest.fixture(scope="session")
def agent_bundle(request: pytest.FixtureRequest) -> Path:
    """The folder of agent bundles, built once for the run; ``STEAD_TEST_AGENT_BUNDLE`` names a finished one."""
    given = os.environ.get("STEAD_TEST_AGENT_BUNDLE")
    if given:
        return Path(given)
    session = request.config.stash[SESSION]

    def build() -> dict[str, Any]:
        folder = session.folder / "agent-bundle"
        subprocess.run([sys.executable, "-m", "stead_agent_bundle", str(folder)], check=True, timeout=300)
        return {"folder": str(folder)}

    return Path(session.shared("agent-bundle", build)["folder"])


@pytest.fixture(scope="session")
def bridge_address(docker_engine: str) -> str:
    """The address under which containers reach this machine."""
    client = docker.DockerClient(base_url=docker_engine)
    with contextlib.closing(client):
        bridge = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
        return str(bridge.get("Gateway") or bridge["Subnet"].rsplit(".", 1)[0] + ".1")


@pytest.fixture(scope="session")
def openssh() -> None:
    missing = [name for name in SSH if shutil.which(name) is None]
    if missing:
        leave_out("OpenSSH", f"there is no {', '.join(missing)} here")


@pytest.fixture(scope="session")
def make_world(
    docker_engine: str,
    debian_image: str,
    agent_bundle: Path,
    bridge_address: str,
    openssh: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., contextlib.AbstractContextManager[World]]:
    """Makes worlds: ``with make_world("direct", ports) as world``."""

    @contextlib.contextmanager
    def make(transport: str, ports: tuple[int, int], database_url: str | None = None) -> Iterator[World]:
        server_env, agent_env = WORLDS[transport]
        folder = tmp_path_factory.mktemp(f"world-{transport}")
        url = f"http://{bridge_address}:{ports[0]}"
        deployment = Deployment(
            folder / "data",
            *ports,
            listen="0.0.0.0",
            database_url=database_url,
            environment={
                "STEAD_PROVISIONERS": "0",
                "STEAD_AGENT_BUNDLE_DIR": str(agent_bundle),
                "STEAD_ACCESS_URL": url,
                **server_env,
            },
        )
        name = f"dev{secrets.token_hex(2)}"
        with deployment:
            deployment.create_owner()
            core = open_core(deployment.settings())
            try:
                actor = authentication.actor_for_token(core, deployment.token)
                made = start_workspace(core, actor, import_template(core, actor, "plain"), name)
            finally:
                close_core(core)
            with run_container(docker_engine, debian_image, made, url, agent_env) as agent:
                person = Person(folder / "home", deployment, name)
                person.set_up()
                world = World(deployment, agent, person)
                world.wait_ready(transport if transport in TRANSPORTS else "direct")
                yield world

    return make
