"""A real provisioner process: what it has, what it has not, and what becomes of one that goes astray."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.broker.supervisor import Supervisor
from stead.config import Settings
from stead.config.groups import IdentitySettings, PluginsSettings
from stead.domain.records import Actor, Build
from stead.domain.states import BuildStatus, Transition
from stead.domain.transitions import ACTIVE
from stead.services import authentication, builds, deployment, jobs, templates, ticks, workspaces
from stead.services.core import Core, close_core, open_core
from stead.testing.waiting import eventually

pytestmark = pytest.mark.timeout(300)

HIDDEN = "s3cret-of-the-control-plane"
# Runs the provisioner's module, and says at the end which modules its process has imported.
TELL_MODULES = """
import atexit, pathlib, runpy, sys
file = pathlib.Path(sys.argv.pop())
atexit.register(lambda: file.write_text("\\n".join(sys.modules)))
sys.argv = sys.argv[2:]
runpy.run_module("stead.provisioner", run_name="__main__", alter_sys=False)
"""
# The first one to run takes a job and then says what no provisioner says; the next ones are good.
ASTRAY = """
import os, socket, struct, sys
marker = sys.argv.pop()
if os.path.exists(marker):
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
open(marker, "w").close()
link = socket.socket(fileno=int(sys.argv[sys.argv.index("--link") + 1]))
def say(kind, body):
    header = ('{"number":1,"kind":"%s"}' % kind).encode()
    link.sendall(struct.pack("!HI", len(header), len(body)) + header + body)
def hear():
    lengths = link.recv(6, socket.MSG_WAITALL)
    head, body = struct.unpack("!HI", lengths)
    return link.recv(head, socket.MSG_WAITALL), link.recv(body, socket.MSG_WAITALL)
while True:
    say("Claim", b"{}")
    while b"Granted" not in (heard := hear())[0]:
        pass
    if b"lease" in heard[1]:
        break
say("Complete", b'{"lease":"of somebody else"}')
signal = __import__("signal")
signal.pause()
"""


@pytest.fixture
def settings(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_text("pem")
    return make_settings(
        job_lease=5,
        provisioner_grace=10,
        terraform_network=False,
        access_url="https://stead.example.org",
        tls_cert_file=tmp_path / "server.pem",
        tls_key_file=tmp_path / "server.key",
        identity=IdentitySettings(sections={}),
        plugins=PluginsSettings(sections={"nothing-installed": {"password": HIDDEN}}),
    )


@pytest.fixture
def core(settings: Settings) -> Iterator[Core]:
    opened = open_core(settings)
    clockwork = ticks.start(opened)
    yield opened
    clockwork.stop()
    close_core(opened)


@pytest.fixture
def owner(core: Core) -> Actor:
    user = deployment.create_first_owner(core, "ada", "ada@example.org", "correct horse battery", "Ada")
    return authentication.actor_for_user(core, user.id)


@pytest.fixture
def supervise(core: Core) -> Iterator[Callable[[], Supervisor]]:
    started: list[Supervisor] = []

    def start() -> Supervisor:
        started.append(Supervisor(core))
        started[-1].start()
        return started[-1]

    yield start
    for supervisor in started:
        supervisor.stop()


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], None]:
    """Lets a program of Python take the place of the interpreter that is started; ``file`` is its last argument."""

    def put(text: str, file: Path) -> None:
        program = tmp_path / "program"
        (tmp_path / "program.py").write_text(text)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/program.py" "$@" "{file}"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", os.fspath(program))

    return put


def build_something(core: Core, owner: Actor, folder: Path) -> Build:
    folder.mkdir()
    (folder / "main.tf").write_text('resource "null_resource" "a" {}')
    version = templates.create_version(core, owner, folder)
    imported = eventually(
        lambda: (v := templates.version(core, owner, version.id)).job.status not in ACTIVE and v, 90, what="the import"
    )
    assert imported.job.status is BuildStatus.SUCCEEDED, imported.job.error
    templates.create(core, owner, "box", version.id)
    return end_of(core, owner, workspaces.create(core, owner, "box", "dev").latest_build)


def end_of(core: Core, owner: Actor, build: Build) -> Build:
    return eventually(
        lambda: (b := builds.get(core, owner, build.id)).job.status not in ACTIVE and b, 90, what="the end of a build"
    )


def memory_has(pid: int, *needles: bytes) -> set[bytes]:
    """Which of these the writable memory of a process holds."""
    found: set[bytes] = set()
    longest = max(map(len, needles))
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match is None:
                continue
            place, end = (int(part, 16) for part in match.groups())
            rest = b""
            while place < end:
                try:
                    memory.seek(place)
                    piece = memory.read(min(1 << 20, end - place))
                except OSError:
                    break
                if not piece:
                    break
                found |= {needle for needle in needles if needle in rest + piece}
                rest, place = piece[-longest:], place + len(piece)
    return found


def test_a_provisioner_process_has_no_secret_of_the_control_plane(
    core: Core,
    owner: Actor,
    supervise: Callable[[], Supervisor],
    instead: Callable[[str, Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = core.settings.pg_connection_url
    address = url.get_secret_value() if url else os.fspath(core.settings.data_dir / "stead.db")
    monkeypatch.setenv("STEAD_SOMETHING", HIDDEN)
    monkeypatch.setenv("PGPASSWORD", HIDDEN)
    monkeypatch.setenv("DATABASE_URL", address if url else "unset")
    instead(TELL_MODULES, tmp_path / "modules")
    supervisor = supervise()
    [pid] = supervisor.pids
    build = build_something(core, owner, tmp_path / "t")
    assert build.job.status is BuildStatus.SUCCEEDED, build.job.error

    told = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"stead.provisioner" in told
    for secret in (HIDDEN, "STEAD_", address, "keyring"):
        assert secret.encode() not in told
    opened = [os.fspath(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    assert opened
    assert not [name for name in opened if "stead.db" in name or "keyring" in name]

    keys = list(core.keyring._keys.values())
    needles = [*keys, HIDDEN.encode(), *([address.encode()] if url else [])]
    assert memory_has(os.getpid(), *needles) == set(needles), "this would find them"
    deployment_id = core.deployment_id.encode()
    assert memory_has(pid, *needles, deployment_id) == {deployment_id}

    supervisor.stop()
    modules = (tmp_path / "modules").read_text().splitlines()
    assert "stead.terraform.engine" in modules
    withheld = ("stead.store", "stead.models", "stead.services", "stead.broker", "stead.config", "stead.web")
    foreign = ("peewee", "psycopg2", "sqlite3", "flask", "argon2")
    assert not [name for name in modules if name.startswith((*withheld, *foreign))]


def test_one_that_goes_astray_is_ended_and_its_job_is_taken_up(
    core: Core,
    owner: Actor,
    supervise: Callable[[], Supervisor],
    instead: Callable[[str, Path], None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    instead(ASTRAY, tmp_path / "marker")
    supervisor = supervise()
    [first] = supervisor.pids
    build = build_something(core, owner, tmp_path / "t")
    assert build.job.status is BuildStatus.SUCCEEDED, build.job.error
    assert first not in supervisor.pids
    assert "its connection ends" in caplog.text
    assert "of somebody else" not in caplog.text
    assert len(jobs.provisioners(core)) == 1


def test_one_whose_control_plane_is_gone_ends_and_what_it_had_is_taken_up(
    core: Core, owner: Actor, supervise: Callable[[], Supervisor], tmp_path: Path
) -> None:
    supervisor = supervise()
    build_something(core, owner, tmp_path / "t")
    (tmp_path / "t" / "main.tf").write_text(
        'resource "null_resource" "a" {}\n'
        'resource "time_sleep" "b" {\n  create_duration = "120s"\n  depends_on = [null_resource.a]\n}'
    )
    version = templates.create_version(core, owner, tmp_path / "t", template="box")
    eventually(lambda: templates.version(core, owner, version.id).job.status is BuildStatus.SUCCEEDED, 90)
    build = workspaces.create(core, owner, "box", "slow", version=version.id).latest_build
    eventually(
        lambda: any("time_sleep.b: Creating" in line.text for line in builds.logs(core, owner, build.job.id)), 90
    )
    [pid] = supervisor.pids
    running = supervisor._places[0].running
    assert running is not None
    running.session.close()
    eventually(lambda: pid not in supervisor.pids, 90, what="the end of the process")
    again = eventually(
        lambda: (b := builds.get(core, owner, build.id)).job.attempt == 2 and b, 90, what="somebody to take it up"
    )
    assert b"null_resource" in builds.state(core, owner, build.id), "what the first run had made is known"
    builds.cancel(core, owner, again.id)
    end_of(core, owner, again)
    gone = end_of(core, owner, builds.create(core, owner, "slow", Transition.DELETE))
    assert gone.job.status is BuildStatus.SUCCEEDED, gone.job.error


def test_one_that_is_killed_is_replaced_and_an_orderly_stop_leaves_nothing(
    core: Core, supervise: Callable[[], Supervisor]
) -> None:
    supervisor = supervise()
    [pid] = supervisor.pids
    eventually(lambda: jobs.provisioners(core), 60, what="a sign of life")
    [first] = jobs.provisioners(core)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: supervisor.pids not in ((), (pid,)), 60, what="another process")
    eventually(lambda: jobs.provisioners(core) not in ([], [first]), 60, what="a sign of life of it")
    supervisor.stop()
    assert jobs.provisioners(core) == []
    assert list((core.settings.data_dir / "run" / "provisioners").iterdir()) == []
    names: Any = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith("stead-broker")}


def test_provisioners_without_a_server_run_builds_until_they_are_told_to_stop(
    core: Core, owner: Actor, database_url: str, tmp_path: Path
) -> None:
    settings = {
        "STEAD_DATA_DIR": os.fspath(core.settings.data_dir),
        "STEAD_TERRAFORM_NETWORK": "false",
        "STEAD_PROVISIONER_GRACE": "10",
    }
    if core.database.is_postgresql:
        settings["STEAD_PG_CONNECTION_URL"] = database_url
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STEAD_", "CODER_"))}
    program = [sys.executable, "-m", "stead.broker"]
    with subprocess.Popen(program, env={**kept, **settings}, cwd=tmp_path, stdin=subprocess.DEVNULL) as process:
        try:
            build = build_something(core, owner, tmp_path / "t")
            process.terminate()
            code = process.wait(60)
        finally:
            process.kill()
    assert build.job.status is BuildStatus.SUCCEEDED, build.job.error
    assert code == 0
    assert jobs.provisioners(core) == []
