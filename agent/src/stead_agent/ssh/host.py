"""Loads the SSH server when it is first needed, and keeps it in step with the control plane."""

from __future__ import annotations

import asyncio
import gc
import importlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from stead_agent.errors import AgentError
from stead_agent.log import log
from stead_agent.ssh.workspace import Workspace

if TYPE_CHECKING:
    from stead_agent.ssh.server import SshService

SSH_MODULE = "stead_agent.ssh.server"
READY_TIMEOUT = 20.0

Request = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


class SshHost:
    """The agent's SSH service: importing it takes a moment, which no connection to the control plane waits for."""

    def __init__(self, workspace: Workspace, request: Request) -> None:
        self._workspace = workspace
        self._request = request
        self._service: SshService | None = None
        self._ready = asyncio.Event()

    async def prepare(self, ssh: dict[str, Any]) -> None:
        """Adopt the authorities of a ``hello`` and have the host key certified."""
        if self._service is None:
            loop = asyncio.get_running_loop()
            module = await loop.run_in_executor(None, importlib.import_module, SSH_MODULE)
            self._service = module.SshService(self._workspace)
            gc.collect()
            gc.freeze()
        service = self._service
        principals: Sequence[str] = ssh.get("principals") or ()
        service.trust(ssh.get("user_ca") or (), principals)
        if ssh.get("certificate"):
            service.certify(ssh["certificate"])
        try:
            answer = await self._request("host_certificate", {"public_key": service.public_key})
            service.certify(answer.get("certificate"))
            if answer.get("user_ca"):
                service.trust(answer["user_ca"], principals)
        except AgentError as error:
            log.warning("the host key was not certified: %s", error)
        self._ready.set()

    async def serve(self, sock: socket.socket, name: str = "") -> None:
        """Serve one SSH connection on ``sock`` until it ends.

        :param name: what the control plane calls it when it asks to move it.
        """
        async with asyncio.timeout(READY_TIMEOUT):
            await self._ready.wait()
        if self._service is not None:
            await self._service.serve(sock, name)

    async def move(self, name: str, dial: Callable[[], Awaitable[socket.socket]]) -> None:
        """Let a connection go on over what ``dial`` opens; where that fails, it stays where it is."""
        if self._service is None:
            return
        try:
            await self._service.move(name, dial)
        except (OSError, TimeoutError, AgentError) as error:
            log.info("an SSH connection stays in the tunnel: %s", error or type(error).__name__)

    def revoke(self, principals: Sequence[str]) -> None:
        """Close the SSH connections of these principals."""
        if self._service is not None:
            log.info("closed %d SSH connections whose permission has ended", self._service.revoke(principals))
