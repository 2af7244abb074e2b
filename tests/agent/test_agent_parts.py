"""Parts of the agent on their own: figures, lines, the outbox, the environment, SFTP's packets."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import subprocess
import sys
import tarfile
import time

import pytest

from stead_agent.backoff import Backoff
from stead_agent.environment import expand, expand_path, with_bin_dir, workspace_environment
from stead_agent.identity import StateFile
from stead_agent.lines import LineSplitter
from stead_agent.manifest import Manifest, read_manifest
from stead_agent.outbox import Outbox
from stead_agent.ports import listening_ports
from stead_agent.resources import Resources
from stead_agent.settings import read_settings
from stead_agent.sftp import SftpServer
from stead_agent.ssh.workspace import session_kind
from stead_agent.stat_command import main as stat
from stead_agent.stat_command import text as stat_text
from stead_agent.streams.parked import is_loopback
from stead_agent.users import User

MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"


def tree(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(root)


@pytest.fixture
def proc(tmp_path):
    def make(cgroup: str) -> str:
        stat_line = "cpu  100 0 100 800 0 0 0 0 0 0\n"
        return tree(tmp_path / "proc", {"self/cgroup": cgroup, "meminfo": MEMINFO, "stat": stat_line})

    return make


def test_version_2_control_groups(tmp_path, proc):
    files = {
        "cgroup.controllers": "cpu memory", "memory.current": "300000000", "memory.max": "1000000000",
        "memory.stat": "anon 1\ninactive_file 100000000\n",
        "cpu.stat": "usage_usec 2500000\n", "cpu.max": "50000 100000",
    }  # fmt: skip
    resources = Resources(proc=proc("0::/\n"), cgroup=tree(tmp_path / "cg", files))
    assert resources.memory() == (200_000_000, 1_000_000_000)
    assert resources.cpu().used_seconds == 2.5
    assert resources.cpu().total_cores == 0.5


def test_version_2_without_limits_has_the_machine_s(tmp_path, proc):
    files = {
        "cgroup.controllers": "", "docker/x/memory.current": "300000000", "docker/x/memory.max": "max",
        "docker/x/cpu.stat": "usage_usec 1\n", "docker/x/cpu.max": "max 100000",
    }  # fmt: skip
    resources = Resources(proc=proc("0::/docker/x\n"), cgroup=tree(tmp_path / "cg", files))
    assert resources.memory() == (300_000_000, 16_384_000_000)
    assert resources.cpu().total_cores == len(os.sched_getaffinity(0))


def test_version_1_control_groups(tmp_path, proc):
    files = {
        "memory/memory.usage_in_bytes": "500", "memory/memory.limit_in_bytes": "1000",
        "memory/memory.stat": "cache 1\ntotal_inactive_file 100\n", "cpu,cpuacct/cpuacct.usage": "1500000000",
        "cpu,cpuacct/cpu.shares": "1024", "cpu,cpuacct/cpu.cfs_quota_us": "150000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
    }  # fmt: skip
    group = "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n"
    resources = Resources(proc=proc(group), cgroup=tree(tmp_path / "cg", files))
    assert resources.memory() == (400, 1000)
    assert resources.cpu().used_seconds == 1.5
    assert resources.cpu().total_cores == min(1.5, len(os.sched_getaffinity(0)))


def test_no_control_group_or_the_host_is_the_machine(tmp_path, proc):
    files = {"cgroup.controllers": "", "memory.current": "1", "memory.max": "2"}
    for resources in (
        Resources(proc=proc("0::/\n"), cgroup=str(tmp_path / "nothing")),
        Resources(host=True, proc=proc("0::/\n"), cgroup=tree(tmp_path / "cg", files)),
    ):
        assert not resources.in_container
        assert resources.memory() == (8_192_000_000, 16_384_000_000)


@pytest.mark.parametrize(
    ("used", "total", "unit", "shown"),
    [
        (0.5, 2.0, "cores", "0.5/2 cores (25%)"),
        (1.234, 4.0, "cores", "1.2/4 cores (31%)"),
        (1.5 * 2**30, 4 * 2**30, "B", "1.5/4 GiB (38%)"),
        (100 * 2**20, 512 * 2**20, "B", "100/512 MiB (20%)"),
        (100, None, "B", "100 B"),
    ],
)
def test_figures_as_text(used, total, unit, shown):
    assert stat_text(used, total, unit) == shown


def test_stat_speaks_json_and_complains_clearly(capsys, tmp_path):
    assert stat(["disk", "--path", str(tmp_path), "--output", "json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0 < figures["used"] <= figures["total"]
    assert stat(["cpu", "--host", "-o=json"]) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "cores"
    assert stat(["disk", "--path", "/no/such/place"]) == 1
    assert "/no/such/place" in capsys.readouterr().err
    assert stat(["everything"]) == 2
    assert "usage" in capsys.readouterr().err


def test_stat_imports_little():
    program = (
        "import sys; from stead_agent.main import main; main(['stat', 'mem']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {program}"],
                          capture_output=True, text=True, timeout=20)  # fmt: skip
    assert "iB" in done.stdout
    assert not {"asyncio", "asyncssh", "ssl", "typing", "argparse", "logging", "re"} & set(done.stderr.split())


@pytest.mark.parametrize("sizes", [(1,), (3, 1, 7), (1000,)])
def test_lines_come_out_the_same_however_they_come_in(sizes):
    data = "eins\nzwei €\r\n\n".encode() + b"\xff\xfe\nprogress 1\rprogress 2\nlast"
    seen: list[str] = []
    splitter = LineSplitter(seen.append)
    at = 0
    while at < len(data):
        for size in sizes:
            splitter.feed(data[at : at + size])
            at += size
    splitter.end()
    assert seen == ["eins", "zwei €", "", "\N{REPLACEMENT CHARACTER}" * 2, "progress 2", "last"]


def test_a_line_without_an_end_is_cut():
    seen: list[str] = []
    splitter = LineSplitter(seen.append, max_line=10)
    for _ in range(35):
        splitter.feed(b"x")
    splitter.end()
    assert [len(line) for line in seen] == [10, 10, 10, 5]


def test_the_outbox_is_bounded_and_says_what_it_dropped():
    outbox = Outbox(max_log_bytes=10_000)
    for number in range(1000):
        outbox.log(source="s", script_id=None, text=f"line {number}")
    texts = []
    while (message := outbox.next()) is not None:
        texts += [line["text"] for line in message.params["lines"]]
        outbox.delivered(message)
    assert "lines were dropped" in texts[0]
    assert texts[-1] == "line 999"
    assert outbox.empty


def test_batches_of_logs_stay_below_the_limit():
    outbox = Outbox()
    for _ in range(500):
        outbox.log(source="s", script_id="i", text="\x1b[0m\N{EURO SIGN}" * 200)
    while (message := outbox.next()) is not None:
        assert len(json.dumps(message.params, ensure_ascii=False).encode()) <= 256 * 1024
        outbox.delivered(message)


def test_only_the_newest_state_waits_and_is_told_again():
    outbox = Outbox()
    outbox.event("lifecycle", {"state": "starting"})
    outbox.state("stats", {"n": 1})
    outbox.state("stats", {"n": 2})
    sent = []
    while (message := outbox.next()) is not None:
        sent.append((message.method, message.params))
        outbox.delivered(message)
    assert sent == [("lifecycle", {"state": "starting"}), ("stats", {"n": 2})]
    outbox.reconnected()
    assert outbox.next().params == {"n": 2}


def test_waits_grow_with_full_jitter_and_stay_below_five_seconds():
    backoff = Backoff()
    waits = [backoff.next() for _ in range(200)]
    assert max(waits) <= 5
    assert waits[0] <= 0.2
    assert min(waits[20:]) < 1 < max(waits[20:])


def test_the_state_file_knows_this_boot(tmp_path):
    first = StateFile(tmp_path)
    assert first.restarted is False
    assert StateFile(tmp_path).restarted is False
    first.scripts_ran()
    assert StateFile(tmp_path).restarted is True
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps({**state, "boot_id": "another"}))
    assert StateFile(tmp_path).restarted is False
    (tmp_path / "state.json").write_text("broken")
    assert StateFile(tmp_path).restarted is False


def test_settings_prefer_stead_and_take_coder(tmp_path):
    environ = {"CODER_AGENT_URL": "https://c.example", "CODER_AGENT_TOKEN": "t", "STEAD_AGENT_RUN_DIR": str(tmp_path)}
    settings = read_settings(environ)
    assert settings.websocket_url("/x") == "wss://c.example/x"
    assert "t" not in repr(settings).replace("stead", "").split("token")[1:2]
    both = read_settings({**environ, "STEAD_AGENT_URL": "http://s.example/"})
    assert both.websocket_url("/x") == "ws://s.example/x"
    assert (both.run_dir.stat().st_mode & 0o777) == 0o700
    (tmp_path / "token").write_text("from-file\n")
    del environ["CODER_AGENT_TOKEN"]
    assert read_settings({**environ, "CODER_AGENT_TOKEN_FILE": str(tmp_path / "token")}).token == "from-file"


def test_environment_expands_and_keeps_what_is_there(tmp_path):
    user = User("me", "/home/me", "/bin/sh")
    manifest = Manifest(env={"A": "$HOME/a", "B": "${A}:$NOWHERE:$", "PATH": "/opt:$PATH"}, workspace_name="ws")
    env = workspace_environment(
        {"PATH": "/bin", "KEEP": "1", "STEAD_LD_PRELOAD": "/x.so"}, manifest, user, tmp_path, "http://u"
    )
    assert env["A"] == "/home/me/a"
    assert env["B"] == "/home/me/a::$"
    assert env["PATH"] == f"{tmp_path}:/opt:/bin"
    assert (env["KEEP"], env["LD_PRELOAD"], env["CODER_WORKSPACE_NAME"]) == ("1", "/x.so", "ws")
    assert expand("$A-${B}", {"A": "1", "B": "2"}) == "1-2"
    assert str(expand_path("~/x", {"HOME": "/h"})) == "/h/x"
    assert str(expand_path("$HOME/x", {"HOME": "/h"})) == "/h/x"
    assert str(expand_path("rel", {"HOME": "/h"})) == "/h/rel"
    assert with_bin_dir("/a::/b", tmp_path) == f"{tmp_path}:/a:/b"


def test_a_manifest_of_a_newer_control_plane_is_read():
    raw = {
        "agent_id": "a",
        "later": 1,
        "scripts": [{"id": "s", "later": 2, "timeout": 5}],
        "env": None,
        "volumes": [{"path": "/v"}],
    }
    manifest = read_manifest(raw)
    assert (manifest.agent_id, manifest.scripts[0].timeout, manifest.volumes) == ("a", 5, ("/v",))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "localhost.example", "::", "", "127.0.0.1.nip.io"])
def test_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("env", "command", "kind"),
    [
        ({}, None, "ssh"),
        ({}, "bash -c '~/.vscode-server/bin/x'", "vscode"),
        ({}, "/home/me/.cache/JetBrains/RemoteDev/run", "jetbrains"),
        ({"CODER_SSH_SESSION_TYPE": "JetBrains"}, None, "jetbrains"),
        ({"STEAD_SESSION_TYPE": "web"}, "vscode-server", "web"),
        ({"STEAD_SESSION_TYPE": "nonsense"}, None, "ssh"),
    ],
)
def test_kinds_of_sessions(env, command, kind):
    assert session_kind(env, command) == kind


def test_listening_ports_are_found_with_their_program():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = [entry for entry in listening_ports() if entry["port"] == port]
        assert found["address"] == "127.0.0.1"
        assert found["process"]
        assert not [entry for entry in listening_ports(ignore=frozenset({os.getpid()})) if entry["port"] == port]


def packet(kind: int, *fields: bytes | int) -> memoryview:
    body = bytes([kind]) + struct.pack(">I", 7)
    for value in fields:
        body += struct.pack(">I", value) if isinstance(value, int) else struct.pack(">I", len(value)) + value
    return memoryview(body)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (packet(17, b"/no/such/file"), 2),
        (packet(5, b"nohandle", 0, 0, 10), 4),
        (packet(99), 8),
        (packet(200, b"no-such@extension"), 8),
        (memoryview(bytes([17, 0, 0, 0, 7, 0, 0, 255, 255])), 5),
        (memoryview(bytes([3, 0, 0, 0, 7])), 5),
    ],
)
def test_sftp_answers_bad_requests_with_a_status(request_, status):
    reply, _tail = SftpServer().answer(request_)
    assert (reply[0], struct.unpack(">II", reply[1:9])) == (101, (7, status))


def test_sftp_survives_any_bytes():
    import random

    server = SftpServer()
    source = random.Random(7)
    for _ in range(3000):
        kind = source.choice([1, 5, 6, 8, 10, 12, 16, 17, 19, 200, 250])
        body = bytes([kind]) + source.randbytes(source.randrange(4, 60))
        reply, tail = server.answer(memoryview(body))
        assert reply
        assert isinstance(tail, bytes)


def test_the_archive_is_the_same_for_the_same_content(tmp_path):
    from stead_agent_bundle.build import archive

    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    first = archive(tmp_path)
    os.utime(tmp_path / "a", (1, 1))
    time.sleep(0.01)
    assert archive(tmp_path) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert [(entry.name, entry.mtime, entry.uid) for entry in tar] == [("a", 0, 0), ("b", 0, 0)]
