"""What OpenSSH runs for each connection: ``stead ssh --prepare`` and ``stead ssh --stdio``."""

from __future__ import annotations

from urllib.parse import quote

from stead.cli.names import Target, parse_host, parse_target
from stead.cli.session import current_session
from stead.cli.tunnel.handshake import open_websocket
from stead.cli.tunnel.pump import Pump


def prepare(host: str) -> int:
    """Get a certificate for a host name of ours."""
    from stead.cli.certificates import prepare as get_certificate
    from stead.cli.client import Client

    get_certificate(Client.of(current_session()), host, parse_host(host))
    return 0


def stdio(name: str) -> int:
    """Connect stdin and stdout to the SSH server of a workspace's agent."""
    session = current_session()
    sock, received = open_websocket(session.url, session.token, stream_path(parse_target(name)))
    Pump(sock, 0, 1, received).run()
    return 0


def stream_path(target: Target, to: str = "ssh") -> str:
    """The WebSocket of a stream to a workspace: ``to`` is ``ssh`` or ``tcp:HOST:PORT``."""
    agent = f"agent={quote(target.agent)}&" if target.agent else ""
    return f"/api/v2/workspaces/{quote(target.ref, safe='')}/stream?{agent}to={quote(to, safe='')}"
