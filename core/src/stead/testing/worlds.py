"""Whole deployments to test with: a server process, an agent in a container, a person with OpenSSH."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from stead.testing.deployment import Deployment
from stead.testing.handmade import HandmadeWorkspace
from stead.testing.waiting import eventually

AGENT_LABEL = "stead-test.e2e"
READY_SECONDS = 30.0


@dataclass
class Person:
    """Somebody with the command line and OpenSSH, signed in and set up."""

    home: Path
    deployment: Deployment
    workspace: str

    @property
    def host(self) -> str:
        return f"{self.workspace}.stead"

    @property
    def config(self) -> Path:
        return self.home / "ssh_config"

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("STEAD_", "CODER_", "SSH_"))}
        return {
            **kept,
            "HOME": str(self.home),
            "STEAD_CONFIG_DIR": str(self.home / "stead"),
            "RSYNC_RSH": f"ssh -F {self.config}",
            "GIT_SSH_COMMAND": f"ssh -F {self.config}",
        }

    def stead(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line, and expect success."""
        command = [sys.executable, "-m", "stead.cli.main", *arguments]
        return subprocess.run(command, env=self.environment(), text=True, capture_output=True, timeout=60, check=True)

    def set_up(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        login = [sys.executable, "-m", "stead.cli.main", "login", self.deployment.url, "--token-stdin"]
        subprocess.run(
            login,
            env=self.environment(),
            input=self.deployment.token,
            text=True,
            capture_output=True,
            timeout=60,
            check=True,
        )
        self.stead("config-ssh", "--file", str(self.config))

    def run(self, *command: str, timeout: float = 60, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run a program as this person; its exit code is the caller's matter."""
        given = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run(
            command,
            env=self.environment(),
            capture_output=True,
            timeout=timeout,
            check=False,
            **given,  # type: ignore[call-overload]
        )

    def ssh(
        self, *arguments: str, timeout: float = 60, data: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return self.run("ssh", "-F", str(self.config), *arguments, timeout=timeout, data=data)

    def sh(self, script: str, timeout: float = 60) -> str:
        """Run a script in the workspace, expect success, return what it printed."""
        done = self.ssh(self.host, script, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    @contextlib.contextmanager
    def background(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program until the block ends."""
        process = subprocess.Popen(
            command,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=20)


@dataclass
class AgentContainer:
    """A container that runs the bootstrap script, as a template's container does."""

    container: Container
    made: HandmadeWorkspace

    @property
    def log(self) -> str:
        return self.container.logs().decode(errors="replace")


@dataclass
class World:
    """A deployment with one workspace in a container."""

    deployment: Deployment
    agent: AgentContainer
    person: Person

    def agent_record(self) -> dict[str, Any]:
        workspace = self.deployment.get(f"/workspaces/{self.agent.made.workspace.id}")
        found: dict[str, Any] = workspace["latest_build"]["resources"][0]["agents"][0]
        return found

    def wait_ready(self, path: str | None = None, timeout: float = READY_SECONDS) -> dict[str, Any]:
        """Wait until the agent is connected and ready, and its streams take ``path``."""

        def ready() -> dict[str, Any] | None:
            agent = self.agent_record()
            good = agent["status"] == "connected" and agent["lifecycle"] == "ready"
            return agent if good and (path is None or agent["path"] == path) else None

        try:
            return eventually(ready, timeout, what=f"an agent that is ready over {path}")
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{self.agent_record()}\n{self.agent.log[-3000:]}\n{self.deployment.log[-3000:]}"
            ) from error


ALL_IN_TUNNEL = {"STEAD_BULK_BESIDE_TUNNEL": "false"}
TRANSPORTS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    # path, which is that of every byte: environment of the server, of the agent
    "direct": (ALL_IN_TUNNEL, {}),
    "relayed": ({**ALL_IN_TUNNEL, "TS_DEBUG_ALWAYS_USE_DERP": "true"}, {"TS_DEBUG_ALWAYS_USE_DERP": "true"}),
    "websocket": ({}, {"STEAD_AGENT_TUNNEL": "0"}),
}
AS_SHIPPED = "bulk"
"""Streams begin in the tunnel, and leave it where they carry much; the server's log tells which did."""
WORLDS = {**TRANSPORTS, AS_SHIPPED: ({"STEAD_LOG_LEVEL": "debug"}, {})}


@contextlib.contextmanager
def run_container(
    engine: str, image: str, made: HandmadeWorkspace, url: str, environment: dict[str, str]
) -> Iterator[AgentContainer]:
    client = docker.DockerClient(base_url=engine)
    script = f"umask 022; wget -q -O /tmp/start.sh {url}/bin/bootstrap/linux-amd64.sh && exec sh /tmp/start.sh"
    container = client.containers.run(
        image,
        ["sh", "-c", script],
        detach=True,
        user="coder",
        init=True,
        labels={AGENT_LABEL: "1"},
        environment={"CODER_AGENT_URL": url, "CODER_AGENT_TOKEN": made.tokens["main"], **environment},
    )
    try:
        yield AgentContainer(container, made)
    finally:
        container.remove(force=True, v=True)
        client.close()
