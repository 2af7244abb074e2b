"""``stead ssh`` on a machine without OpenSSH: asyncssh over the same stream, with the same certificates."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import stat
import sys
import termios
import threading
import tty
from collections.abc import Iterator

import asyncssh

from stead.cli.certificates import certificate_file, key_file, known_hosts_file
from stead.cli.connection import carry, stream_path
from stead.cli.failures import Unreachable
from stead.cli.names import Target
from stead.cli.session import Session
from stead.cli.tunnel.handshake import open_stream

LOGIN_SECONDS = 30.0


async def run(session: Session, target: Target, host: str, command: tuple[str, ...]) -> int:
    """Open a shell, or run ``command``; returns its exit status."""
    try:
        async with asyncssh.connect(
            host,
            sock=_stream(session, target),
            username="stead",
            client_keys=[(key_file(), certificate_file(host))],
            known_hosts=known_hosts_file(),
            server_host_key_algs=["ssh-ed25519-cert-v01@openssh.com"],
            agent_path=None,
            config=None,
            login_timeout=LOGIN_SECONDS,
            keepalive_interval=15,
        ) as connection:
            return await _session(connection, " ".join(command) or None)
    except (OSError, asyncssh.Error) as error:
        raise Unreachable(f"The SSH connection failed: {error}.") from error


def _stream(session: Session, target: Target) -> socket.socket:
    """A socket whose other end a thread connects to the workspace."""
    opened = open_stream(session.url, session.token, stream_path(target))
    ours, theirs = socket.socketpair()

    def pump() -> None:
        with theirs, contextlib.suppress(Unreachable):
            carry(opened, theirs.fileno(), os.dup(theirs.fileno()))

    threading.Thread(target=pump, name="stead-ssh-stream", daemon=True).start()
    return ours


async def _session(connection: asyncssh.SSHClientConnection, command: str | None) -> int:
    terminal = sys.stdin.isatty() and command is None
    size = shutil.get_terminal_size()
    process = await connection.create_process(
        command,
        stdin=_stdin(),
        stdout=sys.stdout.buffer,
        stderr=sys.stderr.buffer,
        encoding=None,
        term_type=os.environ.get("TERM", "xterm") if terminal else None,
        term_size=(size.columns, size.lines) if terminal else (),
    )
    with _raw_terminal() if terminal else contextlib.nullcontext():
        if terminal:
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, _resize, process)
        result = await process.wait()
    return 255 if result.exit_status is None else result.exit_status


def _stdin() -> object:
    """Standard input as asyncssh can wait for it: a device that is no terminal, such as /dev/null, it cannot."""
    if stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode) and not sys.stdin.isatty():
        return asyncssh.DEVNULL
    return sys.stdin.buffer


def _resize(process: asyncssh.SSHClientProcess[bytes]) -> None:
    size = shutil.get_terminal_size()
    process.change_terminal_size(size.columns, size.lines)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
