"""OpenSSH's own server on loopback, to compare with: host key and user key of its own, nothing of the system's."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

SSHD = "/usr/sbin/sshd"


class PlainSshd:
    """``sshd`` for the user who runs the benchmark."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="stead-sshd-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        """The client, up to and with the host."""
        config = str(self._folder / "config")
        return ["ssh", "-F", config, "plain"]

    def __enter__(self) -> Self:
        for name in ("host", "user"):
            key = str(self._folder / name)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public = (self._folder / "user.pub").read_text()
        (self._folder / "authorized").write_text(public)
        host_key = " ".join((self._folder / "host.pub").read_text().split()[:2])
        (self._folder / "known").write_text(f"plain {host_key}\n")
        self._write_configuration()
        Path("/run/sshd").mkdir(exist_ok=True)
        self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(self._folder / "sshd_config")], stderr=-3)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_configuration(self) -> None:
        folder = self._folder
        (folder / "sshd_config").write_text(
            f"Port {self._port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/authorized\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\nPasswordAuthentication no\nMaxStartups 100\n"
            "UseDNS no\nGSSAPIAuthentication no\nKbdInteractiveAuthentication no\n"
            "PrintMotd no\nPrintLastLog no\nX11Forwarding no\n"
            # Bash reads ~/.bashrc for commands over SSH unless it is a shell within a shell. What this user
            # has in there (half a second and more, often) is no part of a comparison of servers.
            "SetEnv SHLVL=1\n"
        )
        (folder / "config").write_text(
            f"Host plain\n  HostName 127.0.0.1\n  Port {self._port}\n  HostKeyAlias plain\n"
            f"  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n"
            "  StrictHostKeyChecking yes\n  BatchMode yes\n  CheckHostIP no\n  GSSAPIAuthentication no\n"
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return
