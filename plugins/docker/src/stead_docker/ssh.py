"""Engines behind SSH: one ``ssh`` process that brings the engine's socket here.

The SDK's own way starts a process for each connection, asks at the terminal, and never gives up. This one
asks nothing, takes options, has a deadline, and ends when this process ends, however it ends: the
command at the other side is ``cat``, which stops when our end of its input closes.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stead.api.errors import CredentialsRejected, InvalidInput, PlatformUnreachable, ProviderFailure

REMOTE_SOCKET = "/var/run/docker.sock"
POLL = 0.02  # seconds between two looks at whether the socket is here
STDERR_LINES = 3


@dataclass(frozen=True)
class Target:
    """Where ``ssh://user@host:port/path`` points."""

    host: str
    user: str | None
    port: int | None
    socket: str

    @classmethod
    def of(cls, url: str) -> Target:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidInput(f"{url} is no address: {error}.", field="host") from error
        if not parts.hostname or parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
            raise InvalidInput(f"{url} names no machine.", field="host", remedy="Write ssh://user@machine.")
        return cls(parts.hostname, parts.username, port, parts.path.rstrip("/") or REMOTE_SOCKET)


class Tunnel:
    """The engine's socket of another machine, as a socket in a private folder here."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.socket = folder / "docker.sock"
        self._process = process

    def wait(self, url: str, timeout: float) -> None:
        """Come back when the socket is here.

        :raises ProviderFailure: it does not come; with what ``ssh`` says.
        """
        deadline = time.monotonic() + timeout
        while not self.socket.exists():
            if self._process.poll() is not None:
                raise failure(url, self._said())
            if time.monotonic() > deadline:
                raise PlatformUnreachable(f"Docker at {url}: no SSH connection within {timeout:g} s.", field="host")
            time.sleep(POLL)

    def _said(self) -> str:
        lines = (self.socket.parent / "stderr").read_text(errors="replace").splitlines()
        return "; ".join(line.strip() for line in lines[-STDERR_LINES:] if line.strip())


def command(target: Target, local: Path, options: Sequence[str], timeout: float) -> list[str]:
    """The ``ssh`` command line. ``options`` come first: of each option the first value counts."""
    named = ["-l", target.user] if target.user else []
    numbered = ["-p", str(target.port)] if target.port else []
    ours = {
        "BatchMode": "yes",
        "ConnectTimeout": str(max(1, round(timeout))),
        "ExitOnForwardFailure": "yes",
        "ServerAliveInterval": "15",
        "StreamLocalBindMask": "0177",
    }
    settings = [f"-o{name}={value}" for name, value in ours.items()]
    forward = ["-T", "-L", f"{local}:{target.socket}"]
    return ["ssh", *options, *settings, *named, *numbered, *forward, "--", target.host, "cat"]


def open_tunnel(url: str, options: Sequence[str], timeout: float) -> Tunnel:
    """Connect to the machine that ``url`` names, within ``timeout`` seconds."""
    target = Target.of(url)
    folder = tempfile.TemporaryDirectory(prefix="stead-ssh-")
    here = Path(folder.name)
    with (here / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command(target, here / "docker.sock", options, timeout),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    tunnel = Tunnel(here, process)
    weakref.finalize(tunnel, _end, process, folder)
    tunnel.wait(url, timeout)
    return tunnel


def _end(process: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
    folder.cleanup()


def failure(url: str, said: str) -> ProviderFailure:
    """What ``ssh`` meant when it ended."""
    message = f"Docker at {url} cannot be reached over SSH: {said or 'ssh ended without a word'}."
    if "Host key verification failed" in said or "host key" in said.lower():
        remedy = "Connect once by hand as the account that runs Stead, and compare the key."
        return CredentialsRejected(message, field="host", remedy=remedy)
    if "Permission denied" in said:
        remedy = "Give the account that runs Stead a key for that machine, without a passphrase or in an agent."
        return CredentialsRejected(message, field="host", remedy=remedy)
    remedy = "Check the machine's name and that its SSH server answers."
    return PlatformUnreachable(message, field="host", remedy=remedy)
