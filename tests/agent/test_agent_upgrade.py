"""Bare streams that the agent opens at the control plane's HTTP port, over TCP and TLS."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stead_agent.errors import ControlPlaneError
from stead_agent.settings import AgentSettings
from stead_agent.streams import upgrade

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "no_proxy", "NO_PROXY")
Served = Callable[..., AbstractAsyncContextManager[AgentSettings]]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stead")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture(params=["http", "https"])
def served(request: pytest.FixtureRequest, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    """Serves one kind of answer to upgrades, and echoes behind a 101."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    context = None
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        trusting = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr(upgrade, "client_context", lambda: trusting)

    @asynccontextmanager
    async def serve(answer: str = "101 Switching Protocols") -> AsyncIterator[AgentSettings]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("GET /below/stream?move=x HTTP/1.1\r\n")
            assert "Authorization: Bearer secret\r\n" in head
            assert "Upgrade: stead-stream-1\r\n" in head
            writer.write(f"HTTP/1.1 {answer}\r\nServer: test\r\n\r\n".encode() if answer else b"")
            if answer.startswith("101"):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield AgentSettings(url=f"{request.param}://127.0.0.1:{port}/below/", token="secret")

    return serve


async def echoed(sock: socket.socket, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(sock, data))
    came = b""
    async with asyncio.timeout(60):
        while len(came) < len(data):
            came += await loop.sock_recv(sock, 65536)
        await sending
    return came


async def test_bytes_pass_both_ways(served: Served) -> None:
    data = secrets.token_bytes(3_000_000)
    async with served() as settings:
        sock = await upgrade.upgraded(settings, "/stream?move=x")
        with sock:
            assert await echoed(sock, data) == data


@pytest.mark.parametrize("answer", ["404 Not Found", "200 OK", ""])
async def test_any_other_answer_is_a_refusal(served: Served, answer: str) -> None:
    async with served(answer) as settings:
        with pytest.raises(ControlPlaneError):
            await upgrade.upgraded(settings, "/stream?move=x")


async def test_a_proxy_is_not_asked(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with served() as settings:
        with pytest.raises(ControlPlaneError, match="proxy"):
            await upgrade.upgraded(settings, "/stream?move=x")


async def test_a_port_that_nobody_serves_is_an_error_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OSError):
        await upgrade.upgraded(AgentSettings(url=f"http://127.0.0.1:{port}", token="secret"), "/stream?move=x")
