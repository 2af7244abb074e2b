"""Starts the server as a process of its own, and ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import httpx

from stead.api.errors import Conflict, Unavailable

STOP_SECONDS = 20.0


class ServerProcess:
    """``stead server`` on a data folder.

    :param listen: further addresses to listen on, without port.
    """

    def __init__(self, data_dir: Path, port: int, *, listen: Iterable[str] = (), log: Path | None = None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._log = log or data_dir / "server.log"
        self._environment = _without_stead_settings() | {
            "STEAD_DATA_DIR": str(data_dir),
            "STEAD_HTTP_ADDRESS": f"127.0.0.1:{port}",
            "STEAD_ALSO_LISTEN": ",".join(f"{host}:{port}" for host in listen),
            "STEAD_ACCESS_URL": f"http://localhost:{port}",
            "STEAD_ALLOW_HOST": "true",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 60.0) -> None:
        """Start the server and wait until it is healthy.

        :raises Conflict: something else serves on the port.
        :raises Unavailable: it ended or did not answer in time; the message has the end of its log.
        """
        self._refuse_taken_port()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stead.cli.main", "server"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        with httpx.Client(base_url=self.url, timeout=2.0) as client:
            while not self._healthy(client):
                if self._process.poll() is not None:
                    raise Unavailable(f"The server ended while it started.\n{self._tail()}")
                if time.monotonic() > deadline:
                    raise Unavailable(f"The server is not healthy after {timeout:.0f} s.\n{self._tail()}")
                time.sleep(0.02)

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                raise Conflict(
                    f"Something serves on port {self._port} already.",
                    field="port",
                    remedy="End it, or choose another with --port.",
                )

    @property
    def pid(self) -> int:
        """Process id of the server, 0 before it was started."""
        return self._process.pid if self._process else 0

    def wait(self) -> int:
        """Wait until the server ends; pass Ctrl-C on to it."""
        if self._process is None:
            return 0
        try:
            return self._process.wait()
        except KeyboardInterrupt:
            self.stop()
            return 0

    def stop(self) -> None:
        """Ask the server to end, and end it when it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @staticmethod
    def _healthy(client: httpx.Client) -> bool:
        try:
            return client.get("/healthz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def _without_stead_settings() -> dict[str, str]:
    keep = ("STEAD_AGENT_BUNDLE_DIR",)
    return {k: v for k, v in os.environ.items() if not k.startswith(("STEAD_", "CODER_")) or k in keep}
