"""Looking through a store: is it whole, what does it hold, and does another hold the same?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, make_url, select

from assent.core.errors import StoreError
from assent.feedback.config import StoreConfig
from assent.feedback.queue.batches import is_hidden
from assent.feedback.tables.arrivals import LastNumber
from assent.feedback.tables.connection import connect, read_transaction, stream
from assent.feedback.tables.queue import JudgmentRow, ProjectRow
from assent.feedback.tables.schema import HEAD, every_table, revision

_MODULUS = 2**256
_WAL_VERSION = b"\x02"  # byte 18 of a SQLite file in WAL mode


@dataclass
class Digest:
    """Rows of a table, and a sum of their hashes: the same in whatever order a database gives them."""

    rows: int = 0
    total: int = 0

    def add(self, values: Mapping[str, Any]) -> None:
        """Count a row."""
        # SQLite has no minus zero.
        same = {name: value or 0.0 if isinstance(value, float) else value for name, value in values.items()}
        plain = json.dumps(same, sort_keys=True, default=repr)
        self.total = (self.total + int.from_bytes(hashlib.sha256(plain.encode()).digest(), "big")) % _MODULUS
        self.rows += 1

    def __str__(self) -> str:
        return f"{self.total:064x}"[:12]


@dataclass(frozen=True)
class Verdict:
    """What was found."""

    lines: tuple[str, ...]
    problems: tuple[str, ...]


def shown(url: str) -> str:
    """A store's address for people to see, without its password."""
    return make_url(url).render_as_string(hide_password=True)


def verify(url: str, other: str | None = None) -> Verdict:
    """Look a store through, and compare it with another. Nothing is written or upgraded. Raises StoreError."""
    digests, lines, problems = _look(url)
    if other is None:
        return Verdict(tuple(lines), tuple(problems))
    theirs, their_lines, their_problems = _look(other)
    differences = list(differing(digests, theirs))
    same = [] if differences else ["both hold the same: every table, row by row"]
    return Verdict((*lines, *their_lines, *same), (*problems, *their_problems, *differences))


def differing(ours: Mapping[str, Digest], theirs: Mapping[str, Digest]) -> Iterator[str]:
    """A line for each table in which two stores differ."""
    for name, digest in ours.items():
        found = theirs[name]
        if digest.rows != found.rows:
            yield f"{name}: {digest.rows} rows in the one, {found.rows} in the other"
        elif digest.total != found.total:
            yield f"{name}: {digest.rows} rows in both, but not the same ones ({digest} and {found})"


def digests_of(connection: Connection) -> dict[str, Digest]:
    """What every table holds."""
    found = {}
    for table in every_table():
        found[table.name] = Digest()
        for row in rows_of(connection, table):
            found[table.name].add(row)
    return found


def rows_of(connection: Connection, table: Table) -> Iterator[Mapping[str, Any]]:
    """All rows of a table, some at a time."""
    for row in stream(connection, select(table), piece=1000):
        yield row._asdict()


def existing(url: str) -> Engine:
    """An engine for a store that is there. Raises StoreError where there is none: looking must not make one."""
    config = StoreConfig(url=url)
    if not config.exists:
        raise StoreError(f"there is no store {config.file}; check the name")
    engine = connect(url)
    try:
        with read_transaction(engine) as connection:
            found = revision(connection)
    except BaseException:
        engine.dispose()
        raise
    if found is None:
        engine.dispose()
        raise StoreError(f"{shown(url)} holds no feedback store; check the name")
    return engine


def _look(url: str) -> tuple[dict[str, Digest], list[str], list[str]]:
    wal = _wal_of(url)
    engine = existing(url)
    try:
        with read_transaction(engine) as connection:
            found = revision(connection)
            if found != HEAD:
                raise StoreError(
                    f"{shown(url)} has schema revision {found}, this Assent's is {HEAD}; open it once with"
                    " `assent rate` to upgrade it, or verify it with the Assent that wrote it"
                )
            problems = [*_broken(connection), *_misnumbered(connection)]
            digests = digests_of(connection)
            left = [name for name in connection.execute(select(ProjectRow.name)).scalars() if is_hidden(name)]
            newest = connection.execute(select(func.max(JudgmentRow.number))).scalar()
    finally:
        engine.dispose()
    held = ", ".join(f"{name} {digest.rows}" for name, digest in digests.items() if digest.rows)
    lines = [f"{shown(url)}: {held or 'empty'}", f"newest judgment: number {newest}, content {_content(digests)}"]
    lines += ["an import is on its way, or was stopped: its rows are not shown"] if left else []
    return digests, lines + wal, problems


def _content(digests: Mapping[str, Digest]) -> str:
    return hashlib.sha256("".join(f"{n}{d.rows}{d.total}" for n, d in sorted(digests.items())).encode()).hexdigest()[
        :16
    ]


def _broken(connection: Connection) -> Iterator[str]:
    """What SQLite says of its own file; PostgreSQL keeps watch itself."""
    if connection.dialect.name != "sqlite":
        return
    for row in connection.exec_driver_sql("PRAGMA integrity_check"):
        if row[0] != "ok":
            yield f"the file is damaged: {row[0]}; restore a backup"
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5):
        yield f"row {row[1]} of {row[0]} points to a row of {row[2]} that is not there; restore a backup"


def _misnumbered(connection: Connection) -> Iterator[str]:
    last = connection.execute(select(LastNumber.number)).scalar() or 0
    newest = connection.execute(select(func.max(JudgmentRow.number))).scalar() or 0
    if newest > last:
        yield f"judgment number {newest} is beyond the last one given, {last}: those who follow judgments may miss some"


def _wal_of(url: str) -> list[str]:
    """What a SQLite file's log says, read before the file is opened: opening makes one."""
    file = StoreConfig(url=url).file
    if file is None or not file.is_file():
        return []
    with file.open("rb") as opened:
        is_wal = opened.read(20)[18:19] == _WAL_VERSION
    if is_wal and not Path(f"{file}-wal").exists():
        return [
            f"{file} has no {file.name}-wal beside it: it is whole if the service was stopped or"
            " `assent store` made it; a file copied by hand from a running service lacks what was said last"
        ]
    return []
