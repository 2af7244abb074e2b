"""OpenSSH's own clients against the agent, end to end over parked streams."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import asyncssh
import pytest

pytestmark = pytest.mark.openssh


async def test_exec_gives_output_errors_and_exit_code(agent, ssh):
    code, output, errors = await ssh.run("ws", "echo out; echo err >&2; exit 42")
    assert (code, output, errors) == (42, b"out\n", b"err\n")


async def test_the_person_is_never_asked_to_trust_a_key(agent, ssh):
    code, _output, errors = await ssh.run("-o", "BatchMode=yes", "ws", "true")
    assert code == 0, errors


async def test_exec_is_binary_clean_both_ways_with_half_close(agent, ssh):
    data = os.urandom(300_000) + bytes(range(256))
    code, output, errors = await ssh.run("ws", "cat; echo done >&2", stdin=data)
    assert (code, errors) == (0, b"done\n")
    assert output == data


async def test_the_environment_is_a_login_s(agent, ssh, plane):
    script = 'echo "$HOME|$USER|$SHELL|$CODER|$FROM_CLIENT|$PWD"; command -v stead coder'
    _code, output, _errors = await ssh.run("-o", "SetEnv=FROM_CLIENT=yes", "ws", script)
    first, *commands = output.decode().splitlines()
    home, user, shell, coder, client, directory = first.split("|")
    assert (coder, client, directory) == ("true", "yes", home)
    assert user
    assert os.access(shell, os.X_OK)
    assert len(commands) == 2


async def test_a_missing_command_is_127_and_a_signal_is_told(agent, ssh):
    code, _output, errors = await ssh.run("ws", "no-such-command")
    assert code == 127
    assert b"not found" in errors
    code, _output, _errors = await ssh.run("ws", "kill -TERM $$")
    assert code == 255  # how OpenSSH says that a signal ended the command


async def test_a_signal_reaches_the_command(agent, ssh, plane):
    async with asyncssh.connect(
        "127.0.0.1",
        plane.ssh_port,
        known_hosts=None,
        client_keys=[(str(ssh.folder / "key"), str(ssh.folder / "key-cert.pub"))],
        config=None,
    ) as connection:
        process = await connection.create_process(
            "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done"
        )
        assert await process.stdout.readline() == "up\n"
        process.send_signal("INT")
        result = await asyncio.wait_for(process.wait(), 10)
        assert (result.exit_status, "caught" in result.stdout) == (9, True)
        process = await connection.create_process("sleep 60")
        process.send_signal("TERM")
        result = await asyncio.wait_for(process.wait(), 10)
        assert result.exit_signal[0] == "TERM"


class Terminal:
    """A client on a terminal of its own."""

    def __init__(self, *words: str, size: tuple[int, int] = (24, 80)) -> None:
        self.ours, theirs = pty.openpty()
        self.resize(*size, fd=theirs)
        self.process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        os.set_blocking(self.ours, False)
        self.seen = ""

    def resize(self, rows: int, columns: int, fd: int | None = None) -> None:
        import fcntl
        import termios

        fcntl.ioctl(fd if fd is not None else self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    async def expect(self, pattern: str, deadline: float = 15) -> re.Match[str]:
        end = time.monotonic() + deadline
        while True:
            with contextlib.suppress(OSError):
                self.seen += os.read(self.ours, 65536).decode("utf-8", "replace")
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end() :]
                return match
            assert time.monotonic() < end, f"{pattern!r} not in {self.seen!r}"
            await asyncio.sleep(0.02)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


@pytest.fixture
def terminal(ssh):
    opened = []

    def start(*words: str, **options) -> Terminal:
        opened.append(Terminal(*words, **options))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


async def test_a_shell_on_a_terminal_with_resize_and_interrupt(agent, ssh, terminal):
    shell = terminal("ssh", *ssh.options, "-tt", "ws", "exec sh -i", size=(31, 97))
    await shell.expect(r"[#$] ")
    shell.type("stty size; tty\r")
    await shell.expect(r"31 97\r\n/dev/pts/\d+")
    shell.resize(40, 120)
    shell.process.send_signal(signal.SIGWINCH)
    shell.type("sleep 0.5; stty size\r")
    await shell.expect(r"40 120\r\n")
    shell.type("sleep 100\r")
    await asyncio.sleep(0.2)
    shell.type("\x03")
    shell.type("echo code $?\r")
    await shell.expect(r"code 130")
    shell.type("exit 5\r")
    await asyncio.wait_for(asyncio.to_thread(shell.process.wait), 10)
    assert shell.process.returncode == 5


async def test_a_login_shell_shows_the_message_of_the_day(plane, start_agent, ssh, terminal, wait_for, tmp_path):
    (tmp_path / "motd").write_text("Welcome to ws\n")
    plane.manifest = {"motd_file": str(tmp_path / "motd")}
    agent = start_agent()
    await wait_for(lambda: len(plane.parked) == 4, "parked streams")
    shell = terminal("ssh", *ssh.options, "ws")
    await shell.expect("Welcome to ws\r\n")
    shell.type("echo $0\r")
    await shell.expect(r"-[a-z]+\r\n")
    shell.type("exit\r")
    await asyncio.wait_for(asyncio.to_thread(shell.process.wait), 10)
    (agent.home / ".hushlogin").touch()


async def test_logins_wait_for_the_scripts_that_block_them(plane, start_agent, ssh, terminal, wait_for, tmp_path):
    go = tmp_path / "go"
    waiting = f"while [ ! -e {go} ]; do sleep 0.05; done"
    plane.manifest = {"scripts": [{"id": "b", "script": waiting, "run_on_start": True, "start_blocks_login": True}]}
    start_agent()
    await wait_for(lambda: len(plane.parked) == 4, "parked streams")
    shell = terminal("ssh", *ssh.options, "ws")
    await shell.expect("Waiting for the start scripts")
    command = await ssh.start("ws", "echo in")
    go.touch()
    output, _errors = await asyncio.wait_for(command.communicate(), 20)
    assert output == b"in\n"
    shell.type("echo ready\r")
    await shell.expect("ready\r\n")


async def test_wide_output_on_a_terminal_is_whole(agent, ssh):
    code, output, _errors = await ssh.run("-tt", "ws", "seq 1 50000")
    assert code == 0
    assert output.decode().split() == [str(n) for n in range(1, 50001)]


@pytest.mark.slow
async def test_200_megabytes_by_sftp_there_and_back(agent, ssh, program, tmp_path):
    source, there, back = tmp_path / "source", tmp_path / "there", tmp_path / "back"
    block = os.urandom(1 << 20)
    with source.open("wb") as file:
        for number in range(200):
            file.write(number.to_bytes(4, "big") + block[4:])
    code, _output, errors = await program(
        "sftp",
        *ssh.options,
        "-b",
        "-",
        "ws",
        stdin=f"put {source} {there}\nget {there} {back}\n".encode(),
        deadline=110,
    )
    assert code == 0, errors
    digests = {hashlib.file_digest(path.open("rb"), "sha256").hexdigest() for path in (source, there, back)}
    assert len(digests) == 1


async def test_what_sftp_can_do(agent, ssh, program, tmp_path):
    folder = tmp_path / "sftp-work"
    folder.mkdir()
    (folder / "a").write_text("text")
    commands = f"""cd {folder}
mkdir sub
rename a sub/b
ln -s sub/b link
ln sub/b hard
chmod 640 sub/b
ls -la sub
df
get sub/b {tmp_path}/got
rm hard
put {tmp_path}/got sub/c
rm sub/c
mkdir empty
rmdir empty
"""
    code, output, errors = await program("sftp", *ssh.options, "-b", "-", "ws", stdin=commands.encode())
    assert code == 0, errors
    assert b"b" in output
    assert (folder / "link").readlink().as_posix() == "sub/b"
    assert (folder / "sub/b").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "got").read_text() == "text"
    code, _output, errors = await program(
        "sftp", *ssh.options, "-b", "-", "ws", stdin=f"get {folder}/missing x\n".encode()
    )
    assert code != 0
    assert b"not found" in errors or b"No such file" in errors


@pytest.mark.parametrize("options", [[], ["-O"]], ids=["sftp", "old"])
async def test_scp(agent, ssh, program, tmp_path, options):
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/file").write_bytes(os.urandom(100_000))
    code, _output, errors = await program(
        "scp", *options, *ssh.options, "-r", f"{tmp_path}/tree", f"ws:{tmp_path}/copy"
    )
    assert code == 0, errors
    assert (tmp_path / "copy/deep/file").read_bytes() == (tmp_path / "tree/deep/file").read_bytes()


async def test_rsync(agent, ssh, program, tmp_path):
    (tmp_path / "from").mkdir()
    for number in range(50):
        (tmp_path / "from" / str(number)).write_bytes(os.urandom(5000))
    code, _output, errors = await program("rsync", "-a", "-e", ssh.command, f"{tmp_path}/from/", f"ws:{tmp_path}/to/")
    assert code == 0, errors
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == sorted(str(n) for n in range(50))


async def test_git_clone_and_push(agent, ssh, program, tmp_path):
    git = ["git", "-c", f"core.sshCommand={ssh.command}", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    await program("git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git"))
    code, _output, errors = await program(*git, "clone", "-q", f"ws:{tmp_path}/origin.git", str(tmp_path / "clone"))
    assert code == 0, errors
    (tmp_path / "clone/file").write_bytes(os.urandom(500_000))
    await program("git", "-C", str(tmp_path / "clone"), "add", "file")
    await program(*git, "-C", str(tmp_path / "clone"), "commit", "-qm", "one")
    code, _output, errors = await program(*git, "-C", str(tmp_path / "clone"), "push", "-q", "origin", "HEAD:main")
    assert code == 0, errors
    _code, output, _errors = await program("git", "-C", str(tmp_path / "origin.git"), "log", "--oneline", "main")
    assert b"one" in output


async def echo(reader, writer, data: bytes = b"hello") -> bytes:
    writer.write(data)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def connect_when_open(open_connection, *address):
    end = time.monotonic() + 10
    while True:
        try:
            return await open_connection(*address)
        except OSError:
            assert time.monotonic() < end
            await asyncio.sleep(0.05)


def free_port_number() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("way", ["-L", "-R"])
async def test_forwarding_of_ports(agent, ssh, echo_server, way):
    port = free_port_number()
    client = await ssh.start("-N", "-o", "ExitOnForwardFailure=yes", way, f"{port}:127.0.0.1:{echo_server}", "ws")
    try:
        reader, writer = await connect_when_open(asyncio.open_connection, "127.0.0.1", port)
        assert await echo(reader, writer) == b"hello<eof>"
    finally:
        client.terminate()
        await client.wait()


@pytest.mark.parametrize("way", ["-L", "-R"])
async def test_forwarding_of_unix_sockets(agent, ssh, echo_server, way, tmp_path):
    path = tmp_path / "f.sock"
    client = await ssh.start("-N", "-o", "ExitOnForwardFailure=yes", way, f"{path}:127.0.0.1:{echo_server}", "ws")
    try:
        reader, writer = await connect_when_open(asyncio.open_unix_connection, str(path))
        assert await echo(reader, writer) == b"hello<eof>"
    finally:
        client.terminate()
        await client.wait()


async def test_forwarding_to_a_unix_socket_of_the_workspace(agent, ssh, tmp_path):
    async def serve(reader, writer):
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_unix_server(serve, str(tmp_path / "s.sock"))
    port = free_port_number()
    client = await ssh.start("-N", "-L", f"{port}:{tmp_path}/s.sock", "ws")
    try:
        reader, writer = await connect_when_open(asyncio.open_connection, "127.0.0.1", port)
        assert await echo(reader, writer) == b"hello"
    finally:
        client.terminate()
        await client.wait()
        server.close()


async def test_dynamic_forwarding(agent, ssh, echo_server):
    port = free_port_number()
    client = await ssh.start("-N", "-D", f"127.0.0.1:{port}", "ws")
    try:
        reader, writer = await connect_when_open(asyncio.open_connection, "127.0.0.1", port)
        writer.write(b"\x05\x01\x00")
        assert await reader.readexactly(2) == b"\x05\x00"
        writer.write(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + struct.pack(">H", echo_server))
        assert (await reader.readexactly(10))[1] == 0
        assert await echo(reader, writer) == b"hello<eof>"
    finally:
        client.terminate()
        await client.wait()


async def test_agent_forwarding_lives_as_long_as_the_connection(agent, ssh, program, tmp_path, wait_for):
    sock = tmp_path / "agent.sock"
    ssh_agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
    try:
        await wait_for(sock.exists, "the ssh-agent")
        await program(
            "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "forwarded-key", "-f", str(tmp_path / "other")
        )
        await program("env", f"SSH_AUTH_SOCK={sock}", "ssh-add", "-q", str(tmp_path / "other"))
        options = ["-A", "-o", f"IdentityAgent={sock}", "ws", "ssh-add -l; echo $SSH_AUTH_SOCK"]
        config = (ssh.folder / "config").read_text().replace("IdentityAgent none\n", "")
        (ssh.folder / "config").write_text(config)
        code, output, errors = await ssh.run(*options)
        assert code == 0, errors
        assert b"forwarded-key" in output
        path = output.decode().splitlines()[-1]
        await wait_for(lambda: not Path(path).exists(), "the socket's end")
    finally:
        ssh_agent.terminate()
        ssh_agent.wait()


@pytest.mark.slow
async def test_fifty_sessions_at_once(agent, ssh, plane):
    plane.parked_wanted = 8
    results = await asyncio.gather(*(ssh.run("ws", f"echo {n}; sleep 0.2; exit {n}", deadline=90) for n in range(50)))
    assert [(code, output) for code, output, _ in results] == [(n, f"{n}\n".encode()) for n in range(50)]


async def test_many_sessions_in_one_connection(agent, ssh, plane):
    async with asyncssh.connect(
        "127.0.0.1",
        plane.ssh_port,
        known_hosts=None,
        client_keys=[(str(ssh.folder / "key"), str(ssh.folder / "key-cert.pub"))],
        config=None,
    ) as connection:
        results = await asyncio.gather(*(connection.run(f"echo {n}") for n in range(50)))
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(50)]


async def test_sessions_are_counted_by_kind(plane, start_agent, ssh, wait_for):
    start_agent()
    await wait_for(lambda: len(plane.parked) == 4, "parked streams")
    plane._answer = _with_interval(plane)
    clients = [
        await ssh.start("ws", "sleep 60"),
        await ssh.start("-o", "SetEnv=STEAD_SESSION_TYPE=web", "ws", "sleep 60"),
    ]
    clients.append(await ssh.start("ws", "ls ~/.vscode-server; sleep 60"))
    expected = {"ssh": 1, "vscode": 1, "jetbrains": 0, "web": 1}
    await wait_for(lambda: plane.said("stats") and plane.said("stats")[-1]["sessions"] == expected, "the counts")
    for client in clients:
        client.kill()
        await client.wait()
    nothing = dict.fromkeys(expected, 0)
    await wait_for(lambda: plane.said("stats")[-1]["sessions"] == nothing, "the sessions' end")


def _with_interval(plane):
    answer = type(plane)._answer

    def faster(method, params):
        result = answer(plane, method, params)
        return {"interval": 0.3} if method == "stats" else result

    return faster


@pytest.mark.skipif(shutil.which("dbclient") is None, reason="dropbear's client is not installed")
async def test_other_clients_connect(agent, ssh, plane, program):
    import paramiko

    def connect() -> bytes:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        key = paramiko.Ed25519Key.from_private_key_file(str(ssh.folder / "key"))
        key.load_certificate(str(ssh.folder / "key-cert.pub"))
        client.connect("127.0.0.1", plane.ssh_port, username="x", pkey=key, allow_agent=False, look_for_keys=False)
        with client:
            return client.exec_command("echo paramiko")[1].read()

    assert await asyncio.to_thread(connect) == b"paramiko\n"
