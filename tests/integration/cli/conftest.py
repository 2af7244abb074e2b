"""A real server process, and the ``stead`` command run against it as people run it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from stead.testing.session import Session
from stead.testing.waiting import eventually, find_free_port

PASSWORD = "correct horse battery staple"
START_SECONDS = 60.0

TEMPLATE = """
terraform {
  required_providers {
    coder = { source = "coder/coder" }
    null  = { source = "hashicorp/null" }
  }
}
data "coder_workspace" "me" {}
data "coder_parameter" "colour" {
  name    = "colour"
  default = "red"
  mutable = true
  option {
    name  = "Red"
    value = "red"
  }
  option {
    name  = "Blue"
    value = "blue"
  }
}
data "coder_parameter" "size" {
  name = "size"
  type = "number"
}
data "coder_workspace_preset" "small" {
  name       = "Small"
  parameters = { size = "1", colour = "blue" }
}
resource "null_resource" "box" {
  count    = data.coder_workspace.me.start_count
  triggers = { colour = data.coder_parameter.colour.value, size = data.coder_parameter.size.value }
}
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Cli:
    """``stead`` with a configuration folder of its own."""

    url: str
    config: Path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("STEAD_", "CODER_"))}
        return kept | {"STEAD_CONFIG_DIR": str(self.config), "NO_COLOR": "1"} | more

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "stead.cli.main", *arguments]

    def run(self, *arguments: str, stdin: str = "", timeout: float = 60, **environment: str) -> Result:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=self.environment(**environment),
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, **options: Any) -> Result:
        result = self.run(*arguments, **options)
        assert result.code == 0, f"{arguments}: {result.code}\n{result.out}\n{result.err}"
        return result

    def json(self, *arguments: str, **options: Any) -> Any:
        return self.ok(*arguments, "--output", "json", **options).json


@dataclass(frozen=True)
class Server:
    url: str
    data: Path
    log: Path


def _bundle_folder(session: Session) -> Path:
    """Where the agent bundles are, or will be once a test needs them."""
    return Path(os.environ.get("STEAD_TEST_AGENT_BUNDLE") or session.folder / "agent-bundle")


@pytest.fixture(scope="session")
def agent_bundle(stead_session: Session) -> Path:
    """The folder of agent bundles, built once for the run; ``STEAD_TEST_AGENT_BUNDLE`` names a finished one."""
    folder = _bundle_folder(stead_session)

    def build() -> dict[str, Any]:
        if not (folder / "manifest.json").exists():
            subprocess.run([sys.executable, "-m", "stead_agent_bundle", str(folder)], check=True, timeout=300)
        return {"folder": str(folder)}

    return Path(stead_session.shared("agent-bundle", build)["folder"])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, stead_session: Session) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    found = Server(f"http://127.0.0.1:{find_free_port()}", folder / "data", folder / "log")
    environment = Cli(found.url, folder / "config").environment(
        STEAD_DATA_DIR=str(found.data),
        STEAD_HTTP_ADDRESS=found.url.removeprefix("http://"),
        STEAD_ALLOW_HOST="true",
        STEAD_AGENT_BUNDLE_DIR=str(_bundle_folder(stead_session)),
    )
    with found.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stead.cli.main", "server"],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        eventually(lambda: _healthy(found, process), START_SECONDS, what="the server", ignoring=(URLError, OSError))
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _healthy(server: Server, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, server.log.read_text()
    with urlopen(f"{server.url}/healthz", timeout=2) as answer:
        return bool(answer.status == 200)


@pytest.fixture(scope="session")
def owner(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The owner, who was created by the very first login."""
    cli = Cli(server.url, tmp_path_factory.mktemp("owner") / "config")
    cli.ok(
        "login",
        server.url,
        "--first-user-username",
        "owner",
        "--first-user-email",
        "owner@example.com",
        "--password-stdin",
        stdin=f"{PASSWORD}\n",
    )
    return cli


@pytest.fixture
def new_user(owner: Cli, tmp_path: Path) -> Callable[..., Cli]:
    """Makes people, each signed in; returns their command line."""

    def make(name: str = "", *roles: str) -> Cli:
        name = name or f"u{secrets.token_hex(5)}"
        options = [word for role in roles for word in ("--role", role)]
        arguments = [name, "--email", f"{name}@example.com", "--password-stdin", *options]
        owner.ok("users", "create", *arguments, stdin=f"{PASSWORD}\n")
        cli = Cli(owner.url, tmp_path / name)
        cli.ok("login", owner.url, "-u", name, "--password-stdin", stdin=f"{PASSWORD}\n")
        return cli

    return make


@pytest.fixture
def user(new_user: Callable[..., Cli]) -> Cli:
    return new_user()


@pytest.fixture(scope="session")
def template(owner: Cli, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a template that builds in an instant, without any platform."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "main.tf").write_text(TEMPLATE)
    owner.ok("templates", "push", "boxes", "--directory", str(folder), "--yes")
    return "boxes"
