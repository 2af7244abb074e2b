"""SSH connections that leave the transport they came by: the agent's server, the gateway's splice, OpenSSH's client."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stead.network.streams import Move, Stream, TcpChannel, Traffic, Transport, splice
from stead.testing.left_out import leave_out
from stead_agent.ssh.server import SshService
from stead_agent.ssh.workspace import Workspace
from stead_agent.users import current_user

pytestmark = [pytest.mark.openssh, pytest.mark.timeout(180)]
MEGABYTE = 1024 * 1024
AFTER = 256 * 1024
NAME = "stream-1"


class Here:
    """What the agent's sessions see of their workspace: this machine."""

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def directory(self) -> str:
        return "/tmp"

    def motd_file(self) -> str:
        return ""


@dataclass
class Line:
    """One listening port whose connections are joined to the agent as the gateway does it."""

    service: SshService
    port: int = 0
    dials: int = 0
    moves: int = 0
    traffic: list[Traffic] = field(default_factory=list)
    olds: list[TcpChannel] = field(default_factory=list)
    on_ask: Callable[[], None] = lambda: None
    refuse: bool = False
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, person: TcpChannel) -> None:
        task = asyncio.create_task(self._carry(person))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _carry(self, person: TcpChannel) -> None:
        channel, theirs = await _pair()
        self.olds.append(channel)
        name = f"{NAME}-{len(self.olds)}"
        serving = asyncio.create_task(self.service.serve(theirs, name))
        stream = Stream(channel, "agent", Transport.TUNNEL)

        async def dial() -> socket.socket:
            self.dials += 1
            if self.refuse or not stream.movable:
                raise ConnectionRefusedError("not now")
            wider, far = await _pair()
            stream.move(wider)
            self.moves += 1
            return far

        async def ask() -> None:
            self.on_ask()
            await self.service.move(name, dial)

        with contextlib.suppress(ConnectionError):
            self.traffic.append(await splice(person, stream, move=Move(AFTER, ask)))
        await asyncio.wait([serving])
        theirs.close()


async def _pair() -> tuple[TcpChannel, socket.socket]:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
    far.setblocking(False)
    _transport, channel = await loop.create_connection(TcpChannel, sock=near)
    return channel, far


@dataclass
class Client:
    """OpenSSH's client with a certificate for the workspace."""

    folder: Path
    line: Line

    async def run(
        self, command: str, data: bytes = b"", then: Callable[[], Awaitable[bytes]] | None = None
    ) -> tuple[int, bytes]:
        """Exit code and output.

        :param then: gives more input, once it returns.
        """
        process = await asyncio.create_subprocess_exec(
            "ssh", "-F", str(self.folder / "config"), "ws", command,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(120):
                if then is not None and process.stdin is not None:
                    reading = asyncio.create_task(process.stdout.read())  # type: ignore[union-attr]
                    process.stdin.write(await then())
                    process.stdin.close()
                    out, _ = await reading, await process.wait()
                else:
                    out, _ = await process.communicate(data)
        except BaseException:
            process.kill()
            raise
        return process.returncode or 0, out

    def write_config(self) -> None:
        (self.folder / "config").write_text(
            f"Host ws\n  HostName 127.0.0.1\n  Port {self.line.port}\n  IdentityFile {self.folder}/user\n"
            "  IdentitiesOnly yes\n  BatchMode yes\n  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n"
            "  LogLevel ERROR\n"
        )


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    if shutil.which("ssh") is None:
        leave_out("OpenSSH", "there is no ssh here")
    for name in ("ca", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    sign = ["ssh-keygen", "-q", "-s", str(tmp_path / "ca"), "-I", "stead:ada:1", "-n", "p", str(tmp_path / "user.pub")]
    subprocess.run(sign, check=True)
    service = SshService(Workspace(current_user(), Here(), ["false"]))
    service.trust([(tmp_path / "ca.pub").read_text()], ["p"])
    line = Line(service)
    server = await asyncio.get_running_loop().create_server(lambda: TcpChannel(line.accept), "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    made = Client(tmp_path, line)
    made.write_config()
    yield made
    server.close()
    if line.tasks:
        async with asyncio.timeout(30):
            await asyncio.wait(line.tasks)


async def test_what_a_moved_connection_carries_is_whole_in_both_directions(client: Client) -> None:
    data = secrets.token_bytes(20 * MEGABYTE)
    code, out = await client.run("cat", data)
    assert (code, hashlib.sha256(out).digest()) == (0, hashlib.sha256(data).digest())
    assert client.line.moves == 1


async def test_much_that_comes_down_moves_and_the_exit_code_arrives(client: Client) -> None:
    code, out = await client.run(f"head -c {20 * MEGABYTE} /dev/zero; exit 7")
    assert (code, len(out)) == (7, 20 * MEGABYTE)
    assert client.line.moves == 1
    async with asyncio.timeout(30):
        while not client.line.traffic:
            await asyncio.sleep(0.02)
    # The old connection ended when its last bytes were through, and both connections are counted.
    assert client.line.olds[0].lost.is_set()
    assert client.line.traffic[0].down > 20 * MEGABYTE


async def test_little_stays_where_it_is(client: Client) -> None:
    assert await client.run("echo here") == (0, b"here\n")
    assert client.line.dials == 0


async def test_a_connection_that_cannot_move_stays_whole(client: Client) -> None:
    client.line.refuse = True
    code, out = await client.run(f"head -c {8 * MEGABYTE} /dev/zero")
    assert (code, len(out)) == (0, 8 * MEGABYTE)
    assert (client.line.dials, client.line.moves) == (1, 0)


async def test_the_transport_that_was_left_is_gone_and_the_connection_lives(client: Client) -> None:
    size = 4 * MEGABYTE

    async def old_has_gone() -> bytes:
        async with asyncio.timeout(60):
            while not client.line.olds or not client.line.olds[0].lost.is_set():
                await asyncio.sleep(0.02)
        return b"go on\n"

    script = f"head -c {size} /dev/zero; read line; head -c {size} /dev/zero; echo $line"
    code, out = await client.run(script, then=old_has_gone)
    assert (code, len(out), out[-6:]) == (0, 2 * size + 6, b"go on\n")


async def test_a_transport_that_breaks_while_it_is_left_ends_the_connection(client: Client) -> None:
    def break_it() -> None:
        client.line.olds[0].abort()

    client.line.on_ask = break_it
    code, _ = await client.run(f"head -c {64 * MEGABYTE} /dev/zero")
    assert code == 255
    assert client.line.moves == 0


async def test_many_move_at_once(client: Client) -> None:
    sizes = [(number + 1) * MEGABYTE for number in range(8)]
    results = await asyncio.gather(*(client.run(f"head -c {size} /dev/zero") for size in sizes))
    assert [(code, len(out)) for code, out in results] == [(0, size) for size in sizes]
    assert client.line.moves == len(sizes)
