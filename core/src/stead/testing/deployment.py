"""A deployment to test with: ``stead server`` as a real process on a data folder and free ports."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from stead.config import Settings, load_settings
from stead.network.children import die_with
from stead.testing.waiting import eventually

START_SECONDS = 60.0  # a loaded machine takes long to import it all
STOP_SECONDS = 25.0
USERNAME = "owner"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a deployment that lives for a test


@dataclass
class Deployment:
    """One server process, which can be stopped, killed and started again on the same data.

    :param data_dir: its folder; what it logs goes to ``server.log`` in it.
    :param port: where it serves HTTP, on ``listen``.
    :param listen: an address; ``0.0.0.0`` where containers have to reach it.
    :param verify: how the server's certificate is checked where it serves HTTPS.
    :param environment: more settings, as ``STEAD_...`` variables.
    """

    data_dir: Path
    port: int
    stun_port: int
    listen: str = "127.0.0.1"
    database_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default="", repr=False)
    process: subprocess.Popen[bytes] | None = None
    scheme: str = "http"
    verify: ssl.SSLContext | bool = True

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        path = self.data_dir / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def variables(self) -> dict[str, str]:
        """The environment of the server process."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("STEAD_", "CODER_"))}
        settings = {
            "STEAD_DATA_DIR": str(self.data_dir),
            "STEAD_HTTP_ADDRESS": f"{self.listen}:{self.port}",
            "STEAD_ACCESS_URL": self.url,
            "STEAD_STUN_ADDRESS": f"{self.listen}:{self.stun_port}",
        }
        if self.database_url:
            settings["STEAD_PG_CONNECTION_URL"] = self.database_url
        return {**kept, **settings, **self.environment}

    def settings(self) -> Settings:
        """The settings that the server reads, to open the same database beside it."""
        return load_settings(environ=self.variables(), config=None)

    def start(self) -> Self:
        """Start the server and wait until it is healthy."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stead.cli.main", "server"],
                env=self.variables(),
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # A test run that is killed takes its servers along.
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509
            )
        eventually(self.is_healthy, START_SECONDS, what=f"a healthy server ({self.log[-2000:]})")
        return self

    def is_healthy(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"the server ended while it started:\n{self.log[-4000:]}")
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2, verify=self.verify).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """SIGTERM, and wait; returns the exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end:\n{self.log[-4000:]}") from None
        self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL to the server process alone."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()

    # As a person

    def client(self, token: str | None = None) -> httpx.Client:
        """A client of the REST API, signed in as the owner (or with another token)."""
        used = token if token is not None else self.token
        headers = {"Authorization": f"Bearer {used}"} if used else {}
        return httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=30, verify=self.verify)

    def create_owner(self) -> str:
        """Make the first user and sign in; returns the token."""
        with self.client("") as client:
            person = {"username": USERNAME, "email": "owner@example.org", "password": PASSWORD, "name": "The Owner"}
            client.post("/users/first", json=person).raise_for_status()
            answer = client.post("/login", json={"login": USERNAME, "password": PASSWORD})
            answer.raise_for_status()
            self.token = str(answer.json()["token"])
        return self.token

    def get(self, path: str, **query: Any) -> Any:
        with self.client() as client:
            answer = client.get(path, params=query)
            answer.raise_for_status()
            return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        with self.client() as client:
            answer = client.post(path, json=body or {})
            answer.raise_for_status()
            return answer.json() if answer.content else None
