"""The agent's SSH server: it listens nowhere and serves streams that the control plane opens."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import asyncssh

from stead_agent.log import log
from stead_agent.ssh.connection import WorkspaceConnection
from stead_agent.ssh.session import WorkspaceSession
from stead_agent.ssh.workspace import Workspace

LOGIN_TIMEOUT = 30
WINDOW = 8 * 1024 * 1024
KEEPALIVE = 30
ENCRYPTIONS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
    "chacha20-poly1305@openssh.com",
)

IPV4_OF = {"localhost": "127.0.0.1", "": "0.0.0.0"}  # noqa: S104 - what the person asked for with -R '*:PORT'


class _Server(asyncssh.SSHServer):
    """Says yes to everything that a shell in the workspace could do anyway; X11 stays off."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._connection: WorkspaceConnection | None = None

    def connection_made(self, conn: Any) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def session_requested(self) -> Any:
        connection = self._connection
        if connection is None:
            return False
        channel = connection.create_server_channel(encoding=None)
        return channel, WorkspaceSession(self._workspace, connection)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        del dest_host, dest_port, orig_host, orig_port
        return True

    async def server_requested(self, listen_host: str, listen_port: int) -> Any:
        fallback = IPV4_OF.get(listen_host)
        if fallback is None or self._connection is None:
            return True
        forward = self._connection.forward_local_port
        try:
            return await forward(listen_host, listen_port, listen_host, listen_port)
        except OSError:
            # Containers often name ::1 in their hosts file and have no IPv6: then IPv4 alone has to do.
            return await forward(fallback, listen_port, listen_host, listen_port)

    def unix_connection_requested(self, dest_path: str) -> bool:
        del dest_path
        return True

    def unix_server_requested(self, listen_path: str) -> bool:
        del listen_path
        return True


class SshService:
    """Holds the host key and the authorities, and serves sockets."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._certificate: bytes | None = None
        self._authorities: Any = None
        self._options: asyncssh.SSHServerConnectionOptions | None = None
        self._connections: weakref.WeakSet[WorkspaceConnection] = weakref.WeakSet()
        self._named: weakref.WeakValueDictionary[str, WorkspaceConnection] = weakref.WeakValueDictionary()

    @property
    def public_key(self) -> str:
        return self._host_key.export_public_key().decode().strip()

    def trust(self, user_ca: Iterable[str], principals: Sequence[str]) -> None:
        """Let in whoever shows a certificate of these authorities with one of these principals."""
        names = ",".join(principals)
        keys = [key.strip() for key in user_ca if key.strip()]
        lines = [f'cert-authority,principals="{names}" {key}' for key in keys] if names else []
        self._authorities = asyncssh.import_authorized_keys("\n".join(lines) + "\n") if lines else None
        self._options = None

    def certify(self, certificate: str | None) -> None:
        """Show this host certificate from now on."""
        self._certificate = certificate.encode() if certificate else None
        self._options = None

    async def serve(self, sock: socket.socket, name: str = "") -> None:
        """Serve one SSH connection on ``sock`` until it ends.

        :param name: by which :meth:`move` finds it.
        """
        if self._authorities is None:
            log.warning("an SSH connection was refused: the control plane has named no authority yet")
            sock.close()
            return
        if self._options is None:
            self._options = await self._make_options()
        options = self._options
        loop = asyncio.get_running_loop()
        _transport, connection = await loop.create_connection(lambda: WorkspaceConnection(loop, options), sock=sock)
        self._connections.add(connection)
        if name:
            self._named[name] = connection
        try:
            await connection.wait_closed()
        finally:
            # Whoever gives up the transport that it came by does not mean a connection that has left it.
            if not connection.moved:
                connection.abort()

    async def move(self, name: str, dial: Callable[[], Awaitable[socket.socket]]) -> None:
        """Let the connection of this name, if there is one, go on over what ``dial`` opens."""
        connection = self._named.pop(name, None)
        if connection is not None:
            await connection.move(dial)

    def revoke(self, principals: Iterable[str]) -> int:
        """Close the connections of these principals (a principal of the certificate, its user, or its key id)."""
        gone = set(principals)
        closed = 0
        for connection in list(self._connections):
            user = connection.key_id.removeprefix("stead:").partition(":")[0]
            if gone & {*connection.principals, connection.key_id, user, f"user:{user}"}:
                with contextlib.suppress(OSError):
                    connection.disconnect(asyncssh.DISC_BY_APPLICATION, "Your access to this workspace has ended.")
                connection.abort()
                closed += 1
        return closed

    async def _make_options(self) -> asyncssh.SSHServerConnectionOptions:
        keys: list[Any] = [self._host_key]
        if self._certificate is not None:
            keys = [(self._host_key, asyncssh.import_certificate(self._certificate))]
        return await asyncssh.SSHServerConnectionOptions.construct(
            server_factory=lambda: _Server(self.workspace),
            server_host_keys=keys,
            authorized_client_keys=self._authorities,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            agent_forwarding=True,
            x11_forwarding=False,
            line_editor=False,
            allow_scp=False,
            encoding=None,
            encryption_algs=list(ENCRYPTIONS),
            compression_algs=["none"],
            window=WINDOW,
            login_timeout=LOGIN_TIMEOUT,
            keepalive_interval=KEEPALIVE,
            keepalive_count_max=4,
            server_version="Stead_Agent",
            config=(),
        )
