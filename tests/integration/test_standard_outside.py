"""The providers that reach outside: local, external and http, through the real engine."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stead.api.errors import SteadError
from stead.api.provider import BuildContext, Context
from stead.terraform.standard import external_provider
from stead.terraform.standard.external_provider import External
from stead.terraform.standard.http_provider import Http
from stead.testing.templates import TemplateRunner
from stead.testing.waiting import eventually

pytest_plugins = ["stead.testing.templates"]


def test_a_file_is_written_kept_and_removed(template_runner: TemplateRunner, tmp_path: Path) -> None:
    template = f"""
        resource "local_file" "a" {{
          filename             = "{tmp_path}/new/folder/a.txt"
          content              = "hello"
          file_permission      = "0640"
          directory_permission = "0750"
        }}
        resource "local_sensitive_file" "b" {{
          filename       = "{tmp_path}/new/b.bin"
          content_base64 = "AAEC"
        }}
        data "local_file" "a" {{
          filename   = local_file.a.filename
        }}
    """
    template_runner.apply(template)
    written, secret = tmp_path / "new/folder/a.txt", tmp_path / "new/b.bin"
    assert written.read_text() == "hello"
    assert oct(written.stat().st_mode)[-3:] == "640"
    assert oct(written.parent.stat().st_mode)[-3:] == "750"
    assert secret.read_bytes() == b"\x00\x01\x02"
    assert secret.stat().st_mode & 0o077 == 0
    assert template_runner.attributes("local_file.a")["content_sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert template_runner.attributes("data.local_file.a")["content"] == "hello"
    assert not template_runner.plan(template).has_changes

    written.write_text("changed by somebody")
    actions = {change.address: change.action for change in template_runner.plan(template).changes}
    assert actions["local_file.a"] == "create"
    template_runner.apply(template)
    assert written.read_text() == "hello"
    template_runner.destroy(template)
    assert not written.exists()
    assert not secret.exists()


def test_relative_paths_start_at_the_template(template_runner: TemplateRunner) -> None:
    files = {
        "main.tf": """
            data "local_file" "beside" {
              filename = "${path.module}/greeting.txt"
            }
            resource "local_file" "copy" {
              filename = "./out/copy.txt"
              source   = "greeting.txt"
            }
        """,
        "greeting.txt": "hi there",
    }
    template_runner.apply(files)
    assert template_runner.attributes("data.local_file.beside")["content"] == "hi there"
    (copy,) = template_runner.folder.glob("work-*/template/out/copy.txt")
    assert copy.read_text() == "hi there"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('filename = "/nowhere/at/all"', "There is no file '/nowhere/at/all'"),
        ('filename = "/"', "Could not read '/'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(template_runner: TemplateRunner, body: str, expected: str) -> None:
    with pytest.raises(SteadError, match=expected):
        template_runner.plan(f'data "local_file" "x" {{\n {body}\n}}\n')


def test_a_file_needs_exactly_one_content(template_runner: TemplateRunner) -> None:
    with pytest.raises(SteadError, match="Exactly one of"):
        template_runner.plan('resource "local_file" "x" {\n filename = "x"\n content = "a"\n source = "b"\n}\n')


def test_an_external_program_answers(template_runner: TemplateRunner) -> None:
    template = {
        "main.tf": """
            data "external" "sum" {
              program = ["sh", "${path.module}/echo.sh", "arg"]
              query   = { name = "ada" }
            }
            output "result" {
              value = data.external.sum.result
            }
        """,
        "echo.sh": """printf '{"argument": "%s", "asked": "%s", "folder": "%s"}' "$1" """
        """"$(cat | tr -d '"{} ')" "$(basename "$PWD")"\n""",
    }
    applied = template_runner.apply(template)
    assert applied.outputs["result"] == {"argument": "arg", "asked": "name:ada", "folder": "template"}
    assert not template_runner.plan(template).has_changes


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo not-json", "did not print JSON"),
        ("echo '{\"a\": 1}'", "values are all strings"),
        ("echo broken pipe >&2; exit 3", "exit code 3: broken pipe"),
        ("yes | head -c 10000000", "more than 4 MiB"),
    ],
)
def test_an_external_program_that_fails_is_explained(
    template_runner: TemplateRunner, script: str, expected: str
) -> None:
    template = f'data "external" "x" {{\n program = ["sh", "-c", {json.dumps(script)}]\n}}\n'
    with pytest.raises(SteadError, match=expected):
        template_runner.plan(template)


def test_a_missing_program_is_named(template_runner: TemplateRunner) -> None:
    with pytest.raises(SteadError, match="no program 'no-such-program'"):
        template_runner.plan('data "external" "x" {\n program = ["no-such-program"]\n}\n')


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_provider, "TIMEOUT", 0.5)
    pid_file = tmp_path / "pid"
    hanging = External(program=["sh", "-c", f"sleep 600 & echo $! > {pid_file}; wait"])
    with pytest.raises(SteadError, match=r"did not end within|no complete"):
        hanging.read(Context(build=BuildContext(directory=tmp_path)))
    child = Path("/proc", pid_file.read_text().strip())
    assert eventually(lambda: not child.exists() or "Z" in (child / "stat").read_text(), what="the child's end")


class Answers(BaseHTTPRequestHandler):
    """Answers by path; counts the requests."""

    count = 0

    def do_GET(self) -> None:
        type(self).count += 1
        if self.path == "/flaky" and type(self).count < 3:
            self._answer(503, b"not yet")
        elif self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/plain")
            self.end_headers()
        elif self.path == "/slow":
            time.sleep(1)
            self._answer(200, b"late")
        elif self.path == "/endless":
            self._answer(200, b"x" * (17 * 1024 * 1024))
        else:
            self._answer(200, f"hello {self.headers.get('X-Name', '')}".encode())

    def do_POST(self) -> None:
        self._answer(200, self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("X-Twice", "a")
        self.send_header("X-Twice", "b")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def serving(trust: ssl.SSLContext | None = None) -> Iterator[str]:
    Answers.count = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    if trust is not None:
        server.socket = trust.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'http' if trust is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


def test_a_request_is_made_as_the_template_says(template_runner: TemplateRunner, url: str) -> None:
    template = f"""
        data "http" "get" {{
          url             = "{url}/redirect"
          request_headers = {{ X-Name = "ada" }}
        }}
        data "http" "post" {{
          url          = "{url}/"
          method       = "POST"
          request_body = "posted"
        }}
        data "http" "flaky" {{
          url = "{url}/flaky"
          retry {{
            attempts     = 4
            min_delay_ms = 1
            max_delay_ms = 5
          }}
        }}
    """
    template_runner.apply(template)
    got = template_runner.attributes("data.http.get")
    assert (got["status_code"], got["response_body"], got["body"]) == (200, "hello ada", "hello ada")
    assert got["response_headers"]["X-Twice"] == "a, b"
    assert template_runner.attributes("data.http.post")["response_body"] == "posted"
    assert template_runner.attributes("data.http.flaky")["status_code"] == 200


def test_a_status_is_an_answer_like_any_other(url: str) -> None:
    request = Http(url=f"{url}/flaky")
    request.read(Context())
    assert (request.status_code, request.response_body) == (503, "not yet")


@pytest.mark.parametrize(
    ("path", "milliseconds", "expected"),
    [("/slow", 100, "did not answer in time"), ("/endless", 20000, "bigger than 16 MiB")],
)
def test_time_and_size_of_an_answer_are_bounded(url: str, path: str, milliseconds: int, expected: str) -> None:
    request = Http(url=url + path, request_timeout_ms=milliseconds)
    with pytest.raises(SteadError, match=expected):
        request.read(Context())


def test_nobody_there_is_said(free_port: int) -> None:
    request = Http(url=f"http://127.0.0.1:{free_port}/")
    with pytest.raises(SteadError, match=r"No answer from 127\.0\.0\.1"):
        request.read(Context())


SERVER_KEYS = """
resource "tls_private_key" "k" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}
resource "tls_self_signed_cert" "c" {
  private_key_pem       = tls_private_key.k.private_key_pem
  validity_period_hours = 1
  is_ca_certificate     = true
  ip_addresses          = ["127.0.0.1"]
  allowed_uses          = ["server_auth", "digital_signature", "cert_signing"]
  subject {
    common_name = "here"
  }
}
"""


def test_certificates_of_a_server_are_checked_and_read(template_runner: TemplateRunner, tmp_path: Path) -> None:
    template_runner.apply(SERVER_KEYS)
    certificate = template_runner.attributes("tls_self_signed_cert.c")["cert_pem"]
    pair = tmp_path / "pair.pem"
    pair.write_text(certificate + template_runner.attributes("tls_private_key.k")["private_key_pem"])
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(pair)
    with serving(trust) as url:
        with pytest.raises(SteadError, match="No answer from"):
            Http(url=url).read(Context())
        trusting = Http(url=url, ca_cert_pem=certificate)
        trusting.read(Context())
        assert trusting.status_code == 200
        careless = Http(url=url, insecure=True)
        careless.read(Context())
        assert careless.status_code == 200

        asking = f'data "tls_certificate" "s" {{\n url = "{url}"\n verify_chain = false\n}}\n'
        template_runner.state = None
        template_runner.apply(asking)
        (shown,) = template_runner.attributes("data.tls_certificate.s")["certificates"]
        assert shown["cert_pem"] == certificate
        assert shown["version"] == 3
        with pytest.raises(SteadError, match="do not verify"):
            template_runner.plan(asking.replace("false", "true"))
