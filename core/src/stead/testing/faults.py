"""A deployment that builds on a real Docker engine, and what a test does to it: kill, and count what is left."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from stead.services import states
from stead.services.core import Core, close_core, open_core
from stead.store import journal
from stead.store import workspaces as store
from stead.testing.deployment import Deployment
from stead.testing.docker_api import DockerApi
from stead.testing.engine_guardian import guarded, remove_labelled
from stead.testing.waiting import eventually

STARTER = "docker/docker"
ENDED = frozenset({"succeeded", "failed", "canceled"})
# Stands in for the agent: these tests are about builds, and a container has to run something.
BOOTSTRAP = "#!/bin/sh\nexec sleep 86400\n"
BUILD_SECONDS = 90.0
SETTLE_SECONDS = 30.0
FAST = {
    "STEAD_SWEEP_INTERVAL": "5",
    "STEAD_JOB_LEASE": "4",
    "STEAD_PROVISIONER_GRACE": "5",
}


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    command: str


def descendants(pid: int) -> list[Process]:
    """All processes that ``pid`` started, and that those started, nearest first."""
    everything = list(_processes())
    found: list[Process] = []
    parents = {pid}
    while parents:
        level = [process for process in everything if process.parent in parents]
        found += level
        parents = {process.pid for process in level}
    return found


def _processes() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has ended since
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            yield Process(int(folder.name), int(after_name[1]), command)


def kill(processes: Iterable[Process]) -> int:
    """SIGKILL; returns how many were there."""
    count = 0
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
            count += 1
    return count


def write_bundle(folder: Path) -> Path:
    """A folder in place of an agent bundle, whose bootstrap script only stays."""
    script = folder / "bootstrap" / "linux-amd64.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(BOOTSTRAP)
    (folder / "manifest.json").write_text("{}")
    return folder


@dataclass
class Yard:
    """A deployment, the engine that it builds on, and the workspaces of the test.

    :param image: of the containers.
    :param workspaces: ids by name, of all that were ever created.
    """

    deployment: Deployment
    engine: DockerApi
    image: str
    core: Core
    workspaces: dict[str, str] = field(default_factory=dict)

    # What a person does

    def import_starter(self, name: str = "docker") -> dict[str, Any]:
        return self.import_version(name, starter=STARTER)

    def import_version(self, name: str, *, starter: str) -> dict[str, Any]:
        version = self.deployment.post("/template-versions", {"starter": starter})
        job = self.wait(lambda: self.deployment.get(f"/template-versions/{version['id']}")["job"], BUILD_SECONDS)
        if job["status"] != "succeeded":
            raise AssertionError(f"the import {job['status']}: {job['error']}")
        made: dict[str, Any] = self.deployment.post("/templates", {"name": name, "version_id": version["id"]})
        return made

    def create(self, name: str = "", template: str = "docker", **parameters: str) -> str:
        """A new workspace; returns the id of its first build."""
        body = {
            "template": template,
            "name": name or f"w{secrets.token_hex(4)}",
            "parameters": {"image": self.image, **parameters},
        }
        made = self.deployment.post("/workspaces", body)
        self.workspaces[made["name"]] = made["id"]
        return str(made["latest_build"]["id"])

    def build(self, workspace: str, transition: str, **more: Any) -> str:
        body = {"transition": transition, **more}
        return str(self.deployment.post(f"/workspaces/{self.workspaces[workspace]}/builds", body)["id"])

    def job(self, build: str) -> dict[str, Any]:
        found: dict[str, Any] = self.deployment.get(f"/builds/{build}")["job"]
        return found

    def finish(self, build: str, timeout: float = BUILD_SECONDS) -> dict[str, Any]:
        """The build's job when it has ended."""
        try:
            return self.wait(lambda: self.job(build), timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text(build)}\n{self.deployment.log[-4000:]}") from error

    @staticmethod
    def wait(ask: Any, timeout: float) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = ask()
            return job if job["status"] in ENDED else None

        busy = (httpx.TransportError, httpx.HTTPStatusError)  # the server may be starting, or the database
        return eventually(ended, timeout, interval=0.1, what="the end of the job", ignoring=busy)

    def succeed(self, build: str, timeout: float = BUILD_SECONDS) -> None:
        job = self.finish(build, timeout)
        if job["status"] != "succeeded":
            raise AssertionError(f"the build {job['status']}: {job['error']}\n{self.text(build)}")

    def text(self, build: str) -> str:
        """The build's log."""
        lines = self.deployment.get(f"/builds/{build}/logs")
        items = lines["items"] if isinstance(lines, Mapping) else lines
        return "\n".join(str(line["text"]) for line in items)

    def stead(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run the command line as the owner; its exit code is the caller's matter."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("STEAD_", "CODER_"))}
        return subprocess.run(
            [sys.executable, "-m", "stead.cli.main", *arguments],
            env={
                **kept,
                "STEAD_URL": self.deployment.url,
                "STEAD_TOKEN": self.deployment.token,
                "STEAD_CONFIG_DIR": str(self.deployment.data_dir / "cli"),
            },
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    # What the test does

    def victims(self, kind: str) -> list[Process]:
        """Processes of the running server: ``provisioner``, ``terraform``, or ``server`` for all of them."""
        server = self.deployment.process
        if server is None:
            return []
        below = descendants(server.pid)
        if kind == "server":
            return [Process(server.pid, 0, "stead server"), *below]
        module = {"provisioner": "-m stead.provisioner", "terraform": "-m stead.terraform.child"}[kind]
        return [process for process in below if module in process.command]

    def kill(self, kind: str) -> int:
        """SIGKILL to all processes of a kind; returns their number. A server is started again."""
        count = kill(self.victims(kind))
        if kind == "server" and self.deployment.process is not None:
            self.deployment.process.wait()
            self.deployment.process = None
            self.deployment.start()
        return count

    # What is there

    @property
    def label(self) -> str:
        """Of all containers and volumes of this deployment."""
        return f"stead.deployment={self.core.deployment_id}"

    def owned(self) -> dict[str, str]:
        """All on the engine that carries this deployment's label: what each is, by its key."""
        query = {"all": "1", "filters": json.dumps({"label": [self.label]})}
        containers = self.engine.call("GET", "/containers/json", params=query).json()
        volumes = self.engine.call("GET", "/volumes", params=query).json()["Volumes"] or ()
        networks = self.engine.call("GET", "/networks", params=query).json()
        images = self.engine.call("GET", "/images/json", params={"filters": query["filters"]}).json()
        found = {item["Labels"]["stead.key"]: f"image {item['RepoTags'] or item['Id']}" for item in images}
        found |= {item["Labels"]["stead.key"]: f"network {item['Name']}" for item in networks}
        found |= {item["Labels"]["stead.key"]: f"volume {item['Name']}" for item in volumes}
        return found | {item["Labels"]["stead.key"]: f"container {item['Names'][0][1:]}" for item in containers}

    def known(self, workspace: str) -> frozenset[str]:
        """Keys of what the newest state of a workspace (id) holds."""
        with self.core.database.read():
            newest = store.newest_state(workspace)
        return states.journal_keys(states.open_state(self.core, *newest)) if newest else frozenset()

    def journalled(self, workspace: str) -> frozenset[str]:
        """Keys of what the journal knows of a workspace (id) beside its states."""
        with self.core.database.read():
            return frozenset(entry.key for entry in journal.entries(workspace))

    def difference(self) -> str:
        """What the engine has and the database does not know, and what a state holds and is gone.

        After a build that failed, the journal may know more than the state, until the next build or the sweep
        has removed it, and the state may hold what is gone, which the next plan sees.
        """
        owned, lost = self.owned(), []
        unknown = dict(owned)
        for name, workspace in self.workspaces.items():
            keys, good = self.known(workspace), self.status(workspace) == "succeeded"
            understood = keys if good else keys | self.journalled(workspace)
            unknown = {key: what for key, what in unknown.items() if key not in understood}
            lost += [f"{key} of {name}" for key in keys - set(owned) if good]
        found = [f"not in the database: {what} ({key})" for key, what in unknown.items()]
        return "; ".join([*found, *(f"not on the engine: {item}" for item in lost)])

    def status(self, workspace: str) -> str:
        """How the newest build of a workspace (id) ended."""
        with self.core.database.read():
            return str(store.builds(workspace, 1, 0)[0][0].job.status)

    def wait_agreed(self, timeout: float = SETTLE_SECONDS) -> None:
        """Wait until engine and database agree, as they must once builds are over and the sweep has run."""
        last = ""

        def agreed() -> bool:
            nonlocal last
            last = self.difference()
            return not last

        try:
            eventually(agreed, timeout, interval=0.2)
        except AssertionError as error:
            raise AssertionError(f"{last}\n{self.deployment.log[-4000:]}") from error

    def remove_all(self) -> None:
        """Take away whatever the engine still has of this deployment."""
        remove_labelled(self.engine, self.label)


@contextlib.contextmanager
def open_yard(
    folder: Path,
    ports: tuple[int, int],
    engine: str,
    image: str,
    *,
    database_url: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Yard]:
    """A deployment with an owner, working on ``engine``; nothing of it is left, even if the test run is killed.

    :param environment: of the server; ``DOCKER_HOST`` puts something between it and the engine.
    """
    settings = {
        **FAST,
        "STEAD_AGENT_BUNDLE_DIR": str(write_bundle(folder / "bundle")),
        "DOCKER_HOST": engine,
        **(environment or {}),
    }
    deployment = Deployment(folder / "data", *ports, database_url=database_url, environment=settings)
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(DockerApi(engine))
        try:
            deployment.start()
            deployment.create_owner()
            core = open_core(deployment.settings())
            stack.callback(close_core, core)
            yard = Yard(deployment, api, image, core)
            stack.enter_context(guarded(engine, yard.label))
            stack.callback(yard.remove_all)
            yield yard
        finally:
            deployment_end(deployment)


def deployment_end(deployment: Deployment) -> None:
    """End a server and everything that it started, at once."""
    if deployment.process is None:
        return
    below = descendants(deployment.process.pid)
    deployment.kill()
    kill(below)
