"""OpenSSH's own programs against a workspace in a container: over the tunnel, the relay, and WebSocket."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import pty
import re
import secrets
import select
import shutil
import socket
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from stead.testing.waiting import eventually, find_free_port
from stead.testing.worlds import TRANSPORTS, World

pytestmark = [pytest.mark.docker, pytest.mark.openssh, pytest.mark.slow, pytest.mark.timeout(300)]

# A web server of three lines: the image's Python has no module for one.
SERVER = (
    "exec python3 -c 'import socket\n"
    's=socket.create_server(("127.0.0.1",PORT))\n'
    "while True:\n"
    ' c,_=s.accept();c.recv(999);c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nfrom-inside\\n");c.close()'
    "\n'"
)

BIG = 200 * 1024 * 1024
SESSIONS = 50


@pytest.fixture(scope="module", params=list(TRANSPORTS))
def world(request: pytest.FixtureRequest, make_world: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    with make_world(request.param, (find_free_port(), find_free_port())) as made:
        yield made


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """200 MB that do not compress, and their digest."""
    path = tmp_path_factory.mktemp("big") / "big.bin"
    digest = hashlib.sha256()
    block = secrets.token_bytes(1024 * 1024)
    with path.open("wb") as out:
        for number in range(BIG // len(block)):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            out.write(piece)
    yield path, digest.hexdigest()
    path.unlink()


def digest_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def test_exec_has_output_error_and_exit_code(world: World) -> None:
    done = world.person.ssh(world.person.host, "echo out; echo err >&2; exit 42")
    assert (done.stdout, done.returncode) == (b"out\n", 42)
    assert done.stderr.endswith(b"err\n")


def test_a_signal_is_told(world: World) -> None:
    done = world.person.ssh(world.person.host, "kill -TERM $$")
    assert done.returncode not in {0, None}


def test_stdin_reaches_the_command_and_ends(world: World) -> None:
    data = secrets.token_bytes(3_000_000)
    done = world.person.ssh(world.person.host, "sha256sum", data=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_the_session_runs_in_the_container_as_its_user(world: World) -> None:
    hostname = world.agent.container.attrs["Config"]["Hostname"]
    assert world.person.sh("hostname; id -un").split() == [hostname, "coder"]


def test_a_terminal_has_a_size_and_follows_it(world: World) -> None:
    person = world.person
    leader, follower = pty.openpty()
    command = ["ssh", "-tt", "-F", str(person.config), person.host, "stty size; read line; stty size; echo $TERM"]
    _set_size(follower, 24, 80)
    process = subprocess.Popen(
        command,
        env={**person.environment(), "TERM": "xterm-256color"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: _own_terminal(follower),
    )
    os.close(follower)
    try:
        assert "24 80" in _read_until(leader, "24 80")
        _set_size(leader, 40, 132)
        # OpenSSH tells the new size when it gets SIGWINCH, which the kernel sent; give the line after it.
        time.sleep(0.3)
        os.write(leader, b"go\n")
        seen = _read_until(leader, "xterm-256color")
        assert "40 132" in seen
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def test_sftp_puts_and_gets_200_megabytes(world: World, big_file: tuple[Path, str], tmp_path: Path) -> None:
    source, digest = big_file
    back = tmp_path / "back.bin"
    batch = f"put {source} /tmp/big.bin\nget /tmp/big.bin {back}\nrm /tmp/big.bin\n".encode()
    person = world.person
    done = person.run("sftp", "-F", str(person.config), "-b", "-", person.host, timeout=280, data=batch)
    assert done.returncode == 0, done.stderr.decode()
    assert digest_of(back) == digest


def test_scp_both_ways(world: World, tmp_path: Path) -> None:
    person = world.person
    tree = tmp_path / "tree"
    (tree / "a b").mkdir(parents=True)
    (tree / "a b" / "ünï.txt").write_text("content")
    (tree / "bin").write_bytes(secrets.token_bytes(500_000))
    config = str(person.config)
    up = person.run("scp", "-F", config, "-r", str(tree), f"{person.host}:/tmp/tree-scp")
    assert up.returncode == 0, up.stderr.decode()
    down = person.run("scp", "-F", config, "-r", f"{person.host}:/tmp/tree-scp", str(tmp_path / "back"))
    assert down.returncode == 0, down.stderr.decode()
    assert (tmp_path / "back" / "a b" / "ünï.txt").read_text() == "content"
    assert digest_of(tmp_path / "back" / "bin") == digest_of(tree / "bin")


def test_rsync_sends_only_what_changed(world: World, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("there is no rsync here")
    person = world.person
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(50):
        (tree / f"{number}.txt").write_bytes(secrets.token_bytes(20_000))
    target = f"{person.host}:/tmp/tree-rsync/"
    first = person.run("rsync", "-a", "--stats", f"{tree}/", target)
    assert first.returncode == 0, first.stderr.decode()
    (tree / "7.txt").write_text("changed")
    second = person.run("rsync", "-a", "--stats", f"{tree}/", target)
    assert re.search(rb"files transferred: 1\b", second.stdout), second.stdout.decode()
    assert world.person.sh("cat /tmp/tree-rsync/7.txt") == "changed"


def test_git_clones_over_ssh(world: World, tmp_path: Path) -> None:
    person = world.person
    person.sh(
        "rm -rf /tmp/repo && git init -q /tmp/repo && cd /tmp/repo && echo hi > file && git add . && "
        "git -c user.name=t -c user.email=t@example.org commit -qm first"
    )
    done = person.run("git", "clone", "-q", f"{person.host}:/tmp/repo", str(tmp_path / "clone"))
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "clone" / "file").read_text() == "hi\n"


def test_local_forwarding_reaches_a_port_of_the_workspace(world: World) -> None:
    person, port = world.person, find_free_port()
    script = SERVER.replace("PORT", "8123")
    with (
        person.background("ssh", "-F", str(person.config), "-tt", person.host, script),
        person.background("ssh", "-F", str(person.config), "-N", "-L", f"{port}:127.0.0.1:8123", person.host),
    ):
        assert eventually(lambda: _http_get(port), 20, ignoring=(OSError,)).endswith(b"from-inside\n")


def test_remote_forwarding_reaches_a_port_of_the_person(world: World) -> None:
    person = world.person
    server = socket.create_server(("127.0.0.1", 0))
    local = server.getsockname()[1]
    with server, person.background("ssh", "-F", str(person.config), "-N", "-R", f"8124:127.0.0.1:{local}", person.host):
        script = 'python3 -c \'import socket;s=socket.create_connection(("127.0.0.1",8124),5);s.sendall(b"hello")\''
        eventually(lambda: person.ssh(person.host, script).returncode == 0, 20, what="a forwarded port")
        server.settimeout(10)
        peer, _ = server.accept()
        with peer:
            assert peer.recv(100) == b"hello"


def test_dynamic_forwarding_is_a_socks_proxy(world: World) -> None:
    person, port = world.person, find_free_port()
    script = SERVER.replace("PORT", "8125")
    with (
        person.background("ssh", "-F", str(person.config), "-tt", person.host, script),
        person.background("ssh", "-F", str(person.config), "-N", "-D", f"127.0.0.1:{port}", person.host),
    ):
        assert eventually(lambda: _socks_get(port, 8125), 20, ignoring=(OSError,)).startswith(b"HTTP/1.0 200")


def test_the_persons_ssh_agent_is_there_when_it_is_forwarded(world: World, tmp_path: Path) -> None:
    person = world.person
    key = tmp_path / "id_test"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "forwarded", "-f", str(key)], check=True)
    sock = tmp_path / "agent.sock"
    with person.background("ssh-agent", "-D", "-a", str(sock)):
        eventually(sock.exists, 10)
        subprocess.run(
            ["ssh-add", "-q", str(key)], env={**os.environ, "SSH_AUTH_SOCK": str(sock)}, check=True, timeout=20
        )
        command = ["ssh", "-F", str(person.config), "-A", person.host, "ssh-add -l"]
        done = subprocess.run(
            command,
            env={**person.environment(), "SSH_AUTH_SOCK": str(sock)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert b"forwarded" in done.stdout, done.stderr.decode()


def test_fifty_sessions_at_once(world: World) -> None:
    world.person.sh("true")

    def session(number: int) -> str:
        return world.person.sh(f"echo {number}; sleep 2; echo {number}", timeout=110)

    with concurrent.futures.ThreadPoolExecutor(SESSIONS) as threads:
        results = list(threads.map(session, range(SESSIONS)))
    assert results == [f"{n}\n{n}\n" for n in range(SESSIONS)]


def test_the_host_key_is_checked(world: World) -> None:
    """With another authority in known_hosts the connection is refused, and nobody is asked."""
    person = world.person
    known_hosts = person.home / "stead" / "ssh" / "known_hosts"
    person.sh("true")  # which sees to a certificate, and writes the authorities down with it
    good = known_hosts.read_bytes()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(person.home / "other")], check=True)
    with contextlib.ExitStack() as stack:
        stack.callback(known_hosts.write_bytes, good)
        public = (person.home / "other.pub").read_text()
        known_hosts.write_text(f"@cert-authority *.stead {public}")
        done = person.ssh(person.host, "echo in")
    assert done.returncode == 255
    assert b"in\n" not in done.stdout


def _http_get(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        return _exchange(sock, b"GET /f HTTP/1.0\r\n\r\n")


def _socks_get(proxy: int, port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy), 5) as sock:
        sock.sendall(b"\x05\x01\x00")
        if sock.recv(2) != b"\x05\x00":
            raise ConnectionError("no SOCKS proxy yet")
        sock.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
        if sock.recv(10)[1:2] != b"\x00":
            raise ConnectionError("the target does not listen yet")
        return _exchange(sock, b"GET / HTTP/1.0\r\n\r\n")


def _exchange(sock: socket.socket, request: bytes) -> bytes:
    sock.settimeout(10)
    sock.sendall(request)
    answer = b""
    while data := sock.recv(65536):
        answer += data
    if not answer:
        raise ConnectionError("no answer yet")
    return answer


def _set_size(descriptor: int, rows: int, columns: int) -> None:
    termios.tcsetwinsize(descriptor, (rows, columns))


def _own_terminal(descriptor: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def _read_until(descriptor: int, text: str, timeout: float = 20) -> str:
    seen, deadline = "", time.monotonic() + timeout
    while text not in seen:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{text!r} did not come: {seen!r}"
        seen += os.read(descriptor, 65536).decode(errors="replace")
    return seen
