"""A PostgreSQL of one test's own, which can be stopped and started again."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from stead.testing import postgres
from stead.testing.left_out import leave_out
from stead.testing.session import Session
from stead.testing.waiting import eventually, find_free_port


@dataclass
class OwnPostgres:
    """``url`` is that of an empty database."""

    server: dict[str, Any] = field(repr=False)
    command: list[str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return postgres._url(self.server, "postgres")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(
            lambda: postgres._execute(self.server, "SELECT 1"),
            postgres.READY_WITHIN,
            what="the start of PostgreSQL",
            ignoring=(psycopg2.OperationalError,),
        )

    def execute(self, statement: str) -> None:
        """Run one statement, outside of any transaction."""
        postgres._execute(self.server, statement)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends all connections in order, SIGQUIT at once, as a crash would."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None


@contextlib.contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A server on a free port; its folder is removed at the end."""
    session = Session.create()
    try:
        programs = postgres._programs()
        folder, password_file, password = postgres._prepare(session)
        postgres._initialize(programs, folder, password_file)
    except postgres.PostgresUnavailable as error:
        shutil.rmtree(session.folder, ignore_errors=True)
        leave_out("PostgreSQL", str(error))
    port = find_free_port()
    server = {"port": port, "password": password, "socket": str(folder)}
    # It is stopped as by a crash: what it has committed must be there afterwards.
    command = [*postgres._server_command(programs, folder, port), "-csynchronous_commit=on"]
    made = OwnPostgres(server, command)
    try:
        made.start()
        yield made
    finally:
        made.stop(signal.SIGQUIT)
        shutil.rmtree(session.folder, ignore_errors=True)
