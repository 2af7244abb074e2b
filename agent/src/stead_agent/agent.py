"""The agent: brings its parts together and takes them down again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stead_agent import VERSION
from stead_agent.bundle import own_command
from stead_agent.commands import install_commands
from stead_agent.environment import expand_path, workspace_environment
from stead_agent.errors import Revoked
from stead_agent.identity import StateFile, architecture, hostname
from stead_agent.lifecycle import Lifecycle, LifecycleReporter
from stead_agent.log import log
from stead_agent.manifest import Manifest, read_manifest
from stead_agent.outbox import Outbox
from stead_agent.rpc import ControlPlane
from stead_agent.scripts import ScriptRunner
from stead_agent.settings import AgentSettings
from stead_agent.ssh.host import SshHost
from stead_agent.ssh.workspace import Workspace
from stead_agent.streams.parked import Targets
from stead_agent.streams.pool import Ticket
from stead_agent.streams.transports import Transports
from stead_agent.streams.tunnel import TunnelOffer, read_offer
from stead_agent.streams.upgrade import upgraded
from stead_agent.tasks import background
from stead_agent.users import current_user
from stead_agent.watchers import Watchers

REVOKED = 3  # what a run ends with when the control plane has ended it: an agent with a token is done then


class Agent:
    """One run of the agent, from the first connection to the last report."""

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._manifest = Manifest()
        self._user = current_user()
        self._bin_dir = install_commands(settings.run_dir, self._user.home, owns_container=settings.owns_container)
        self._state = StateFile(settings.run_dir)
        self._outbox = Outbox()
        self._lifecycle = LifecycleReporter(self._outbox)
        self._workspace = Workspace(self._user, self, own_command("sftp-server"))
        self._ssh = SshHost(self._workspace, self._request)
        self._targets = Targets(serve_ssh=self._ssh.serve)
        self._transports = Transports(settings, self._targets, self._outbox, self._announce_key)
        self._watchers = Watchers(self._outbox, self._workspace, self)
        self._scripts = ScriptRunner(self._outbox, self, settings.run_dir)
        self._control = ControlPlane(
            settings,
            self._outbox,
            greeting=self._greeting,
            on_hello=self._hello,
            on_notification=self._notification,
            on_result=self._watchers.result,
        )
        self._stream_path = "/api/v2/agent/stream"
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False

    # What sessions and scripts ask of the agent

    def environment(self) -> dict[str, str]:
        return workspace_environment(os.environ, self._manifest, self._user, self._bin_dir, self._settings.url)

    def directory(self) -> str:
        """Where sessions start: the template's directory, made if it is missing, else the home directory."""
        if not self._manifest.directory:
            return self._user.home
        path = expand_path(self._manifest.directory, self.environment())
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning("the directory %s cannot be made: %s", path, error.strerror)
            return self._user.home
        return str(path)

    def motd_file(self) -> str:
        name = self._manifest.motd_file
        return str(expand_path(name, self.environment())) if name else ""

    def user_command(self, command: str) -> list[str]:
        return self._user.shell_command(command)

    def own_processes(self) -> frozenset[int]:
        """Processes that belong to the agent and not to the workspace."""
        return frozenset({os.getpid(), *self._transports.processes()})

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    # Running

    async def run(self) -> int:
        """Run until told to stop, then run the shutdown scripts; return the exit code, or ``REVOKED``."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        control = asyncio.create_task(self._control.run())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([control, stopping], return_when=asyncio.FIRST_COMPLETED)
            revoked = control.done() and isinstance(control.exception(), Revoked)
            if control.done() and isinstance(control.exception(), Revoked):
                log.info("%s", control.exception())
            elif control.done():
                control.result()
            await self._shut_down()
        finally:
            for task in (control, stopping, *self._tasks):
                task.cancel()
            await self._transports.close()
        return REVOKED if revoked else 0

    async def _shut_down(self) -> None:
        self._watchers.stop()
        await self._scripts.cancel_cron()
        if self._started:
            self._lifecycle.enter(Lifecycle.SHUTTING_DOWN)
            self._lifecycle.enter(await self._scripts.run_on_stop(self._manifest.scripts))
        if self._control.connected:
            await self._control.drain(self._settings.shutdown_grace)

    # The control plane

    async def _greeting(self) -> dict[str, Any]:
        tunnel_key = await self._transports.key_for_hello()
        return {
            "version": VERSION,
            "os": "linux",
            "arch": architecture(),
            "hostname": hostname(),
            "boot_id": self._state.state.boot_id,
            "pid": os.getpid(),
            "capabilities": ["tunnel", "websocket", "move", "shared-heartbeat"] if tunnel_key else ["websocket"],
            "restarted": self._state.restarted or self._started,
            "tunnel_key": tunnel_key,
            "tunnel_runs": bool(self._transports.processes()),
        }

    async def _hello(self, answer: dict[str, Any]) -> None:
        self._adopt(read_manifest(answer.get("manifest") or {}))
        streams = answer.get("streams") or {}
        ticket = Ticket(str(streams.get("ticket", "")), int(streams.get("parked") or 4))
        path = self._stream_path = streams.get("websocket_url") or self._stream_path
        self._watchers.tell_again()
        self._transports.hello(ticket, path, read_offer(answer.get("tunnel")))
        self._spawn(self._ssh.prepare(answer.get("ssh") or {}))
        if not self._started:
            self._started = True
            self._spawn(self._start_workspace())

    def _adopt(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._targets.allow_hosts = frozenset(manifest.allow_hosts)
        if self._started:
            self._watchers.start(manifest)
            self._scripts.schedule_cron(manifest.scripts)

    async def _notification(self, method: str, params: dict[str, Any]) -> None:
        if method == "manifest":
            self._adopt(read_manifest(params.get("manifest") or {}))
        elif method == "tunnel":
            self._transports.offer(read_offer(params.get("tunnel")))
        elif method == "shutdown":
            log.info("the control plane asks to shut down: %s", params.get("reason", "no reason given"))
            self._stopping.set()
        elif method == "stream.move":
            self._spawn(self._move_stream(str(params.get("stream", ""))))
        elif method == "sessions.revoke":
            self._ssh.revoke(params.get("principals") or [])
        elif method == "peer.open":
            log.debug("peer connections are not served by this agent")

    async def _move_stream(self, name: str) -> None:
        path = f"{self._stream_path}?move={quote(name, safe='')}"
        await self._ssh.move(name, lambda: upgraded(self._settings, path))

    async def _request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return await self._control.request(method, params)

    async def _announce_key(self, public_key: str) -> TunnelOffer | None:
        answer = await self._request("tunnel_key", {"public_key": public_key})
        return read_offer(answer.get("tunnel"))

    # Scripts

    async def _start_workspace(self) -> None:
        manifest = self._manifest
        self.directory()
        self._watchers.start(manifest)
        self._scripts.schedule_cron(manifest.scripts)
        if self._state.restarted:
            self._lifecycle.enter(Lifecycle(self._state.state.started_as))
            return
        self._lifecycle.enter(Lifecycle.STARTING)
        self._state.scripts_ran()
        reached = await self._scripts.run_on_start(manifest.scripts, self._workspace.gate)
        self._state.scripts_ran(reached.value)
        self._lifecycle.enter(reached)

    def _spawn(self, coroutine: Any) -> None:
        task = background(coroutine, "a part of the agent")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def run_agent(settings: AgentSettings, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> int:
    """Run an agent in an event loop of its own."""
    os.umask(0o022)
    Path(settings.run_dir).mkdir(parents=True, exist_ok=True)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_run(settings))


async def _run(settings: AgentSettings) -> int:
    agent = Agent(settings)
    return await agent.run()
