"""Small parts of the command line: names, sessions, events, tables, startup."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from click.testing import CliRunner

from stead.api import errors
from stead.cli import events, output, parameters, session
from stead.cli.client import Client
from stead.cli.failures import CliError, Exit, Unreachable, exit_code
from stead.cli.files import write_atomically
from stead.cli.here import with_scheme
from stead.cli.lazy import load
from stead.cli.main import main
from stead.cli.names import Target, parse_target
from stead.cli.root import ENTRIES
from stead.cli.transport import endpoint_of, open_socket


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("dev", Target("dev")),
        ("alice/dev", Target("dev", "alice")),
        ("dev.stead", Target("dev")),
        ("DEV.stead", Target("dev")),
        ("dev.alice.stead", Target("dev", "alice")),
        ("gpu.dev.alice.stead", Target("dev", "alice", "gpu")),
    ],
)
def test_names_of_workspaces(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["", "a/b/c", "/dev", "dev/", "../x.stead", "a.b.c.d.stead", ".stead", "-x", "a b"])
def test_what_names_no_workspace(text: str) -> None:
    with pytest.raises(CliError, match="does not name a workspace"):
        parse_target(text)


def test_host_names_are_those_of_the_host_certificate() -> None:
    assert Target("dev").host("me") == "dev.stead"
    assert Target("dev", "alice").host("me") == "dev.alice.stead"
    assert Target("dev", None, "gpu").host("me") == "gpu.dev.me.stead"
    assert parse_target(Target("dev", "alice", "gpu").host("me")) == Target("dev", "alice", "gpu")


def _all_reasons(kind: type[errors.SteadError] = errors.SteadError) -> Iterator[type[errors.SteadError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _all_reasons(inner)


def test_every_refusal_of_the_api_has_its_exit_code() -> None:
    codes = {kind.reason: exit_code(kind.reason) for kind in _all_reasons()}
    assert codes["invalid_input"] == Exit.USAGE
    assert codes["not_authenticated"] == codes["forbidden"] == codes["policy_denied"] == Exit.NOT_SIGNED_IN
    assert codes["not_found"] == Exit.NOT_FOUND
    assert codes["conflict"] == Exit.CONFLICT
    assert codes["capacity_exhausted"] == codes["unavailable"] == Exit.FAILED
    assert Exit.OK not in codes.values()


def test_a_session_is_read_back_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*session.URL_VARIABLES, *session.TOKEN_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEAD_CONFIG_DIR", str(tmp_path / "new"))
    session.save_session("https://stead.example.com/", "secret")
    found = session.current_session()
    assert (found.url, found.token, found.saved) == ("https://stead.example.com", "secret", True)
    assert "secret" not in repr(found)
    with pytest.raises(CliError, match="not signed in"):
        session.current_session("https://other.example.com")
    session.forget_session()
    with pytest.raises(CliError, match="not signed in"):
        session.current_session()


def test_a_damaged_session_file_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEAD_CONFIG_DIR", str(tmp_path))
    (tmp_path / "session.json").write_text("{")
    with pytest.raises(CliError, match="cannot be read") as caught:
        session.current_session()
    assert "stead login" in str(caught.value.remedy)


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(str(path), b"one", mode=0o600)
    write_atomically(str(path), b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["file"]


class Stream(BaseHTTPRequestHandler):
    """A log stream that breaks off after every two events, once in the middle of a third."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []
    total = 5

    def do_GET(self) -> None:
        last = int(self.headers.get("Last-Event-ID") or 0)
        type(self).asked.append(self.headers.get("Last-Event-ID") or "")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b": \n\n")
        for number in range(last + 1, min(last + 2, self.total) + 1):
            self.wfile.write(f'id: {number}\nevent: line\ndata: {{"id":\ndata: {number}}}\n\n'.encode())
        if last + 2 >= self.total:
            self.wfile.write(b'event: end\ndata: {"status": "succeeded"}\n\n')
        else:
            self.wfile.write(f"id: {last + 3}\nevent: line\nda".encode())
        self.close_connection = True

    def log_message(self, *_arguments: Any) -> None:
        return


@pytest.fixture
def stream_url() -> Iterator[str]:
    Stream.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stream_that_breaks_off_goes_on_where_it_was(stream_url: str) -> None:
    found = list(events.follow(Client(stream_url), "/builds/x/logs/stream"))
    assert [event.data for event in found[:-1]] == [{"id": number} for number in range(1, 6)]
    assert found[-1].name == "end"
    assert Stream.asked == ["", "2", "4"]


def test_a_stream_can_start_in_the_middle(stream_url: str) -> None:
    found = list(events.follow(Client(stream_url), "/builds/x/logs/stream", after=3))
    assert [event.data["id"] for event in found[:-1]] == [4, 5]


def test_the_servers_error_ends_a_stream() -> None:
    wire = [b"event: error\n", b'data: {"message": "No.", "reason": "forbidden"}\n', b"\n"]
    (event,) = events.parse_events(iter(wire))
    assert event.name == "error"
    with pytest.raises(CliError, match="No") as caught:
        raise events._refused(event.data)
    assert caught.value.reason == "forbidden"


def test_a_proxy_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            heard.append(f"{self.path} {self.headers['Proxy-Authorization']}".encode())
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\nhello")

        def log_message(self, *_arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("http_proxy", f"http://me:pw@127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("no_proxy", "inside.example.com")
    with open_socket(endpoint_of("http://stead.example.com:8000")) as sock:
        assert sock.recv(100) == b"hello"
    assert heard == [b"stead.example.com:8000 Basic bWU6cHc="]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    with pytest.raises(Unreachable, match=r"stead\.example\.com:80"):
        open_socket(endpoint_of("http://stead.example.com"))


@pytest.mark.parametrize("url", ["", "stead", "ftp://x", "http://", "http://x:notaport"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(CliError, match="is not the URL"):
        endpoint_of(url)


def test_tables_are_aligned_and_harmless() -> None:
    text = click.unstyle(output.table(["name", "state"], [["a\x1b[31m", "ready"], ["longer", "x"]], "none"))
    assert text.splitlines() == ["NAME    STATE", "a [31m  ready", "longer  x"]
    assert output.table(["name"], [], "Nothing yet.") == "Nothing yet."


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        ("2026-01-01T11:59:18.000Z", "42s ago"),
        ("2026-01-01T09:00:00.000Z", "3h ago"),
        ("2026-01-31T12:00:00.000Z", "in 30d"),
        (None, ""),
    ],
)
def test_times_are_relative(stamp: str | None, text: str) -> None:
    assert output.when(stamp, datetime(2026, 1, 1, 12, tzinfo=UTC)) == text


def _parameter(**fields: Any) -> dict[str, Any]:
    empty = {
        "name": "p",
        "display_name": "",
        "description": "",
        "type": "string",
        "form_type": "input",
        "default": None,
        "required": True,
        "ephemeral": False,
        "order": 0,
        "options": [],
    }
    return empty | fields


_OPTIONS = [{"name": name, "value": name.lower(), "description": ""} for name in ("Red", "Green", "Blue")]


@pytest.mark.parametrize(
    ("parameter", "typed", "value"),
    [
        (_parameter(), "hello\n", "hello"),
        (_parameter(default="x"), "\n", "x"),
        (_parameter(type="number"), "many\n4\n", "4"),
        (_parameter(type="bool", default="true"), "\n", "true"),
        (_parameter(type="bool"), "n\n", "false"),
        (_parameter(options=_OPTIONS), "7\n2\n", "green"),
        (_parameter(options=_OPTIONS, default="blue"), "\n", "blue"),
        (_parameter(options=_OPTIONS, type="list(string)", form_type="multi-select"), "1, 3\n", '["red", "blue"]'),
        (_parameter(type="list(string)"), "a, b\n", '["a", "b"]'),
    ],
)
def test_parameters_are_asked_for(parameter: dict[str, Any], typed: str, value: str) -> None:
    with CliRunner().isolation(input=typed):
        assert parameters.ask(parameter) == value


def test_the_help_of_the_root_says_what_each_command_says() -> None:
    for name, entry in ENTRIES.items():
        command = load(entry)
        assert command.name == name
        assert entry.help == command.get_short_help_str(limit=200)


# What a command must not import before it is known to need it.
HEAVY = {"httpx", "rich", "asyncio", "pydantic", "flask", "peewee", "asyncssh", "cryptography", "starlette"}


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["ssh", "--stdio", "dev.stead"], set()),
        (["ssh", "--prepare", "dev.stead"], set()),
        (["list"], set()),
        (["show", "dev"], set()),
        (["ssh", "dev"], {"asyncio"}),
    ],
)
def test_commands_import_only_what_they_use(arguments: list[str], allowed: set[str], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom stead.cli.main import main\n"
        f"main({arguments!r})\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "STEAD_CONFIG_DIR": str(tmp_path)},
    )
    loaded = {name.partition(".")[0] for name in done.stderr.splitlines()}
    assert "stead" in loaded
    assert not loaded & (HEAVY - allowed)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost:3190", "http://localhost:3190"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:3190", "http://[::1]:3190"),
        ("https://localhost", "https://localhost"),
        ("stead.example.com:3190", "stead.example.com:3190"),
        ("localhost.example.com", "localhost.example.com"),
        (None, None),
    ],
)
def test_a_server_on_this_machine_is_plain_http(given: str | None, url: str | None) -> None:
    assert with_scheme(given) == url


def test_https_to_a_plain_server_names_the_way_that_works(stream_url: str) -> None:
    with pytest.raises(Unreachable, match="does not speak https") as caught:
        Client(stream_url.replace("http:", "https:")).get("/buildinfo")
    assert f"stead login {stream_url}." in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("arguments", "variable", "as_json"),
    [
        (["show", "x", "-o", "json"], "", True),
        (["show", "x", "-ojson"], "", True),
        (["show", "--output=json", "x"], "", True),
        (["show", "x", "--nonsense", "--output", "json"], "", True),
        (["show", "x"], "json", True),
        (["show", "x", "-o", "text"], "json", False),
        (["show", "x"], "", False),
        (["show", "x", "-o"], "", False),
        ([], "", False),
        (["show", "--", "-o", "json"], "", False),
        (["ssh", "x", "-o", "json"], "json", False),
    ],
)
def test_errors_are_json_where_json_was_asked_for(
    arguments: list[str],
    variable: str,
    as_json: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in (*session.URL_VARIABLES, *session.TOKEN_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEAD_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("STEAD_OUTPUT", variable or "text")
    assert main(arguments) in {Exit.USAGE, Exit.NOT_SIGNED_IN}
    printed = capsys.readouterr()
    assert bool(printed.out) == (not arguments)  # the help
    if as_json:
        error = json.loads(printed.err)["error"]
        assert error["reason"] in {"invalid_input", "not_authenticated"}
        assert error["message"]
        assert error["remedy"]
    else:
        assert '{"error"' not in printed.err


def test_the_completion_script_comes_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash", "-o", "json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert found["shell"] == "bash"
    assert "_STEAD_COMPLETE" in found["script"]
