"""What OpenSSH runs for each connection: ``stead ssh --prepare`` and ``stead ssh --stdio``."""

from __future__ import annotations

from stead.cli.names import Target, parse_host, parse_target
from stead.cli.session import current_session
from stead.cli.tunnel.handshake import Opened, open_stream


def prepare(host: str) -> int:
    """Get a certificate for a host name of ours."""
    from stead.cli.certificates import prepare as get_certificate
    from stead.cli.client import Client

    get_certificate(Client.of(current_session()), host, parse_host(host))
    return 0


def stdio(name: str) -> int:
    """Connect stdin and stdout to the SSH server of a workspace's agent."""
    session = current_session()
    carry(open_stream(session.url, session.token, stream_path(parse_target(name))), 0, 1)
    return 0


def carry(opened: Opened, source: int, sink: int) -> None:
    """Move bytes between two descriptors and a stream until both directions have ended.

    :raises CliError: the server ended the stream with a reason.
    :raises Unreachable: the connection broke.
    """
    sock, received, framed = opened
    # Each way of moving is imported alone: every connection starts a process that needs one of them.
    if framed:
        from stead.cli.tunnel.pump import Pump

        Pump(sock, source, sink, received).run()
    elif hasattr(sock, "pending"):
        from stead.cli.tunnel.pump import BarePump

        BarePump(sock, source, sink, received).run()
    else:
        from stead.cli.tunnel.raw import RawPump

        RawPump(sock, source, sink, received).run()


def stream_path(target: Target, to: str = "ssh") -> str:
    """The WebSocket of a stream to a workspace: ``to`` is ``ssh`` or ``tcp:HOST:PORT``."""
    agent = f"agent={_quoted(target.agent)}&" if target.agent else ""
    return f"/api/v2/workspaces/{_quoted(target.ref)}/stream?{agent}to={_quoted(to)}"


def _quoted(text: str) -> str:
    # Percent-encoding by hand: the module for it takes longer to import than all that is done here.
    return "".join(char if char.isascii() and (char.isalnum() or char in "-._~") else _percent(char) for char in text)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())
