"""Forward-only migrations: numbered SQL files, each applied once, in one transaction, under one lock.

``playhouse.migrations`` takes no lock, so two servers that start together would run a file twice. The
files are SQL rather than Python so that they stay frozen while the tables move on; ``${BYTES}`` and
``${SERIAL}`` stand for what the two databases spell differently. A file may have a variant for one
database: ``0007_name.postgresql.sql`` or ``0007_name.sqlite.sql``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from string import Template

import peewee

from stead.api.errors import Unavailable

LOCK = 0x57EAD  # any number that no other program of the same database takes
_WORDS = {
    "postgresql": {"BYTES": "BYTEA", "SERIAL": "BIGSERIAL NOT NULL PRIMARY KEY"},
    "sqlite": {"BYTES": "BLOB", "SERIAL": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"},
}
_NAME = re.compile(r"(\d{4}_\w+?)(?:\.(sqlite|postgresql))?\.sql")


@dataclass(frozen=True)
class Migration:
    name: str
    sql: str


def dialect_of(database: peewee.Database) -> str:
    return "sqlite" if isinstance(database, peewee.SqliteDatabase) else "postgresql"


def migrations(dialect: str) -> list[Migration]:
    """All migrations of a dialect, oldest first."""
    found: dict[str, str] = {}
    for entry in files("stead.models").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match and match[2] in (None, dialect):
            found[match[1]] = Template(entry.read_text(encoding="utf-8")).substitute(_WORDS[dialect])
    return [Migration(name, found[name]) for name in sorted(found)]


def migrate(database: peewee.Database, *, until: str | None = None) -> list[str]:
    """Bring an open database to the newest schema (or to ``until``); returns the names that were applied.

    :raises Unavailable: the database was made by a newer Stead.
    """
    dialect = dialect_of(database)
    known = migrations(dialect)
    begin = ("EXCLUSIVE",) if dialect == "sqlite" else ()
    with database.transaction(*begin):
        if dialect == "postgresql":
            database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        applied = _applied(database)
        _refuse_newer(applied, {migration.name for migration in known})
        return _apply(database, [m for m in known if m.name not in applied], until)


def _applied(database: peewee.Database) -> set[str]:
    database.execute_sql(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (name VARCHAR(128) NOT NULL PRIMARY KEY, applied_at VARCHAR(32) NOT NULL)"
    )
    return {name for (name,) in database.execute_sql("SELECT name FROM migrations").fetchall()}


def _refuse_newer(applied: set[str], known: set[str]) -> None:
    strange = sorted(applied - known)
    if strange:
        raise Unavailable(
            f"The database was made by a newer Stead: it has the migration {strange[-1]}.",
            remedy="Start the newer version, or restore a backup of the database.",
        )


def _apply(database: peewee.Database, pending: list[Migration], until: str | None) -> list[str]:
    done: list[str] = []
    mark = "?" if dialect_of(database) == "sqlite" else "%s"
    for migration in pending:
        if until is not None and migration.name > until:
            break
        for statement in _statements(migration.sql):
            database.execute_sql(statement)
        database.execute_sql(
            f"INSERT INTO migrations (name, applied_at) VALUES ({mark}, {mark})",  # noqa: S608 - only the marks vary
            (migration.name, datetime.now(UTC).isoformat()),
        )
        done.append(migration.name)
    return done


def _statements(sql: str) -> list[str]:
    """Statements end with ``;`` at the end of a line. A ``%`` would need doubling for psycopg2: none is allowed."""
    text = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip() for part in re.split(r";\s*(?:\n|$)", text) if part.strip()]
