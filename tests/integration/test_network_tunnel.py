"""The real tunnel program through our relay: direct and relayed, over HTTP and pinned TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from stead.gateway.upgrade import protocol_factory
from stead.network.relay import Admission, Relay, RelayEndpoint, relay_map
from stead.network.stun import serve_stun
from stead.network.tailcat import RelayAccess, SavedKey, Tailcat
from stead.network.tunnel import TunnelServer
from stead.testing.certificates import self_signed

LISTENING = re.compile(rb"forwarding 127\.0\.0\.1:(\d+) ->")


@dataclass
class World:
    """A relay on a free port, an echo server, and a tunnel server that leads to it."""

    relay: Relay
    admission: Admission
    tunnel: TunnelServer
    access: RelayAccess
    tailcat: Tailcat
    folder: Path
    derp_port: int

    async def register(self, name: str = "agent") -> SavedKey:
        key = self.tailcat.client_key(self.folder / f"{secrets.token_hex(4)}.private.json")
        self.admission.admit(name, key.public)
        return key

    @contextlib.asynccontextmanager
    async def forward(self, key: SavedKey) -> AsyncIterator[int]:
        """Run a client; yields the local port that leads to the echo server."""
        assert self.tunnel.address is not None
        home = self.folder / f"home-{key.path.stem}"
        home.mkdir()
        process = await asyncio.create_subprocess_exec(
            *self.tailcat.forward(key, self.tunnel.address.address, self.tunnel.address.port),
            env=self.tailcat.environment(home, self.access),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(20):
                while True:
                    line = await process.stdout.readline()
                    assert line, "the client ended"
                    if found := LISTENING.search(line):
                        break
            yield int(found[1])
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(256 * 1024):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    writer.close()


async def round_trip(port: int, payload: bytes, deadline: float = 15) -> bytes:
    async with asyncio.timeout(deadline):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:

            async def send() -> None:
                writer.write(payload)
                await writer.drain()
                writer.write_eof()

            sending = asyncio.create_task(send())
            received = await reader.read(-1)
            await sending
            return received
        finally:
            writer.close()


async def serve(app: object, **options: object) -> tuple[uvicorn.Server, asyncio.Task[None], int]:
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", **options)  # type: ignore[arg-type]
    )
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    return server, task, server.servers[0].sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def world(folder: Path, *, always_relay: bool = False, tls: bool = False) -> AsyncIterator[World]:
    admission = Admission()
    relay = Relay(admission)
    stun = await serve_stun("127.0.0.1", 0)
    document: dict[str, object] = {}

    async def map_app(scope: dict[str, object], receive: object, send: object) -> None:
        body = json.dumps(document).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": body})  # type: ignore[operator]

    digest = None
    options: dict[str, object] = {"http": protocol_factory(relay)}
    if tls:
        made = self_signed(folder, "127.0.0.1")
        digest = made.digest
        options |= {"ssl_certfile": str(made.certificate), "ssl_keyfile": str(made.key)}
    server, task, port = await serve(map_app, **options)
    plain, plain_task, plain_port = await serve(map_app)
    stun_port = stun.get_extra_info("sockname")[1]
    document.update(relay_map(RelayEndpoint("127.0.0.1", port, stun_port, digest)))
    target = await asyncio.start_server(echo, "127.0.0.1", 0)
    access = RelayAccess(f"http://127.0.0.1:{plain_port}/map.json", plain_http=not tls, always=always_relay)
    tailcat = Tailcat.find()
    tunnel = TunnelServer(
        tailcat,
        folder=folder / "tunnel",
        port=target.sockets[0].getsockname()[1],
        relay=access,
        admission=admission,
    )
    try:
        await tunnel.start()
        await tunnel.wait_ready()
        yield World(relay, admission, tunnel, access, tailcat, folder, port)
    finally:
        await tunnel.stop()
        relay.shutdown()
        stun.close()
        target.close()
        for one in (server, plain):
            one.should_exit = True
        await asyncio.gather(task, plain_task)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "pinned-tls"])
@pytest.mark.parametrize("always_relay", [False, True], ids=["direct", "relayed"])
async def test_streams_pass_with_half_close(tmp_path: Path, always_relay: bool, tls: bool) -> None:
    payload = secrets.token_bytes(3_000_000)
    async with world(tmp_path, always_relay=always_relay, tls=tls) as w:
        key = await w.register()
        async with w.forward(key) as port:
            assert await round_trip(port, payload) == payload
            if always_relay:
                assert w.relay.last_carried(key.public) is not None


async def test_a_key_that_did_not_register_gets_nowhere(tmp_path: Path) -> None:
    async with world(tmp_path, always_relay=True) as w:
        stranger = w.tailcat.client_key(w.folder / "stranger.private.json")
        async with w.forward(stranger) as port:
            with pytest.raises((TimeoutError, ConnectionError)):
                assert await round_trip(port, b"knock", deadline=3) == b"knock"
        async with w.forward(await w.register()) as port:
            assert await round_trip(port, b"hello") == b"hello"


async def test_a_revoked_key_loses_the_relay(tmp_path: Path) -> None:
    async with world(tmp_path, always_relay=True) as w, w.forward(await w.register("gone")) as port:
        assert await round_trip(port, b"hello") == b"hello"
        w.admission.revoke("gone")
        with pytest.raises((TimeoutError, ConnectionError)):
            assert await round_trip(port, b"again", deadline=3) == b"again"


async def test_the_server_process_is_restarted_with_the_same_key(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        before = w.tunnel.address
        pid = w.tunnel.process_id
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            while w.tunnel.process_id in {None, pid} or w.tunnel.address is None:
                await asyncio.sleep(0.02)
        assert w.tunnel.address == before
        async with w.forward(await w.register()) as port:
            assert await round_trip(port, b"back") == b"back"


async def test_key_files_are_private_and_the_address_is_not_left_behind(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        key_file = tmp_path / "tunnel" / "server.private.json"
        assert key_file.stat().st_mode & 0o077 == 0
        assert not (tmp_path / "tunnel" / "address").exists()
        assert w.tunnel.address is not None
        assert w.tunnel.address.address not in repr(w.tunnel.address)
        pid = w.tunnel.process_id
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()


async def test_clients_without_an_upgrade_or_on_another_path_get_http(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for request in (
            b"GET /derp HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /else HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", w.derp_port)
            writer.write(request)
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
            writer.close()
