"""How the agent asks its machine and the control plane, when it has to prove which machine it runs on."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stead_agent.errors import ConfigurationError, ProofError
from stead_agent.proof import clouds, session, web
from stead_agent.proof.session import Session, SessionFile
from stead_agent.settings import read_settings


class Service:
    """Answers by path: (status, headers, body or a list of bodies with pauses between them)."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None:
                """Nothing on standard error."""

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                service.asked.append((self.command, self.path, headers, body))
                status, headers, content = service.answers.get(self.path.partition("?")[0], (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for part in content if isinstance(content, list) else [content]:
                    try:
                        self.wfile.write(part)
                        self.wfile.flush()
                    except OSError:
                        return
                    if isinstance(content, list):
                        time.sleep(0.05)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 - names of the base class

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(10)


def test_the_metadata_service_is_asked_without_a_proxy_and_no_redirect_is_followed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    service.answers["/good"] = (200, {}, b"yes")
    service.answers["/away"] = (302, {"Location": f"{service.url}/good"}, b"")
    assert web.ask_metadata(f"{service.url}/good") == b"yes"
    with pytest.raises(ProofError, match=r"HTTP 302 \(/away\)"):
        web.ask_metadata(f"{service.url}/away?nonce=5")
    assert web.ask_metadata(f"{service.url}/none", missing=b"") == b""
    with pytest.raises(ProofError, match="HTTP 404"):
        web.ask_metadata(f"{service.url}/none")


def test_answers_have_an_end(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.answers["/long"] = (200, {}, b"x" * (web.LONGEST + 1))
    with pytest.raises(ProofError, match="too long"):
        web.ask_metadata(f"{service.url}/long")
    monkeypatch.setattr(web, "METADATA_SECONDS", 0.3)
    service.answers["/slow"] = (200, {}, [b"x"] * 600)
    began = time.monotonic()
    with pytest.raises(ProofError, match="does not answer"):
        web.ask_metadata(f"{service.url}/slow")
    assert time.monotonic() - began < 25, "it was not waited for to the end"


def test_what_is_no_http_is_no_answer() -> None:
    for reply in (
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 abc\r\n\r\n",
    ):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=reply_once, args=(server, reply), daemon=True)
            thread.start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            with pytest.raises(ProofError):
                session.prove(url, "azure-instance-identity", url)
            thread.join(20)


def reply_once(server: socket.socket, reply: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(reply)


def test_what_the_control_plane_says_is_passed_on(service: Service) -> None:
    error = {"error": {"message": "No.", "remedy": "Wait."}}
    service.answers[session.CHALLENGE_PATH] = (429, {}, json.dumps(error).encode())
    with pytest.raises(ProofError, match=r"HTTP 429: No\. Wait\."):
        session.prove(service.url, "google-instance-identity", service.url)
    for odd in (b"no json", b"[]", b"{}", b'{"id": 1}'):
        service.answers[session.CHALLENGE_PATH] = (200, {}, odd)
        with pytest.raises(ProofError):
            session.prove(service.url, "google-instance-identity", service.url)
    service.answers[session.CHALLENGE_PATH] = (500, {}, b"<html>")
    with pytest.raises(ProofError, match="it does not say why"):
        session.prove(service.url, "google-instance-identity", service.url)


def test_it_is_tried_until_it_is_taken(service: Service) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            challenge = {"id": "c", "challenge": "ask me"}
            service.answers[session.CHALLENGE_PATH] = (200, {}, json.dumps(challenge).encode())
            given = {"agent_id": "a", "token": "t"}
            service.answers[session.SESSION_PATH] = (200, {}, json.dumps(given).encode())
            path = "/computeMetadata/v1/instance/service-accounts/default/identity"
            service.answers[path] = (200, {}, b"signed")

    got = session.prove_until_taken(service.url, "google-instance-identity", service.url, pause)
    assert (got.agent_id, got.token, len(pauses)) == ("a", "t", 3)
    assert all(0.5 <= seconds <= 15.5 for seconds in pauses)
    method, path, headers, _ = service.asked[-2]
    assert (method, headers["metadata-flavor"]) == ("GET", "Google")
    assert path.endswith("?audience=ask%20me&format=full")
    assert json.loads(service.asked[-1][3]) == {"id": "c", "document": "c2lnbmVk"}
    assert "'t'" not in repr(got)


def test_a_machine_without_a_role_sends_its_document(service: Service) -> None:
    service.answers["/latest/api/token"] = (200, {}, b"held")
    service.answers["/latest/dynamic/instance-identity/rsa2048"] = (200, {}, b"MII\nabc\n")
    assert json.loads(clouds.aws(service.url, "c", 0)) == {"kind": "document", "pkcs7": "MII\nabc"}
    assert service.asked[0][0] == "PUT"
    assert all(headers["x-aws-ec2-metadata-token"] == "held" for _, _, headers, _ in service.asked[1:])
    service.answers["/latest/meta-data/iam/security-credentials/"] = (200, {}, b"dev")
    service.answers["/latest/meta-data/iam/security-credentials/dev"] = (200, {}, b'{"Code": "Failed"}')
    with pytest.raises(ProofError, match="no credentials"):
        clouds.aws(service.url, "c", 0)
    assert json.loads(clouds.aws(service.url, "c", 1))["kind"] == "document"


def test_a_session_is_of_this_boot_and_of_nobody_else(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = SessionFile(tmp_path)
    assert kept.load() is None
    monkeypatch.setattr(session, "boot_id", lambda: "boot 1")
    kept.save(Session("a", "t", "boot 1"))
    kept.save(Session("a", "t2", "boot 1"))
    path = tmp_path / "session.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept.load() == Session("a", "t2", "boot 1")
    monkeypatch.setattr(session, "boot_id", lambda: "boot 2")
    assert kept.load() is None
    assert not path.exists(), "a copy of the disk would carry it along"
    for odd in ("", "[]", "{}", '{"agent_id": "a"}', '{"x": 1}'):
        path.write_text(odd)
        assert kept.load() is None


def test_the_way_to_sign_in_is_read_from_the_environment(tmp_path: Any) -> None:
    environ = {"CODER_AGENT_URL": "http://s.example", "STEAD_AGENT_RUN_DIR": str(tmp_path)}
    token = {"CODER_AGENT_TOKEN": "t"}
    assert not read_settings({**environ, **token}).proves
    assert not read_settings({**environ, **token, "CODER_AGENT_AUTH": "token"}).proves
    found = read_settings({**environ, **token, "CODER_AGENT_AUTH": "azure-instance-identity"})
    assert (found.proves, found.token, found.metadata_url) == (True, "", clouds.METADATA)
    other = {"STEAD_AGENT_AUTH": "aws-instance-identity", "STEAD_AGENT_METADATA_URL": "http://m.example/"}
    assert read_settings({**environ, **other}).metadata_url == "http://m.example"
    with pytest.raises(ConfigurationError, match="'magic'"):
        read_settings({**environ, "CODER_AGENT_AUTH": "magic"})
    with pytest.raises(ConfigurationError, match="token is missing"):
        read_settings(environ)
