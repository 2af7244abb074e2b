"""A small control plane for the agent's tests: RPC and streams as docs/development/agent-protocol.md has them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import websockets.asyncio.server
from websockets.datastructures import Headers
from websockets.http11 import Response

DEADLINE = 20.0


async def eventually(condition: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
    """Wait until ``condition()`` is true and return what it gave."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        await asyncio.sleep(0.02)


class Stream:
    """A parked stream as the control plane sees it: a reader and a way to write."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.reader = asyncio.StreamReader(limit=1 << 20)
        self.closed = asyncio.Event()
        self.pinged = False

    async def write(self, data: bytes) -> None:
        raise NotImplementedError

    async def write_eof(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class TcpStream(Stream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__("tcp")
        self.reader, self._writer = reader, writer

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def write_eof(self) -> None:
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()


class WebSocketStream(Stream):
    def __init__(self, websocket: Any) -> None:
        super().__init__("websocket")
        self._websocket = websocket

    async def pump(self) -> None:
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            async for message in self._websocket:
                if message:
                    self.reader.feed_data(message)
                else:
                    self.reader.feed_eof()
        if not self.reader.at_eof():
            self.reader.feed_eof()
        self.closed.set()

    async def write(self, data: bytes) -> None:
        await self._websocket.send(data)

    async def write_eof(self) -> None:
        await self._websocket.send(b"")

    async def close(self) -> None:
        await self._websocket.close()


@dataclass
class ControlPlane:
    """What tests look at and turn: everything an agent said, and what it is told."""

    token: str = "agent-token"
    manifest: dict[str, Any] = field(default_factory=dict)
    tunnel: dict[str, Any] | None = None
    parked_wanted: int = 4
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    parked: list[Stream] = field(default_factory=list)
    sockets: list[Any] = field(default_factory=list)
    hellos: list[dict[str, Any]] = field(default_factory=list)
    refuse_with: int | None = None
    answer_pings: bool = True
    bundle: Path | None = None
    damaged_fetches: int = 0
    fetches: list[str] = field(default_factory=list)
    principal: str = "workspace:11111111-1111-1111-1111-111111111111"
    user_ca: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    host_ca: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    port: int = 0
    stream_port: int = 0
    ssh_port: int = 0
    agent: Any = None
    on_tunnel_key: Callable[[str], None] | None = None
    rpc: Any = None
    _servers: list[Any] = field(default_factory=list)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _tickets: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        server = await websockets.asyncio.server.serve(
            self._connection, "127.0.0.1", self.port, process_request=self._check,
            select_subprotocol=lambda _connection, offered: offered[0] if offered else None,
            compression=None, ping_interval=15, max_size=1 << 24,
        )  # fmt: skip
        self.port = server.sockets[0].getsockname()[1]
        raw = await asyncio.start_server(self._raw_stream, "127.0.0.1", self.stream_port)
        self.stream_port = raw.sockets[0].getsockname()[1]
        ssh = await asyncio.start_server(self._ssh_client, "127.0.0.1", self.ssh_port)
        self.ssh_port = ssh.sockets[0].getsockname()[1]
        self._servers = [server, raw, ssh]

    async def stop(self) -> None:
        """Go away as a process does: every connection is cut."""
        for task in list(self._tasks):
            task.cancel()
        for server in self._servers:
            server.close()
        for websocket in list(self.sockets):
            websocket.transport.abort()
        for stream in list(self.parked):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(stream.close(), 1)
        self.parked.clear()
        self._servers = []
        await asyncio.sleep(0)

    def _check(self, connection: Any, request: Any) -> Any:
        if request.path.startswith("/bin/") and self.bundle is not None:
            self.fetches.append(request.path)
            if self.damaged_fetches:
                self.damaged_fetches -= 1
                return Response(200, "OK", Headers({"Content-Length": "7"}), b"damaged")
            body = (self.bundle / request.path.removeprefix("/bin/")).read_bytes()
            return Response(200, "OK", Headers({"Content-Length": str(len(body))}), body)
        if self.refuse_with is not None:
            return connection.respond(self.refuse_with, json.dumps({"message": "no", "supported": [1]}))
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return connection.respond(401, "no such token")
        return None

    async def _connection(self, websocket: Any) -> None:
        self.sockets.append(websocket)
        try:
            if websocket.request.path.startswith("/api/v2/agent/rpc"):
                await self._rpc(websocket)
            else:
                stream = WebSocketStream(websocket)
                pump = asyncio.create_task(stream.pump())
                await self._park(stream)
                await pump
        except (websockets.exceptions.ConnectionClosed, ConnectionError):
            pass
        finally:
            self.sockets.remove(websocket)

    async def _rpc(self, websocket: Any) -> None:
        self.rpc = websocket
        async for text in websocket:
            message = json.loads(text)
            result = self._answer(message["method"], message["params"])
            await websocket.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}))

    def _answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((method, params))
        key = params.get("tunnel_key") or (params.get("public_key") if method == "tunnel_key" else None)
        if key and self.on_tunnel_key is not None:
            self.on_tunnel_key(key)
        if method == "hello":
            self.hellos.append(params)
            self._tickets += 1
            return {
                "manifest": self.manifest,
                "tunnel": self.tunnel,
                "streams": {"ticket": f"ticket-{self._tickets}", "parked": self.parked_wanted,
                            "websocket_url": "/api/v2/agent/stream"},
                "ssh": {"user_ca": [self.user_ca.export_public_key().decode()], "principals": [self.principal],
                        "certificate": None},
                "server": {"version": "test", "time": "2026-01-01T00:00:00.000Z"},
            }  # fmt: skip
        if method == "host_certificate":
            key = asyncssh.import_public_key(params["public_key"])
            certificate = self.host_ca.generate_host_certificate(key, "agent", principals=["main.ws.me.stead"])
            return {"certificate": certificate.export_certificate().decode(), "user_ca": []}
        if method == "tunnel_key":
            return {"tunnel": self.tunnel}
        return {}

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        await self.rpc.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    def said(self, method: str) -> list[dict[str, Any]]:
        return [params for name, params in self.calls if name == method]

    def log_text(self, source: str | None = None) -> str:
        lines = [line for call in self.said("logs") for line in call["lines"]]
        return "\n".join(line["text"] for line in lines if source is None or line["source"] == source)

    @property
    def states(self) -> list[str]:
        return [call["state"] for call in self.said("lifecycle")]

    # Streams

    async def _raw_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._park(TcpStream(reader, writer))
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _park(self, stream: Stream) -> None:
        line = await stream.reader.readline()
        if not line.startswith(b"STEAD/1 ticket-"):
            await stream.write(b"no bad ticket\n")
            await stream.close()
            return
        await stream.write(b"ok\n")
        self.parked.append(stream)
        task = asyncio.create_task(self._ping(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ping(self, stream: Stream) -> None:
        while stream in self.parked:
            await asyncio.sleep(1)
            if stream in self.parked and self.answer_pings:
                stream.pinged = True
                try:
                    await stream.write(b"ping\n")
                    pong = await stream.reader.readline()
                except (OSError, websockets.exceptions.ConnectionClosed):
                    pong = b""
                stream.pinged = False
                if pong != b"pong\n" and stream in self.parked:
                    self.parked.remove(stream)

    async def take(self, header: str, payload: bytes = b"") -> Stream:
        """Take a parked stream that is not being pinged."""
        stream = await eventually(lambda: next((s for s in self.parked if not s.pinged), None), "a parked stream")
        self.parked.remove(stream)
        await stream.write(header.encode() + b"\n" + payload)
        answer = await asyncio.wait_for(stream.reader.readline(), DEADLINE)
        if answer != b"ok\n":
            raise ConnectionRefusedError(answer.decode().strip())
        return stream

    async def _ssh_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            stream = await self.take("ssh")
            await _join(stream, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()


async def _join(stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def inward() -> None:
        while data := await reader.read(1 << 18):
            await stream.write(data)
        await stream.write_eof()

    async def outward() -> None:
        while data := await stream.reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    with contextlib.suppress(ConnectionError, websockets.exceptions.ConnectionClosed):
        await asyncio.gather(inward(), outward())
    await stream.close()


@dataclass
class AgentProcess:
    """A running agent."""

    plane: ControlPlane
    home: Path
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


@dataclass
class Ssh:
    """OpenSSH's clients, set up to trust the test's authorities and nothing else."""

    folder: Path
    plane: ControlPlane

    def __post_init__(self) -> None:
        self.certify(self.plane.principal)
        authority = self.plane.host_ca.export_public_key().decode().strip()
        (self.folder / "known_hosts").write_text(f"@cert-authority *.stead {authority}\n")
        (self.folder / "config").write_text(
            f"""Host *
  HostName 127.0.0.1
  Port {self.plane.ssh_port}
  HostKeyAlias main.ws.me.stead
  User anyone
  IdentityFile {self.folder}/key
  CertificateFile {self.folder}/key-cert.pub
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {self.folder}/known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  PasswordAuthentication no
  LogLevel ERROR
  ControlMaster no
"""
        )

    def certify(self, *principals: str, key_id: str = "stead:me:session-1", **options: Any) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        (self.folder / "key").write_bytes(key.export_private_key())
        (self.folder / "key").chmod(0o600)
        ca = options.pop("ca", self.plane.user_ca)
        options.setdefault("valid_before", "+5m")
        certificate = ca.generate_user_certificate(key, key_id, principals=list(principals), **options)
        (self.folder / "key-cert.pub").write_bytes(certificate.export_certificate())

    @property
    def options(self) -> list[str]:
        return ["-F", str(self.folder / "config")]

    @property
    def command(self) -> str:
        return f"ssh -F {self.folder}/config"

    async def start(self, *arguments: str, **keywords: Any) -> asyncio.subprocess.Process:
        keywords.setdefault("stdin", subprocess.DEVNULL)
        return await asyncio.create_subprocess_exec(
            "ssh", *self.options, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keywords
        )

    async def run(self, *arguments: str, stdin: bytes | None = None, deadline: float = 40) -> tuple[int, bytes, bytes]:
        process = await self.start(*arguments, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL)
        output, errors = await asyncio.wait_for(process.communicate(stdin), deadline)
        return process.returncode or 0, output, errors


async def run_program(*words: str, stdin: bytes | None = None, deadline: float = 60) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(stdin), deadline)
    return process.returncode or 0, output, errors


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlane]:
    plane = ControlPlane()
    await plane.start()
    yield plane
    await plane.stop()


StartAgent = Callable[..., AgentProcess]


@pytest.fixture
def start_agent(plane: ControlPlane, tmp_path: Path) -> Iterator[StartAgent]:
    """Start an agent process that dials ``plane``; it is ended with the test."""
    started: list[AgentProcess] = []

    def start(*, tunnel: bool = False, **extra: str) -> AgentProcess:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        log = tmp_path / f"agent-{len(started)}.log"
        env = {
            "PATH": os.environ["PATH"], "HOME": str(home), "STEAD_AGENT_URL": plane.url,
            "STEAD_AGENT_TOKEN": plane.token, "STEAD_AGENT_RUN_DIR": str(tmp_path / "run"),
            "STEAD_AGENT_TUNNEL": "1" if tunnel else "0", "STEAD_AGENT_LOG_LEVEL": "DEBUG", **extra,
        }  # fmt: skip
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "stead_agent"],
                env=env,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        agent = AgentProcess(plane, home, process, log)
        started.append(agent)
        return agent

    yield start
    for agent in started:
        if agent.process.poll() is None:
            agent.process.kill()
            agent.process.wait(10)


@pytest.fixture
async def agent(plane: ControlPlane, start_agent: StartAgent) -> AgentProcess:
    """An agent that has connected and parked its streams."""
    process = start_agent()
    await eventually(lambda: len(plane.parked) == plane.parked_wanted, "parked streams")
    return process


@pytest.fixture
def agent_with(plane: ControlPlane, start_agent: StartAgent) -> Callable[..., Any]:
    """Start an agent whose manifest has these entries, and wait until it has said hello."""

    async def start(**manifest: Any) -> ControlPlane:
        plane.manifest = {"workspace_name": "ws", "owner": "me", "agent_name": "main", **manifest}
        plane.agent = start_agent()
        await eventually(lambda: plane.hellos, "hello")
        return plane

    return start


@pytest.fixture
def ssh(plane: ControlPlane, tmp_path: Path) -> Ssh:
    folder = tmp_path / "ssh"
    folder.mkdir()
    return Ssh(folder, plane)


@pytest.fixture
async def echo_server():
    async def serve(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"<eof>")
        writer.write_eof()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture(scope="session")
def wait_for() -> Any:
    return eventually


@pytest.fixture(scope="session")
def program() -> Any:
    return run_program
