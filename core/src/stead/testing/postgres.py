"""A private PostgreSQL for the length of the run, and a fresh database for each test that wants one."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from stead.testing.left_out import leave_out
from stead.testing.session import Session
from stead.testing.waiting import NeverHappened, eventually, find_free_port

ACCOUNT = "postgres"
PACKAGED = Path("/usr/lib/postgresql")
READY_WITHIN = 30.0  # seconds
# Nothing here has to survive a power cut, and tests commit a thousand times.
FAST = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=32MB",
    "synchronous_commit=off",
)


class PostgresUnavailable(RuntimeError):
    """No PostgreSQL can be started here; the message says why."""


def _programs() -> Path:
    """Folder with ``initdb`` and ``postgres``, the newest version that is installed."""
    packaged = sorted(PACKAGED.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    others = [Path(on_path).parent] if on_path else []
    for folder in [*packaged, *others]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresUnavailable("initdb and postgres are not installed")


def _as_account() -> list[str]:
    """Prefix that runs a command as an ordinary user: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise PostgresUnavailable(f"root may not run PostgreSQL, and there is no account {ACCOUNT}") from None
    return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups"]


def _prepare(session: Session) -> tuple[Path, Path, str]:
    """Make the folder and the password file; both belong to who runs the server."""
    folder = session.folder / "postgres"
    folder.mkdir()
    session.folder.chmod(0o711)
    password = secrets.token_hex(16)
    password_file = folder / "password"
    password_file.write_text(password)
    if os.geteuid() == 0:
        for path in (folder, password_file):
            shutil.chown(path, ACCOUNT)
    return folder, password_file, password


def _initialize(programs: Path, folder: Path, password_file: Path) -> None:
    command = [
        *_as_account(),
        str(programs / "initdb"),
        f"--pgdata={folder / 'data'}",
        "--username=stead",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)
    if made.returncode != 0:
        raise PostgresUnavailable(f"initdb failed: {made.stderr.strip()}")


def _server_command(programs: Path, folder: Path, port: int) -> Sequence[str]:
    settings = [f"-c{setting}" for setting in (*FAST, "listen_addresses=127.0.0.1")]
    data = f"-D{folder / 'data'}"
    return [*_as_account(), str(programs / "postgres"), data, f"-k{folder}", f"-p{port}", *settings]


def _start(session: Session) -> dict[str, Any]:
    try:
        programs = _programs()
        folder, password_file, password = _prepare(session)
        _initialize(programs, folder, password_file)
    except PostgresUnavailable as error:
        return {"failed": str(error)}
    port = find_free_port()
    # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
    log = session.spawn("postgres", _server_command(programs, folder, port), stop=signal.SIGINT)
    server = {"port": port, "password": password, "socket": str(folder)}
    try:
        eventually(
            lambda: _execute(server, "SELECT 1"),
            READY_WITHIN,
            what="the start of PostgreSQL",
            ignoring=(psycopg2.OperationalError,),
        )
    except NeverHappened:
        return {"failed": f"it did not start: {' | '.join(log.read_text().splitlines()[-3:])}"}
    return server


def _url(server: dict[str, Any], database: str) -> str:
    return f"postgresql://stead:{server['password']}@127.0.0.1:{server['port']}/{database}"


def _execute(server: dict[str, Any], statement: str) -> bool:
    connection = psycopg2.connect(_url(server, "postgres"), connect_timeout=5)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
    return True


@pytest.fixture(scope="session")
def postgres_server(stead_session: Session) -> dict[str, Any]:
    """Port, socket folder and password of the run's PostgreSQL."""
    server = stead_session.shared("postgres-server", lambda: _start(stead_session))
    if "failed" in server:
        leave_out("PostgreSQL", server["failed"])
    return server


@pytest.fixture
def postgres_url(postgres_server: dict[str, Any]) -> Iterator[str]:
    """URL of an empty PostgreSQL database that is this test's alone."""
    name = f"t_{secrets.token_hex(8)}"
    _execute(postgres_server, f"CREATE DATABASE {name}")
    yield _url(postgres_server, name)
    _execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'stead.db'}"
    return str(request.getfixturevalue("postgres_url"))
