"""The port at which ``stead login`` waits for its browser, and what other programs of the machine try there."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from stead.cli.callback import Callback
from stead.testing.waiting import eventually

PASSWORD = "correct horse battery staple"
SECONDS = 90.0


@dataclass
class Waiting:
    """A ``stead login`` that has opened its page; ``asked`` is what the page's address says."""

    process: subprocess.Popen[bytes]
    cli: Any
    said: Path
    page: str

    @property
    def asked(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page).query).items()}

    @property
    def port(self) -> str:
        return f"http://127.0.0.1:{self.asked['port']}/"

    def bring(self, **answer: str) -> httpx.Response:
        """Speak to the port as a browser or another program does."""
        return httpx.get(self.port, params=answer, timeout=SECONDS)

    def end(self) -> int:
        return self.process.wait(SECONDS)


def start(cli: Any, folder: Path, url: str) -> Waiting:
    opener, opened, said = folder / "browser", folder / "opened", folder / "said"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {folder}/opening && mv {folder}/opening {opened}\n')
    opener.chmod(0o700)
    environment = cli.environment(BROWSER=str(opener))
    environment.pop("SSH_CONNECTION", None)
    with said.open("wb") as file:
        command = cli.command("login", url, "--browser")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, env=environment)
    made = Waiting(process, cli, said, "")
    try:
        eventually(lambda: opened.exists() or process.poll() is not None, timeout=SECONDS, what="the browser")
        assert opened.exists(), said.read_text()
        made.page = opened.read_text()
    except BaseException:
        stop(made)
        raise
    return made


def stop(made: Waiting) -> None:
    made.process.kill()
    made.process.wait(60)


@pytest.fixture
def waiting(owner: Any, tmp_path: Path) -> Iterator[Waiting]:
    made = start(type(owner)(owner.url, tmp_path / "fresh"), tmp_path, owner.url)
    yield made
    stop(made)


@pytest.fixture(scope="module")
def browser(owner: Any) -> Iterator[httpx.Client]:
    """Where the owner is signed in."""
    with httpx.Client(base_url=owner.url, follow_redirects=True, timeout=SECONDS) as made:
        form = {"login": "owner", "password": PASSWORD, "csrf_token": token_in(made.get("/login").text)}
        assert made.post("/login", data=form).status_code == 200
        yield made


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def allow(browser: httpx.Client, page: str, decision: str = "approve") -> str:
    """Say yes at a page; where the browser is sent."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
    form = asked | {"decision": decision, "csrf_token": token_in(browser.get(page).text)}
    sent = re.search(r'content="0; url=([^"]+)"', browser.post("/terminal", data=form).text)
    assert sent is not None
    return sent[1].replace("&amp;", "&")


def carried(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_the_answer_comes_back_to_the_port(waiting: Waiting, browser: httpx.Client) -> None:
    answer = browser.get(allow(browser, waiting.page))
    assert "Your terminal is signed in" in answer.text
    assert [one.status_code for one in answer.history] == [303]
    assert answer.history[0].headers["Cache-Control"] == "no-store"
    assert waiting.end() == 0, waiting.said.read_text()
    assert waiting.cli.json("whoami")["user"]["username"] == "owner"
    with pytest.raises(httpx.ConnectError):
        waiting.bring(**waiting.asked)


def test_what_does_not_carry_the_state_changes_nothing(waiting: Waiting, browser: httpx.Client) -> None:
    """A page of another site, or another program, that brings a code of its own account."""
    good = {"code": "somebody-elses", "state": waiting.asked["state"], "iss": waiting.cli.url}
    for answer in (
        good | {"state": "x" * 43},
        {name: value for name, value in good.items() if name != "state"},
        {"error": "access_denied", "state": ""},
        {},
    ):
        assert waiting.bring(**answer).status_code == 400
    twice = f"{waiting.port}?{urlencode(good)}&code=another"
    assert httpx.get(twice, timeout=SECONDS).status_code == 400
    renamed = httpx.get(f"{waiting.port}?{urlencode(good)}", headers={"Host": "evil.example"}, timeout=SECONDS)
    assert renamed.status_code == 404
    assert httpx.post(waiting.port, data=good, timeout=SECONDS).status_code == 501
    assert waiting.process.poll() is None
    assert browser.get(allow(browser, waiting.page)).status_code == 200
    assert waiting.end() == 0


def test_an_answer_counts_once() -> None:
    callback = Callback("s" * 43)
    try:
        assert callback.take(f"state={'s' * 43}&code=first")
        assert not callback.take(f"state={'s' * 43}&code=second")
        assert callback.wait(SECONDS)["code"] == "first"
    finally:
        callback.close()


def test_an_answer_is_taken_once(waiting: Waiting, browser: httpx.Client) -> None:
    good = carried(allow(browser, waiting.page))
    seen: list[int] = []
    together = [threading.Thread(target=lambda: seen.append(_status(waiting, good))) for _ in range(4)]
    for one in together:
        one.start()
    for one in together:
        one.join(SECONDS)
    assert seen.count(303) == 1
    assert set(seen) <= {303, 400, 0}
    assert waiting.end() == 0


def _status(waiting: Waiting, answer: dict[str, str]) -> int:
    try:
        return waiting.bring(**answer).status_code
    except httpx.TransportError:  # it has gone home already
        return 0


def test_a_code_of_another_verifier_is_refused(waiting: Waiting, browser: httpx.Client) -> None:
    """Even where somebody learned the state: the code was made for a challenge of their own."""
    own = dict(waiting.asked) | {"challenge": "A" * 43}
    stolen = carried(allow(browser, f"{urlsplit(waiting.page).path}?{urlencode(own)}"))
    answer = waiting.bring(**stolen)
    assert (answer.status_code, "not signed in" in answer.text) == (403, True)
    assert waiting.end() == 3
    assert waiting.cli.run("whoami").code == 3


def test_what_listens_in_the_place_of_the_terminal_has_nothing(
    waiting: Waiting, owner: Any, browser: httpx.Client
) -> None:
    """The terminal is gone, and another program of the machine has taken its port."""
    stop(waiting)
    code = carried(allow(browser, waiting.page))["code"]
    for verifier in (waiting.asked["challenge"], waiting.asked["state"], "x" * 43):
        body = {"code": code, "verifier": verifier}
        tried = httpx.post(f"{owner.url}/api/v2/login/terminal/token", json=body, timeout=SECONDS)
        assert tried.status_code == 401


def test_an_answer_of_another_server_goes_nowhere(waiting: Waiting, browser: httpx.Client) -> None:
    """A server that sent the browser on to a second one must not be brought the second one's code."""
    good = carried(allow(browser, waiting.page))
    answer = waiting.bring(**(good | {"iss": "https://another.example"}))
    assert (answer.status_code, "another server" in answer.text) == (403, True)
    assert waiting.end() == 3
    assert waiting.cli.run("whoami").code == 3


def test_who_is_turned_away_says_so(waiting: Waiting, browser: httpx.Client) -> None:
    assert "turned away" in browser.get(allow(browser, waiting.page, "deny")).text
    assert waiting.end() == 3
    assert "You were turned away in the browser." in waiting.said.read_text()


def test_who_connects_and_says_nothing_holds_nobody_up(waiting: Waiting, browser: httpx.Client) -> None:
    address = ("127.0.0.1", int(waiting.asked["port"]))
    silent = [socket.create_connection(address, timeout=SECONDS) for _ in range(20)]
    try:
        silent[0].sendall(b"GET / HTTP/1.1\r\n")
        assert "Your terminal is signed in" in browser.get(allow(browser, waiting.page)).text
        assert waiting.end() == 0
    finally:
        for one in silent:
            one.close()


def test_the_port_listens_to_this_machine_alone(waiting: Waiting) -> None:
    port = int(waiting.asked["port"])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            probe.bind(("127.0.0.1", port))
    with socket.socket() as elsewhere:
        elsewhere.bind(("127.0.0.2", port))  # so it is bound to 127.0.0.1, and not to every address


def test_a_port_that_another_process_holds_is_not_taken() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        with pytest.raises(OSError, match="in use"):
            Callback("s" * 43, held.getsockname()[1])


def test_where_no_port_can_be_opened_a_code_is_shown(owner: Any, tmp_path: Path) -> None:
    """On a machine whose loopback interface refuses, which is made here for this one process."""
    refusing = tmp_path / "sitecustomize.py"
    refusing.write_text(
        "import socketserver\n"
        "def refuse(self):\n    raise PermissionError(1, 'Operation not permitted')\n"
        "socketserver.TCPServer.server_bind = refuse\n"
    )
    cli = type(owner)(owner.url, tmp_path / "fresh")
    said, opened = tmp_path / "said", tmp_path / "opened"
    opener = tmp_path / "browser"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    opener.chmod(0o700)
    environment = cli.environment(BROWSER=str(opener), PYTHONPATH=str(tmp_path))
    environment.pop("SSH_CONNECTION", None)
    with said.open("wb") as file:
        command = cli.command("login", owner.url, "--browser")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, env=environment)
    try:
        eventually(lambda: opened.exists() and "/device?code=" in opened.read_text(), timeout=SECONDS)
        assert "Your code is " in said.read_text()
    finally:
        process.kill()
        process.wait(60)


class _Evil(BaseHTTPRequestHandler):
    """A server that names the page of another one as its own."""

    elsewhere = ""

    def do_GET(self) -> None:
        self._say(b'{"password": true, "providers": [], "terminal_url": "%b/terminal"}' % self.elsewhere.encode())

    def do_POST(self) -> None:
        self._say(
            b'{"device_code": "x", "user_code": "BBBB-BBBB", "verification_url": "http://x",'
            b' "verification_url_complete": "http://127.0.0.1:9/device", "expires_in": 600, "interval": 60}'
        )

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        del format, args


def test_the_page_of_another_server_is_not_opened(owner: Any, tmp_path: Path) -> None:
    """Its code would be made for us, and carried to the server that named it."""
    handler = type("Evil", (_Evil,), {"elsewhere": owner.url})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as evil:
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{evil.server_port}"
        made = start(type(owner)(url, tmp_path / "fresh"), tmp_path, url)
        try:
            assert made.page == "http://127.0.0.1:9/device"
        finally:
            stop(made)
            evil.shutdown()
