"""The schema: every way to it ends at the same one, and it is what the tables say."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import peewee
import pytest

from stead.api.errors import Conflict, Unavailable
from stead.models import TABLES, MetaRow, UserRow, using
from stead.models.migrate import migrate, migrations
from stead.store.database import Database

Columns = dict[str, dict[str, tuple[str, bool]]]


@pytest.fixture
def database(database_url: str):
    opened = Database(database_url)
    yield opened
    opened.close()


def columns(database: Database) -> Columns:
    with database.read():
        return {
            table: {column.name: (column.data_type, column.null) for column in database.peewee.get_columns(table)}
            for table in database.peewee.get_tables()
        }


def indexes(database: Database) -> set[tuple[str, tuple[str, ...], bool]]:
    with database.read():
        return {
            (table, tuple(index.columns), index.unique)
            for table in database.peewee.get_tables()
            for index in database.peewee.get_indexes(table)
        }


def test_the_schema_is_what_the_tables_say(database: Database) -> None:
    database.migrate()
    found = columns(database)
    for table in TABLES:
        meta = table._meta
        assert {field.column_name: field.null for field in meta.sorted_fields} == {
            name: null for name, (_, null) in found[meta.table_name].items()
        }, meta.table_name
    assert set(found) - {"sqlite_sequence"} == {table._meta.table_name for table in TABLES} | {"migrations"}
    known = indexes(database)
    for table in TABLES:
        for field in table._meta.sorted_fields:
            if field.index and not field.primary_key:
                assert (table._meta.table_name, (field.column_name,), bool(field.unique)) in known


@pytest.mark.parametrize("start", [None, *(m.name for m in migrations("sqlite"))])
def test_from_every_earlier_version(database: Database, database_url: str, start: str | None) -> None:
    names = [migration.name for migration in migrations(database.dialect)]
    if start is not None:
        database.peewee.connect()
        assert migrate(database.peewee, until=start) == names[: names.index(start) + 1]
        with using(database.peewee), database.peewee.atomic():
            MetaRow.insert(name="kept", value="yes").execute()
        database.peewee.close()
    before = names.index(start) + 1 if start else 0
    assert database.migrate() == names[before:]
    assert database.migrate() == []
    if start is not None:
        with database.read():
            assert MetaRow.get(MetaRow.name == "kept").value == "yes"
    assert "graph" in columns(database)["template_versions"]


def test_servers_that_start_together_migrate_once(database_url: str) -> None:
    applied: list[list[str]] = []
    databases = [Database(database_url) for _ in range(4)]
    threads = [threading.Thread(target=lambda d=d: applied.append(d.migrate())) for d in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    names = [migration.name for migration in migrations(databases[0].dialect)]
    assert sorted(applied, key=len) == [[], [], [], names]
    for database in databases:
        database.close()


def test_a_newer_database_is_refused(database: Database) -> None:
    database.migrate()
    with database.write():
        database.peewee.execute_sql("INSERT INTO migrations (name, applied_at) VALUES ('9999_future', 'x')")
    with pytest.raises(Unavailable, match="newer Stead"):
        database.migrate()


def _insert_all(database: Database, values: list[Any]) -> None:
    with database.write():
        for value in values:
            if isinstance(value, type):
                raise value
            MetaRow.insert(name="same", value=value).execute()


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    database.migrate()
    for values, failure in ((["1", ZeroDivisionError], ZeroDivisionError), (["1", "2"], Conflict)):
        with pytest.raises(failure):
            _insert_all(database, values)
    with database.read():
        assert MetaRow.select().count() == 0


def test_two_databases_in_one_process_do_not_mix(database: Database, tmp_path) -> None:
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    for one in (database, other):
        one.migrate()
    with database.write():
        MetaRow.insert(name="who", value="first").execute()
    with other.write():
        MetaRow.insert(name="who", value="second").execute()
    with database.read():
        assert MetaRow.get(MetaRow.name == "who").value == "first"
    other.close()


def test_nothing_can_be_asked_outside_of_a_block(database: Database) -> None:
    database.migrate()
    with pytest.raises((peewee.InterfaceError, AttributeError)):
        UserRow.select().count()


def test_a_database_that_is_not_there_says_so(tmp_path) -> None:
    missing = Database("postgresql://stead:secret@127.0.0.1:1/stead", timeout=1)
    with pytest.raises(Unavailable) as raised:
        missing.migrate()
    assert "secret" not in str(raised.value) + repr(missing)


@pytest.mark.parametrize("before", [None, 0o644])
def test_nobody_else_can_read_the_file(tmp_path: Path, before: int | None) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "stead.db"
    if before is not None:
        file.touch(before)
        file.chmod(before)
    database = Database(f"sqlite:///{file}")
    database.migrate()
    found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    database.close()
    assert found
    assert set(found.values()) == {0o600}, found
