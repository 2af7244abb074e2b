"""The SSH connection as the agent serves it: asyncssh's, with the user's certificate kept for the session's record."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncssh.connection import SSHServerConnection, SSHServerConnectionOptions
from asyncssh.public_key import SSHKey, SSHOpenSSHCertificate


class WorkspaceConnection(SSHServerConnection):
    """Remembers who came in: :attr:`key_id` (``stead:USERNAME:SESSION-ID``) and :attr:`principals`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: SSHServerConnectionOptions) -> None:
        super().__init__(loop, options)
        self.key_id = ""
        self.principals: tuple[str, ...] = ()
        # Streams have no address of their own. Certificates bound to a source address do not match this one.
        self._peer_addr = "0.0.0.0"  # noqa: S104 - never listened on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._peer_addr, self._peer_port = "0.0.0.0", 0  # noqa: S104 - never listened on

    async def reload_config(self) -> None:
        """No configuration file depends on who logs in."""

    async def _validate_openssh_certificate(self, username: str, cert: SSHOpenSSHCertificate) -> SSHKey | None:
        key = await super()._validate_openssh_certificate(username, cert)
        if key is not None:
            key_id: Any = getattr(cert, "_key_id", "")
            self.key_id = key_id.decode("utf-8", "replace") if isinstance(key_id, bytes) else str(key_id)
            self.principals = tuple(cert.principals)
        return key
