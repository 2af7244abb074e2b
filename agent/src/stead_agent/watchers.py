"""What the agent looks at again and again: metadata, app health, resources and ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine
from typing import Any, Protocol

from stead_agent.clock import timestamp
from stead_agent.errors import SpawnError
from stead_agent.health import HealthError, check
from stead_agent.log import log
from stead_agent.manifest import App, Healthcheck, Manifest, MetadataItem
from stead_agent.outbox import Outbox
from stead_agent.ports import listening_ports
from stead_agent.processes import spawn_with_pipes
from stead_agent.pump import FdReader
from stead_agent.resources import Cpu, Resources
from stead_agent.ssh.workspace import Workspace
from stead_agent.tasks import background

MAX_VALUE = 2048  # bytes
DEFAULT_TIMEOUT = 5
STATS_INTERVAL = 30.0
PORTS_INTERVAL = 3.0
FLUSH_DELAY = 0.05


class Host(Protocol):
    def environment(self) -> dict[str, str]: ...

    def directory(self) -> str: ...

    def user_command(self, command: str) -> list[str]: ...

    def own_processes(self) -> frozenset[int]: ...


class Watchers:
    """Runs one task for each thing to look at; a new manifest replaces those that it changes."""

    def __init__(self, outbox: Outbox, workspace: Workspace, host: Host) -> None:
        self._outbox = outbox
        self._workspace = workspace
        self._host = host
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._health: dict[str, str] = {}
        self._flush: asyncio.TimerHandle | None = None
        self._changed: set[str] = set()
        self._stats_interval = STATS_INTERVAL
        self._stats_due = asyncio.Event()

    def start(self, manifest: Manifest) -> None:
        """Watch what this manifest names, and no more than that."""
        wanted: dict[object, Coroutine[Any, Any, None]] = {"stats": self._stats(), "ports": self._ports()}
        for item in manifest.metadata:
            wanted[item] = self._metadata(item)
        for app in manifest.apps:
            if app.healthcheck is not None:
                wanted[app] = self._app(app, app.healthcheck)
        for key in list(self._tasks):
            if key not in wanted:
                self._tasks.pop(key).cancel()
        for key, coroutine in wanted.items():
            if key in self._tasks:
                coroutine.close()
            else:
                self._tasks[key] = background(coroutine, "a watcher")

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def tell_again(self) -> None:
        """Say everything to a control plane that may know nothing of it."""
        self._changed.update(self._values)
        self._flush_metadata()

    def result(self, method: str, params: dict[str, Any], result: dict[str, Any]) -> None:
        """What the control plane has taken need not be said again; it says when it wants the next statistics."""
        taken: list[dict[str, Any]] = params["values"] if method == "metadata" else []
        for found in taken:
            if self._values.get(found["key"]) is found:
                self._changed.discard(found["key"])
        if method == "stats" and isinstance(result.get("interval"), int | float) and result["interval"] > 0:
            self._stats_interval = float(result["interval"])
            self._stats_due.set()

    # Metadata

    async def _metadata(self, item: MetadataItem) -> None:
        while True:
            value, error = await self._collect(item)
            found = {"key": item.key, "value": value, "error": error, "collected_at": timestamp()}
            self._values[item.key] = found
            self._changed.add(item.key)
            if self._flush is None:
                self._flush = asyncio.get_running_loop().call_later(FLUSH_DELAY, self._flush_metadata)
            if item.interval <= 0:
                return
            await asyncio.sleep(item.interval)

    async def _collect(self, item: MetadataItem) -> tuple[str, str]:
        timeout = item.timeout or item.interval or DEFAULT_TIMEOUT
        try:
            output, code = await self._output(item.script, timeout)
        except TimeoutError:
            return "", f"it took longer than {timeout} s"
        except SpawnError as error:
            return "", str(error)
        value = _cut(output.strip())
        return value, f"exit code {code}" if code else ""

    async def _output(self, script: str, patience: float) -> tuple[bytes, int]:
        words = self._host.user_command(script)
        env, cwd = self._host.environment(), self._host.directory()
        spawned = spawn_with_pipes(words, env=env, cwd=cwd, stdin=False, merge_stderr=True)
        ended = asyncio.Event()
        output = bytearray()

        def data(chunk: bytes) -> None:
            if len(output) < MAX_VALUE * 2:
                output.extend(chunk)

        reader = FdReader(spawned.stdout, data, ended.set)
        reader.start()
        try:
            async with asyncio.timeout(patience):
                code = await asyncio.shield(spawned.exited)
                reader.finish_when_empty()
                return bytes(output), code if code >= 0 else 128 - code
        finally:
            if not spawned.exited.done():
                spawned.signal_group(signal.SIGKILL)
            reader.close()

    def _flush_metadata(self) -> None:
        self._flush = None
        values = [self._values[key] for key in sorted(self._changed)]
        if values:
            self._outbox.state("metadata", {"values": values})

    # Apps

    async def _app(self, app: App, healthcheck: Healthcheck) -> None:
        interval = max(healthcheck.interval, 1)
        failures = 0
        self._set_health(app.slug, "initializing")
        while True:
            try:
                await check(healthcheck.url, interval)
                failures = 0
                self._set_health(app.slug, "healthy")
            except HealthError as error:
                failures += 1
                log.debug("app %s: %s", app.slug, error)
                if failures >= max(healthcheck.threshold, 1):
                    self._set_health(app.slug, "unhealthy")
            await asyncio.sleep(interval)

    def _set_health(self, slug: str, state: str) -> None:
        if self._health.get(slug) != state:
            self._health[slug] = state
            self._outbox.state("app_health", {"apps": dict(self._health)})

    # Resources and ports

    async def _stats(self) -> None:
        resources = Resources()
        before = resources.cpu()
        await asyncio.sleep(1)
        while True:
            now = resources.cpu()
            self._outbox.state("stats", self._stats_of(resources, before, now))
            before = now
            await self._until_next_stats()

    async def _until_next_stats(self) -> None:
        """The answer says when; without one, after the usual time."""
        began = time.monotonic()
        self._stats_due.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._stats_interval):
                await self._stats_due.wait()
        await asyncio.sleep(max(0.0, began + self._stats_interval - time.monotonic()))

    def _stats_of(self, resources: Resources, before: Cpu, now: Cpu) -> dict[str, Any]:
        used, total = resources.memory()
        home = self._workspace.user.home
        path = home if os.path.isdir(home) else "/"  # noqa: PTH112 - a string of the password file
        disk_used, disk_total = resources.disk(path)
        received, sent = resources.network()
        return {
            "cpu": {"used_cores": round(now.cores_since(before), 3), "total_cores": now.total_cores},
            "memory": {"used": used, "total": total},
            "disk": {"path": path, "used": disk_used, "total": disk_total},
            "sessions": self._workspace.session_counts(),
            "rx": received,
            "tx": sent,
        }

    async def _ports(self) -> None:
        said: list[dict[str, Any]] | None = None
        while True:
            found = listening_ports(ignore=self._host.own_processes())
            if found != said:
                said = found
                self._outbox.state("ports", {"ports": found})
            await asyncio.sleep(PORTS_INTERVAL)


def _cut(value: bytes) -> str:
    """At most :data:`MAX_VALUE` bytes of UTF-8, cut between characters."""
    text = value.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}").encode()
    return text[:MAX_VALUE].decode("utf-8", "ignore")
