"""The agent out of its bundle: size, time from exec to connected, memory at rest, answers of ``stead stat``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
from figures import Figures, percentile
from processes import cpu_seconds, memory_mb
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

STARTS = 20
STATS = 20
SETTLE_SECONDS = 10.0
START_SECONDS = 60.0


def measure(say: Callable[[str], None]) -> Figures:
    """Everything but the network: the control plane that the agent connects to is this process."""
    figures = Figures()
    archive = next(Path(os.environ["STEAD_AGENT_BUNDLE_DIR"]).glob("stead-agent-*.tar.gz"))
    figures.add("bundle", archive.stat().st_size / 1e6, "MB", at_most=30)
    with tempfile.TemporaryDirectory(prefix="stead-agent-") as name:
        folder = Path(name)
        with tarfile.open(archive) as packed:
            packed.extractall(folder / "bundle", filter="tar")
        command = _command(folder / "bundle")
        asyncio.run(_connections(command, folder, figures, say))
        _stat(command, figures, say)
    return figures


def _command(bundle: Path) -> list[str]:
    """The program as the bootstrap script starts it."""
    library = str(bundle / "lib")
    start = "from stead_agent.main import main; raise SystemExit(main())"
    loader = [str(bundle / "lib/ld.so"), "--inhibit-cache", "--library-path", library]
    return [*loader, str(bundle / "bin/python"), "-I", "-S", "-X", "utf8", "-c", start]


async def _connections(command: list[str], folder: Path, figures: Figures, say: Callable[[str], None]) -> None:
    plane = _ControlPlane()
    async with serve(plane.answer, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "STEAD_AGENT_URL": f"http://127.0.0.1:{port}",
            "STEAD_AGENT_TOKEN": "bench",
            "STEAD_AGENT_RUN_DIR": str(folder / "run"),
        }
        say(f"{STARTS} starts")
        times = [await _start(command, environment, plane) for _ in range(STARTS)]
        figures.add_percentiles("exec_to_connected", [waited for waited, _ in times], "s", p50_at_most=0.5)
        figures.add("cpu_to_connected", percentile([busy for _, busy in times], 50), "s")
        say(f"at rest for {SETTLE_SECONDS:.0f} s")
        figures.add("memory_idle", await _memory(command, environment, plane), "MB", at_most=60)


async def _start(command: list[str], environment: dict[str, str], plane: _ControlPlane) -> tuple[float, float]:
    """Seconds by the clock, and of CPU."""
    plane.connected.clear()
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, "agent", env=environment, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(START_SECONDS):
            await plane.connected.wait()
        return time.perf_counter() - began, cpu_seconds(process.pid)
    finally:
        process.kill()
        await process.wait()


async def _memory(command: list[str], environment: dict[str, str], plane: _ControlPlane) -> float:
    """Of the agent with its SSH server loaded; no tunnel is offered, so there is no tunnel process."""
    plane.certified.clear()
    process = await asyncio.create_subprocess_exec(*command, "agent", env=environment, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(START_SECONDS):
            await plane.certified.wait()
        await asyncio.sleep(SETTLE_SECONDS)
        return memory_mb(process.pid)
    finally:
        process.kill()
        await process.wait()


def _stat(command: list[str], figures: Figures, say: Callable[[str], None]) -> None:
    for kind in ("cpu", "mem", "disk"):
        say(f"{STATS} times stat {kind}")
        times = []
        for _ in range(STATS):
            began = time.perf_counter()
            subprocess.run([*command, "stat", kind], check=True, stdout=subprocess.DEVNULL, env={"PATH": "/usr/bin"})
            times.append(time.perf_counter() - began)
        figures.add(f"stat_{kind}", percentile(times, 50) * 1000, "ms", at_most=300)


class _ControlPlane:
    """As much of one as an agent at rest needs: see docs/development/agent-protocol.md."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.certified = asyncio.Event()
        self._authority = asyncssh.generate_private_key("ssh-ed25519")

    async def answer(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # agents are killed here
            async for text in socket:
                request = json.loads(text)
                result = self._result(request["method"], request["params"])
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}))

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "hello":
            self.connected.set()
            return {
                "manifest": {"workspace_name": "bench", "owner": "bench", "agent_name": "main"},
                "tunnel": None,
                "streams": {"ticket": "none", "parked": 1, "websocket_url": "/api/v2/agent/stream"},
                "ssh": {"user_ca": [self._public], "principals": ["workspace:bench"], "certificate": None},
                "server": {"version": "bench", "time": "2026-01-01T00:00:00.000Z"},
            }
        if method == "host_certificate":
            self.certified.set()
            key = asyncssh.import_public_key(params["public_key"])
            certificate = self._authority.generate_host_certificate(key, "agent", principals=["bench.stead"])
            return {"certificate": certificate.export_certificate().decode(), "user_ca": [self._public]}
        return {}

    @property
    def _public(self) -> str:
        return str(self._authority.export_public_key().decode())
