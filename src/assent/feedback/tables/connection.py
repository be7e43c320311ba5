"""Connections to the store's database: SQLite in WAL mode or PostgreSQL, and what their errors mean in one line."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Select, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, ProgrammingError

from assent.core.errors import RunError, StoreError
from assent.core.files import disk_errors, make_private
from assent.feedback.config import without_password
from assent.feedback.tables.queue import Table

BUSY_SECONDS = 60.0
"""How long a writer waits for the one that is writing (SQLite)."""
MOVED_AWAY = "this store has moved to another database"
"""What the triggers of `assent store move` say to whoever goes on writing."""
_LOG_MILLISECONDS = 2000
_ATTEMPTS = 6
_BROKEN_OFF = ("40P01", "40001")  # deadlock detected, could not serialize

Result = TypeVar("Result")


def connect(url: str) -> Engine:
    """An engine for `sqlite:///file` or `postgresql://…`. Raises StoreError for any other or an unusable URL."""
    location = _parse(url)
    if location.get_backend_name() == "sqlite":
        return _connect_sqlite(location)
    try:
        return create_engine(
            location.set(drivername="postgresql+psycopg"), json_serializer=_to_json, pool_pre_ping=True, pool_size=8
        )
    except ModuleNotFoundError:
        raise StoreError("a PostgreSQL store wants the psycopg driver; pip install 'assent[postgres]'") from None


@contextlib.contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes, all or nothing. On SQLite it holds the write lock from its first moment."""
    with _clear_errors(engine), engine.execution_options(writes=True).begin() as connection:
        yield connection


def write(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Do `work` in one writing transaction, again where PostgreSQL broke it off to end a deadlock."""
    for attempt in range(_ATTEMPTS):
        try:
            with write_transaction(engine) as connection:
                return work(connection)
        except StoreError as error:
            state = getattr(getattr(error.__cause__, "orig", None), "sqlstate", None)
            if state not in _BROKEN_OFF or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")


@contextlib.contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction that sees a single state of the store however long it reads."""
    options: dict[str, Any] = {"writes": False}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    with _clear_errors(engine), engine.execution_options(**options).begin() as connection:
        yield connection


def stream(connection: Connection, query: Select[*tuple[Any, ...]], *, piece: int) -> Any:
    """The rows of a query that is read to its end, a piece at a time.

    PostgreSQL would look row after row up in indexes, for it plans a cursor as if a tenth of it were wanted.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 1")
    return connection.execute(query.execution_options(yield_per=piece))


def analyze(connection: Connection, table: type[Table]) -> None:
    """Let PostgreSQL look at a table that grew in this transaction: it plans as if nothing had been added."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {table.__tablename__}")


def empty_log(engine: Engine) -> None:
    """Move what SQLite still keeps in its log into the file, so that erased words leave both.

    Where somebody reads at this moment it is left for the next time, at last until the store is closed.
    """
    if engine.dialect.name != "sqlite":
        return
    with contextlib.closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_LOG_MILLISECONDS}")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            cursor.execute(f"PRAGMA busy_timeout={round(1000 * BUSY_SECONDS)}")


def upsert(dialect: str, table: type[Table]) -> Any:
    """An INSERT that knows ON CONFLICT, which both databases have and SQLAlchemy spells twice."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_missing(connection: Connection, table: type[Table], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there yet; the others stay as they are."""
    if rows:
        connection.execute(upsert(connection.dialect.name, table).on_conflict_do_nothing(), list(rows))


def _parse(url: str) -> URL:
    try:
        location = make_url(url)
        backend = location.get_backend_name()
    except (ArgumentError, ValueError):
        shown = without_password(url)
        raise StoreError(f"store url {shown!r} is not a database URL; write sqlite:///file or postgresql://…") from None
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(f"store url starts with {backend!r}; only sqlite:///file and postgresql://… are supported")
    if backend == "sqlite" and location.database in (None, "", ":memory:"):
        raise StoreError("store url names no file; write sqlite:///feedback.db")
    return location


def _connect_sqlite(location: URL) -> Engine:
    path = Path(str(location.database))
    if _is_read_only(path):
        return _read_only_sqlite(location, path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    make_private(path)  # SQLite gives its log and its shared memory the mode of the file
    engine = create_engine(location, json_serializer=_to_json, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver's own idea of when to begin a transaction would give a deferred one; ours is in `_begin`.
        connection.isolation_level = None
        _enter_wal_mode(connection)
        connection.execute("PRAGMA synchronous=FULL")  # an acknowledged judgment survives a power cut
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten, not only forgotten

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _is_read_only(path: Path) -> bool:
    """Whether this process may read the file and change nothing in its folder, so that SQLite can keep no log there.

    A log with something in it belongs to the file: then it takes SQLite's own way, which says what is missing.
    """
    log = path.with_name(f"{path.name}-wal")
    has_log = log.is_file() and log.stat().st_size > 0
    may_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return path.is_file() and os.access(path, os.R_OK) and not may_write and not has_log


def _read_only_sqlite(location: URL, path: Path) -> Engine:
    """To look at a store that nobody changes here, such as one in a project folder of somebody else."""
    name = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)

    engine = create_engine(location, json_serializer=_to_json, creator=connect)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _enter_wal_mode(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL. SQLite does not wait here when another process switches at the same moment; we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


@contextlib.contextmanager
def _clear_errors(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        where = without_password(engine.url.render_as_string(hide_password=True))
        if MOVED_AWAY in str(error.orig):
            raise RunError(f"{where}: {MOVED_AWAY}; stop this service and start it on the other") from error
        if isinstance(error, IntegrityError | ProgrammingError):
            raise  # a mistake in this package, not of the user or the disk
        said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        if "disk is full" in said or getattr(error.orig, "sqlstate", None) == "53100":
            raise RunError(f"disk full while writing the store {where}: free some space and run again") from error
        if "locked" in said:
            raise StoreError(f"store {where} is locked by another process for over {BUSY_SECONDS:.0f} s") from error
        if "readonly" in said or "unable to open" in said:
            raise StoreError(f"cannot write the store {where}: {said}; fix permissions or the url") from error
        if "not a database" in said or "malformed" in said:
            raise StoreError(
                f"{where} is not a feedback store ({said}); restore a copy or choose another file"
            ) from error
        raise StoreError(f"the store {where} failed: {said}") from error
