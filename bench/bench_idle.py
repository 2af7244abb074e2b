"""The server at rest, with 100 workspaces of which 20 have a connected agent."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figures import Figures
from processes import cpu_seconds, memory_by_program, memory_mb
from stead_server import Bench, running

from stead.quickstart import steps

WORKSPACES = 100
CONNECTED = 20
WATCH_SECONDS = 60.0
ROOT = Path(__file__).resolve().parent.parent
EMPTY_TEMPLATE = """
terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
  }
}

data "coder_workspace" "me" {}

resource "terraform_data" "workspace" {
  count = data.coder_workspace.me.start_count
  input = data.coder_workspace.me.name
}
"""


def measure(say: Callable[[str], None]) -> Figures:
    """Memory and CPU of all processes of the server, time from start to healthy, size of an installation."""
    figures = Figures()
    with running("docker", say) as bench:
        figures.add("start_to_healthy", bench.healthy_seconds, "s", at_most=3)
        figures.add("memory_empty", memory_mb(bench.pid), "MB")
        try:
            _fill(bench, say)
            _rest(bench, figures, say)
        finally:
            _empty(bench, say)
    figures.add("fresh_installation", _installation_mb(say), "MB")
    return figures


def _fill(bench: Bench, say: Callable[[str], None]) -> None:
    template, empty = bench.template()["id"], _empty_template(bench)
    with ThreadPoolExecutor(4) as pool:
        say(f"{CONNECTED} workspaces with agents")
        list(pool.map(lambda number: bench.create(f"a{number}", template), range(CONNECTED)))
        say(f"{WORKSPACES - CONNECTED} workspaces without")
        list(pool.map(lambda number: bench.create(f"e{number}", empty, {}), range(WORKSPACES - CONNECTED)))


def _rest(bench: Bench, figures: Figures, say: Callable[[str], None]) -> None:
    say(f"watching it rest for {WATCH_SECONDS:.0f} s")
    time.sleep(30)  # builds and agents settle
    before = cpu_seconds(bench.pid)
    time.sleep(WATCH_SECONDS)
    busy = cpu_seconds(bench.pid) - before
    figures.add("memory", memory_mb(bench.pid), "MB", at_most=400)
    for name, size in memory_by_program(bench.pid).items():
        say(f"{size:7.1f} MB  {name}")
    figures.add("cpu", 100 * busy / WATCH_SECONDS, "% of a core", at_most=2)
    connected = sum(_connected(bench, f"a{number}") for number in range(CONNECTED))
    figures.add("agents_connected", connected, "agents", at_least=CONNECTED)


def _connected(bench: Bench, name: str) -> bool:
    found = bench.client.call("GET", f"/api/v2/workspaces/{name}")
    return all(agent["status"] == "connected" for agent in steps.agents(found))


def _empty(bench: Bench, say: Callable[[str], None]) -> None:
    say("removing the workspaces")
    made = {f"a{number}" for number in range(CONNECTED)}
    found = bench.client.call("GET", "/api/v2/workspaces?limit=100")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bench.remove, (item["name"] for item in found["items"] if item["name"] in made)))


def _empty_template(bench: Bench) -> str:
    with tempfile.TemporaryDirectory() as name:
        archive = Path(name) / "empty.tar"
        (Path(name) / "main.tf").write_text(EMPTY_TEMPLATE)
        subprocess.run(["tar", "-C", name, "-cf", str(archive), "main.tf"], check=True)
        with archive.open("rb") as file:
            version = bench.client.call(
                "POST", "/api/v2/template-versions", files={"archive": file}, data={"name": "v1"}
            )
    steps.imported(bench.client, version["id"])
    made = bench.client.call("POST", "/api/v2/templates", json={"name": "empty", "version_id": version["id"]})
    return str(made["id"])


def _installation_mb(say: Callable[[str], None]) -> float:
    """Size of a virtual environment with the core and the Docker plugin, without tools for developers."""
    say("installing into a fresh folder")
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-m", "venv", name], check=True)
        arguments = ["install", "--quiet", "--disable-pip-version-check", "-c", "constraints.txt"]
        subprocess.run([f"{name}/bin/pip", *arguments, ".", "./agent", "./plugins/docker"], cwd=ROOT, check=True)
        size = subprocess.run(["du", "-sk", name], capture_output=True, text=True, check=True)
    return int(size.stdout.split()[0]) / 1024
