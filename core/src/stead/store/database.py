"""The one door to the database: opens it, and bounds transactions.

A connection belongs to a ``with`` block and goes back to the pool at its end, so none is held while
Terraform, a cloud or an agent is waited for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import peewee
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase, PooledSqliteDatabase

from stead.api.errors import Conflict, Unavailable
from stead.models.base import using
from stead.models.migrate import dialect_of, migrate

_SQLITE_SCHEMES = ("sqlite:///", "sqlite://")


class Database:
    """SQLite or PostgreSQL, pooled.

    :param url: ``postgresql://…`` or ``sqlite:///PATH``.
    :param connections: most connections at once.
    :param timeout: longest wait for a connection or a lock, in seconds.
    """

    def __init__(self, url: str, *, connections: int = 20, timeout: float = 10.0) -> None:
        self._url = url
        self.peewee = _make(url, connections, timeout)
        self.dialect = dialect_of(self.peewee)
        self._timeout = timeout
        # SQLite has one writer and lets others poll; within a process they queue here instead.
        self._writer = threading.Lock()

    def __repr__(self) -> str:
        return f"<Database {self.dialect}>"

    @property
    def is_postgresql(self) -> bool:
        return self.dialect == "postgresql"

    @property
    def listen_url(self) -> str:
        """URL for a connection of its own, as LISTEN needs; holds a password."""
        return self._url

    def migrate(self) -> list[str]:
        """Bring the schema up to date; safe while other servers do the same."""
        with self._connection():
            return migrate(self.peewee)

    @contextmanager
    def read(self) -> Iterator[None]:
        """Run queries within this block; each sees the latest committed rows."""
        with self._connection():
            yield

    @contextmanager
    def write(self) -> Iterator[None]:
        """One transaction: committed at the end of the block, rolled back where it raises.

        :raises Conflict: a unique index refused a row.
        """
        begin = () if self.is_postgresql else ("IMMEDIATE",)
        with self._turn(), self._connection():
            if self.peewee.transaction_depth():
                raise RuntimeError("a transaction is open in this thread already")
            try:
                with self.peewee.transaction(*begin):
                    yield
            except peewee.IntegrityError as error:
                raise Conflict("Somebody else has just taken that name.", remedy="Choose another one.") from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self.is_postgresql:
            yield
            return
        if not self._writer.acquire(timeout=self._timeout):
            raise Unavailable("The database is busy.", remedy="Try again.")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _connection(self) -> Iterator[None]:
        opened = False
        try:
            if self.peewee.is_closed():
                self.peewee.connect()
                opened = True
            with using(self.peewee):
                yield
        except (peewee.OperationalError, peewee.InterfaceError, MaxConnectionsExceeded) as error:
            if _is_full(error):
                raise Unavailable(
                    "The database cannot write: its disk is full. What was stored before is safe.",
                    remedy="Make room on the database's disk and try again.",
                ) from error
            raise Unavailable(
                f"The database does not answer: {_first_line(error)}.",
                remedy="Check that it runs and try again.",
            ) from error
        finally:
            if opened:
                self.peewee.close()

    def lock(self, name: str) -> None:
        """Within :meth:`write`: wait until no other transaction holds this lock. SQLite has one writer anyway."""
        if self.is_postgresql:
            number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
            self.peewee.execute_sql("SELECT pg_advisory_xact_lock(%s)", (number,))

    def notify(self, channel: str, text: str) -> None:
        """Send a PostgreSQL notification, committed at once."""
        with self._connection():
            self.peewee.execute_sql("SELECT pg_notify(%s, %s)", (channel, text))

    def close(self) -> None:
        """Close this thread's connection and all idle ones."""
        if not self.peewee.is_closed():
            self.peewee.close()
        close_idle: Callable[[], None] = getattr(self.peewee, "close_idle")  # noqa: B009 - of the pool's mixin
        close_idle()


class _Sqlite(PooledSqliteDatabase):
    def _can_reuse(self, conn: object) -> bool:
        return not getattr(conn, "in_transaction", False)


def _keep_private(path: Path) -> None:
    """Only the owner may read the file: it holds hashes of passwords and tokens, and its folder may be an open one.

    SQLite gives its other files (``-wal``, ``-shm``) the mode of this one.
    """
    # What cannot be opened at all is told when it is connected to.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for file in (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))):
        with contextlib.suppress(OSError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)


def _make(url: str, connections: int, timeout: float) -> peewee.Database:
    for scheme in _SQLITE_SCHEMES:
        if url.startswith(scheme):
            path = Path(url.removeprefix(scheme))
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _keep_private(path)
            return _Sqlite(
                str(path),
                max_connections=connections,
                timeout=timeout,
                pragmas=_pragmas(timeout),
                check_same_thread=False,
            )
    return PooledPostgresqlDatabase(
        url, max_connections=connections, timeout=timeout, connect_timeout=max(1, int(timeout))
    )


def _pragmas(timeout: float) -> tuple[tuple[str, str | int], ...]:
    # synchronous is FULL: the journal of resources must survive a power cut, not only a killed process.
    return (
        ("journal_mode", "wal"),
        ("synchronous", "full"),
        ("foreign_keys", 1),
        ("busy_timeout", int(timeout * 1000)),
        ("cache_size", -8000),
        ("temp_store", "memory"),
    )


_PG_DISK_FULL = "53100"  # of PostgreSQL's error codes, class 53: insufficient resources


def _is_full(error: BaseException | None) -> bool:
    """Whether a lack of room is at the bottom of it: SQLite then has no transaction left to be rolled back."""
    while error is not None:
        text = str(error)
        if getattr(error, "pgcode", None) == _PG_DISK_FULL:  # whatever language the server speaks
            return True
        if "disk is full" in text or "No space left on device" in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
