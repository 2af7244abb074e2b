"""Engines that are down, slow, forgetful or behind TLS: a server that speaks as much of the API as is asked."""

from __future__ import annotations

import datetime
import gc
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stead.api.errors import CredentialsRejected, OperationTimedOut, PlatformUnreachable, ProviderFailure
from stead.api.provider import Context
from stead_docker.platform import DockerPlatform
from stead_docker.provider import Docker
from stead_docker.settings import DockerSettings
from stead_docker.volume import Volume

VERSION = {"ApiVersion": "1.41", "Version": "test", "Os": "linux", "Arch": "amd64"}


class Engine:
    """Answers ``/version``, and volumes after ``failures`` refusals; ``hang`` holds every answer back."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.failures = 0
        self.asked: list[str] = []
        self.hang = threading.Event()
        self.hang.set()
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                engine.answer(self)

            def do_POST(self) -> None:
                engine.answer(self)

            def log_message(self, *_: object) -> None:
                """Silence."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Silence: clients that refuse the certificate hang up."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"tcp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.asked.append(f"{request.command} {path}")
        status, body = 200, json.dumps(VERSION)
        if not path.endswith("/version"):
            self.hang.wait(20)
            failing = self.failures > 0
            self.failures -= failing
            status = 503 if failing else 200
            body = json.dumps({"message": "busy"} if failing else {"Name": "v", "Mountpoint": "/v", "Driver": "local"})
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body.encode())

    def close(self) -> None:
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


def context_for(url: str, **settings) -> Context:
    return Context(provider=Docker(settings=DockerSettings(host=url, **settings)))


def test_a_question_is_repeated_while_the_engine_is_passingly_busy(engine: Engine) -> None:
    engine.failures = 2
    assert Volume(id="v").read(context_for(engine.url))
    assert engine.asked.count("GET /v1.41/volumes/v") == 3


def test_a_question_is_not_repeated_for_ever(engine: Engine) -> None:
    engine.failures = 99
    with pytest.raises(PlatformUnreachable, match="Volume v could not be read: busy"):
        Volume(id="v").read(context_for(engine.url, attempts=2))
    assert engine.asked.count("GET /v1.41/volumes/v") == 2


def test_a_change_that_a_busy_engine_refuses_is_not_asked_for_for_ever(engine: Engine) -> None:
    engine.failures = 99
    with pytest.raises(PlatformUnreachable):
        Volume(name="v", driver="local")._make(context_for(engine.url, attempts=2))
    assert engine.asked.count("POST /v1.41/volumes/create") == 2


def test_a_change_is_asked_for_once_while_nobody_knows_whether_the_engine_is_at_it(engine: Engine) -> None:
    engine.hang.clear()
    with pytest.raises(OperationTimedOut):
        Volume(name="v", driver="local")._make(context_for(engine.url, timeout=2))
    assert engine.asked.count("POST /v1.41/volumes/create") == 1


def test_an_engine_that_does_not_answer_in_time_is_given_up(engine: Engine) -> None:
    engine.hang.clear()
    with pytest.raises(OperationTimedOut, match="Volume v could not be read") as caught:
        Volume(id="v").read(context_for(engine.url, timeout=0.3, attempts=2))
    assert "plugins.docker.timeout" in str(caught.value)


@pytest.mark.parametrize("url", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9"])
def test_an_engine_that_is_down_is_named_with_a_remedy(url: str) -> None:
    with pytest.raises(PlatformUnreachable, match=f"Docker at {url} does not answer") as caught:
        Volume(id="v").read(context_for(url))
    assert caught.value.field == "host"
    report = DockerPlatform(DockerSettings(host=url)).check_credentials()
    assert (report.ok, len(report.remedies)) == (False, 1)
    assert "Start Docker" in report.remedies[0]


AS_NOBODY = """
import os, sys
from stead_docker.platform import DockerPlatform
from stead_docker.settings import DockerSettings
platform = DockerPlatform(DockerSettings(host=sys.argv[1]))
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
report = platform.check_credentials()
print(report.ok, report.summary, report.remedies[0])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_account_that_may_not_use_the_socket_is_told_how() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        Path(folder).chmod(0o711)
        path = Path(folder, "docker.sock")
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o600)
        command = [sys.executable, "-c", AS_NOBODY, f"unix://{path}"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("False Docker at ")
    assert "this account may not use the engine's socket" in said
    assert "usermod -aG docker" in said


def test_the_credentials_check_names_version_and_place(docker_engine: str) -> None:
    report = DockerPlatform(DockerSettings(host=docker_engine)).check_credentials()
    assert report.ok
    assert "Docker Engine" in report.summary
    assert docker_engine in report.summary


def test_a_remote_engine_cannot_be_tried_here(engine: Engine) -> None:
    with pytest.raises(ProviderFailure, match="is not on this machine"):
        DockerPlatform(DockerSettings(host=engine.url)).trial()


def certificate(folder: Path, name: str, issuer: tuple | None = None) -> tuple:
    """A key and a certificate in PEM files, signed by ``issuer`` or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer[0] if issuer else key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}-key.pem").write_bytes(pem)
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return key, made


@pytest.fixture
def tls_engine(tmp_path: Path) -> Iterator[tuple[Engine, Path]]:
    """An engine that wants a client certificate, and the folder that a person would give as cert_path."""
    authority = certificate(tmp_path, "ca")
    certificate(tmp_path, "server", authority)
    certificate(tmp_path, "client", authority)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server-key.pem")
    tls.load_verify_locations(tmp_path / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    folder = tmp_path / "certificates"
    folder.mkdir()
    for source, target in (("ca", "ca"), ("client", "cert"), ("client-key", "key")):
        (folder / f"{target}.pem").write_bytes((tmp_path / f"{source}.pem").read_bytes())
    made = Engine(tls)
    yield made, folder
    made.close()


def test_tls_with_a_folder_of_certificates(tls_engine: tuple[Engine, Path]) -> None:
    engine, folder = tls_engine
    provider = Docker(host=engine.url, cert_path=str(folder))
    assert Volume(id="v").read(Context(provider=provider))


def test_tls_with_texts_that_leave_no_file_behind(tls_engine: tuple[Engine, Path]) -> None:
    engine, folder = tls_engine
    texts = {f"{kind}_material": (folder / f"{kind}.pem").read_text() for kind in ("ca", "cert", "key")}
    provider = Docker(host=engine.url, **texts)
    assert Volume(id="v").read(Context(provider=provider))
    files = Path(provider.engine.client.tls_files.name)
    assert (files / "key.pem").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in repr(provider) + repr(provider.engine.address)
    del provider
    gc.collect()
    assert not files.exists()


def test_an_engine_of_another_authority_is_refused(tls_engine: tuple[Engine, Path]) -> None:
    engine, folder = tls_engine
    certificate(folder, "ca")
    with pytest.raises(CredentialsRejected, match="CERTIFICATE_VERIFY_FAILED"):
        Volume(id="v").read(Context(provider=Docker(host=engine.url, cert_path=str(folder))))


def test_tls_without_a_certificate_is_refused(tls_engine: tuple[Engine, Path], tmp_path: Path) -> None:
    engine, folder = tls_engine
    with pytest.raises(CredentialsRejected, match=r"neither ca\.pem nor cert\.pem"):
        Volume(id="v").read(Context(provider=Docker(host=engine.url, cert_path=str(tmp_path / "empty"))))
    (folder / "cert.pem").unlink()
    with pytest.raises(CredentialsRejected, match=r"only one of cert\.pem and key\.pem"):
        Volume(id="v").read(Context(provider=Docker(host=engine.url, cert_path=str(folder))))
