"""Copies of a store: whole, while it is used, and from one kind of database to another.

    copy("sqlite:///feedback.db", "postgresql://…/ratings")        everything, as it is at one moment
    move("sqlite:///feedback.db", "postgresql://…/ratings")        the same; nobody can write to the old one any more
    backup("postgresql://…/ratings", Path("backups"))              a SQLite file named by the moment

Tables are taken from the schema, so that new ones come along. What was written is read again and compared.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, func, insert, select, text

from assent.core.errors import RunError, StoreError
from assent.core.files import disk_errors
from assent.feedback.config import SQLITE, StoreConfig
from assent.feedback.queue.batches import is_hidden, take_out
from assent.feedback.tables.connection import MOVED_AWAY, connect, read_transaction, write_transaction
from assent.feedback.tables.queue import ProjectRow
from assent.feedback.tables.schema import HEAD, MOVED, bring_to_head, every_table, revision
from assent.feedback.verifying import Digest, differing, digests_of, existing, rows_of, shown

_BLOCK = 500
_OWN = "last_number"
"""The table that an empty store has a row in."""


def copy(source: str, target: str) -> dict[str, Digest]:
    """Copy a store to a file that is not there or a database without a store; what it holds.

    Raises StoreError, or RunError where what was written is not what was read; nothing is left then.
    """
    _refuse_same(source, target)
    file = StoreConfig(url=target).file
    if file is None:
        with _opened(source) as engine, read_transaction(engine) as reading:
            return _pour(reading, target)
    if file.exists():
        raise StoreError(f"{file} is there already; copy to another name, or move it away first")
    with _beside(file) as part:
        if StoreConfig(url=source).file is not None:
            _copy_file(source, part)
            return _digests(SQLITE + str(part))
        with _opened(source) as engine, read_transaction(engine) as reading:
            return _pour(reading, SQLITE + str(part))


def move(source: str, target: str) -> dict[str, Digest]:
    """Copy a store while nobody may write to it, and mark it as moved: from then on every write to it fails."""
    _refuse_same(source, target)
    file = StoreConfig(url=target).file
    if file is not None and file.exists():
        raise StoreError(f"{file} is there already; move to another name")
    with _opened(source) as engine, write_transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            names = ", ".join(f'"{table.name}"' for table in every_table())
            connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
        if file is None:
            digests = _pour(connection, target)
        else:
            with _beside(file) as part:
                digests = _pour(connection, SQLITE + str(part))
        _mark_moved(connection)
    return digests


def backup(source: str, folder: Path, *, now: float) -> tuple[Path, dict[str, Digest]]:
    """Copy a store to a SQLite file in a folder, named by the moment (UTC)."""
    file = StoreConfig(url=source).file
    name = "store" if file is None else file.stem
    path = folder / f"{name}-{time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime(now))}.db"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return path, copy(source, SQLITE + str(path))


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Engine]:
    """A store that is there, brought to this schema."""
    engine = existing(url)
    try:
        bring_to_head(engine)
        yield engine
    finally:
        engine.dispose()


@contextlib.contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """A file beside another, only for its owner, that takes the other's name when all went well, else goes."""
    part = file.with_name(f".{file.name}.part")
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            yield part
            if file.exists():
                raise StoreError(f"{file} was made by somebody else meanwhile; copy to another name")
            part.rename(file)
        finally:
            _remove(part)


def _remove(part: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        Path(f"{part}{ending}").unlink(missing_ok=True)


def _copy_file(source: str, part: Path) -> None:
    """SQLite's own way to copy a file that is written to: pages as of one moment, those of the log included."""
    existing(source).dispose()
    file = StoreConfig(url=source).file
    connections = (sqlite3.connect(str(file)), sqlite3.connect(part))
    with contextlib.closing(connections[0]) as old, contextlib.closing(connections[1]) as new:
        old.backup(new)
        damage = new.execute("PRAGMA integrity_check").fetchone()[0]
    if damage != "ok":
        raise RunError(f"the copy of {file} is damaged ({damage}); run `assent store verify {file}`")


def _digests(url: str) -> dict[str, Digest]:
    engine = connect(url)
    try:
        with read_transaction(engine) as connection:
            is_current = revision(connection) == HEAD
        if not is_current:  # a copy of an older store stays one, and is upgraded when it is opened
            return {}
        _tidy(engine)
        with read_transaction(engine) as connection:
            digests = digests_of(connection)
        _close_log(engine)
        return digests
    finally:
        engine.dispose()


def _pour(reading: Connection, target: str) -> dict[str, Digest]:
    """Put all rows into a database without a store, in one transaction, and compare."""
    engine = connect(target)
    try:
        bring_to_head(engine)
        with write_transaction(engine) as connection:
            _refuse_full(connection, target)
            read = {table.name: Digest() for table in every_table()}
            for table in every_table():
                connection.execute(delete(table))
                block = []
                for row in rows_of(reading, table):
                    read[table.name].add(row)
                    block.append(row)
                    if len(block) == _BLOCK:
                        connection.execute(insert(table), block)
                        block = []
                if block:
                    connection.execute(insert(table), block)
            _set_sequences(connection)
            for difference in differing(read, digests_of(connection)):
                raise RunError(
                    f"what was written to {shown(target)} is not what was read: {difference}; nothing is kept"
                )
        _tidy(engine)
        _close_log(engine)
        return read
    finally:
        engine.dispose()


def _refuse_same(source: str, target: str) -> None:
    files = [StoreConfig(url=url).file for url in (source, target)]
    is_same = files[0].resolve() == files[1].resolve() if files[0] and files[1] else source == target
    if is_same:
        raise StoreError(f"{shown(source)} is named twice; name another place for the copy")


def _refuse_full(connection: Connection, target: str) -> None:
    for table in every_table():
        if table.name != _OWN and connection.execute(select(table).limit(1)).first() is not None:
            raise StoreError(f"{shown(target)} holds a store with rows in {table.name}; name an empty database")


def _set_sequences(connection: Connection) -> None:
    """Let PostgreSQL count on from the highest id; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in every_table():
        column = table.autoincrement_column
        if column is not None and column.autoincrement is not False:
            highest = connection.execute(select(func.max(column))).scalar()
            names = {"table": table.name, "column": column.name, "next": (highest or 0) + 1}
            sequence = "pg_get_serial_sequence(:table, :column)"
            connection.execute(text(f"SELECT setval({sequence}, :next, false) WHERE {sequence} IS NOT NULL"), names)


def _tidy(engine: Engine) -> None:
    """Take out of a copy what was being brought in when it was made: nobody goes on with it there."""
    with read_transaction(engine) as connection:
        names = [name for name in connection.execute(select(ProjectRow.name)).scalars() if is_hidden(name)]
    for name in names:
        take_out(engine, name)


def _close_log(engine: Engine) -> None:
    """Move SQLite's log into the file, which then is whole by itself."""
    if engine.dialect.name == "sqlite":
        with contextlib.closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _mark_moved(connection: Connection) -> None:
    """Make every write to a store fail, also those of services that have it open, and every opening say why."""
    connection.execute(text("UPDATE alembic_version SET version_num = :moved"), {"moved": MOVED})
    if connection.dialect.name == "postgresql":
        body = f"BEGIN RAISE EXCEPTION '{MOVED_AWAY}'; END"
        connection.execute(text(f"CREATE FUNCTION assent_moved() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"))
    for table in every_table():
        if connection.dialect.name == "postgresql":
            when = f'BEFORE INSERT OR UPDATE OR DELETE ON "{table.name}" FOR EACH STATEMENT'
            connection.execute(text(f"CREATE TRIGGER assent_moved {when} EXECUTE FUNCTION assent_moved()"))
            continue
        for deed in ("INSERT", "UPDATE", "DELETE"):
            body = f"BEGIN SELECT RAISE(ABORT, '{MOVED_AWAY}'); END"
            trigger = f'CREATE TRIGGER "moved_{table.name}_{deed}" BEFORE {deed} ON "{table.name}" {body}'
            connection.exec_driver_sql(trigger)
