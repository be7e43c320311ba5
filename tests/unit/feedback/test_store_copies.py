"""Copies of a store hold everything, whatever tables there are, whoever writes meanwhile, whichever database it is."""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Double, Float, Integer, Table, Text, insert, inspect, select
from store_samples import comparison, judgment, people, task
from typer.testing import CliRunner

from assent.cli import app
from assent.core.errors import RunError, StoreError
from assent.feedback.copying import backup, copy, move
from assent.feedback.queue.adding import _queued
from assent.feedback.queue.batches import _begin
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction, write_transaction
from assent.feedback.tables.schema import every_table
from assent.feedback.verifying import digests_of, shown, verify

KINDS = ("sqlite", "postgresql")


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """The URL of a new place for a store, on a kind of database."""

    def new(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/{uuid.uuid4().hex[:8]}.db"
        import psycopg

        cluster = request.getfixturevalue("postgres_cluster")
        name = f"db_{uuid.uuid4().hex[:10]}"
        with psycopg.connect(f"host={cluster} user=owner dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://owner@/{name}?host={cluster}"

    return new


def _value(table: Table, column: Any, n: int, rows: dict[str, list[dict[str, Any]]]) -> Any:
    """A value that fits a column, another in each row; of keys those of the rows that they point to."""
    for key in column.foreign_keys:
        parent = key.column.table.name
        if parent == table.name:
            return rows[parent][0][key.column.name] if n else None
        return rows[parent][n % len(rows[parent])][key.column.name]
    match column.type:
        case Boolean():
            return bool(n % 2)
        case BigInteger():
            return 2**40 + n
        case Integer():
            return 10 + n
        case Double() | Float():
            return 0.1 + n + 1e-9
        case Text():
            return f"{table.name} {column.name} {n} ü\n\"'\\ \U0001f600 \u2028"
        case _:
            return {"a": [1, 2.5, None, True, "ü\n"], "n": n, "": {}}


def _filled(url: str) -> None:
    """A store with three rows in every table, each column with a value of its own."""
    Store.open(url).close()
    engine = connect(url)
    rows: dict[str, list[dict[str, Any]]] = {}
    with write_transaction(engine) as connection:
        for table in every_table():
            connection.execute(table.delete())
            rows[table.name] = []
            for n in range(3):
                rows[table.name].append({c.name: _value(table, c, n, rows) for c in table.columns})
            connection.execute(insert(table), rows[table.name])
    engine.dispose()


def _contents(url: str) -> dict[str, list[str]]:
    """Every row of every table as text, sorted."""
    engine = connect(url)
    with read_transaction(engine) as connection:
        found = {
            table.name: sorted(repr(row._asdict()) for row in connection.execute(select(table)))
            for table in every_table()
        }
        assert set(inspect(connection).get_table_names()) == set(found) | {"alembic_version"}
    engine.dispose()
    return found


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_every_table_and_column_comes_along(place: Callable[[str], str], source: str, target: str) -> None:
    old, new = place(source), place(target)
    _filled(old)
    held = copy(old, new)
    assert _contents(new) == _contents(old) and all(len(rows) == 3 for rows in _contents(new).values())
    assert {name: digest.rows for name, digest in held.items()} == dict.fromkeys(held, 3)
    verdict = verify(old, new)
    assert "both hold the same: every table, row by row" in verdict.lines
    assert not [problem for problem in verdict.problems if "points to" in problem]


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_a_copied_store_goes_on(place: Callable[[str], str], source: str, target: str) -> None:
    old, new = place(source), place(target)
    with Store.open(old) as store:
        store.add_tasks([task(f"t{n}") for n in range(6)], slots=2, now=0)
        store.register_rater(people("anna")[0], now=0)
        store.import_comparisons([comparison("i")], Queue(), now=0)
        store.projects.publish_guideline("default", "be kind", now=0)
        store.submit(judgment(task("t0"), "anna", "a"), now=1)
        (last,) = store.listing.judgments(Queue(), limit=9)[-1:]
    copy(old, new)
    with Store.open(new) as store:
        assert store.counts(Queue()) == Counts(3, 14)
        for served in store.serve("anna", Queue(), limit=3, now=2):
            store.submit(judgment(served.task, "anna", f"n-{served.task.id}"), token=served.token, now=3)
        store.add_tasks([task("later")], now=4)
        store.projects.publish_guideline("default", "be kinder", now=4)
        new_ones = store.listing.judgments(Queue(), after=(last.number, "a"), limit=9)
        assert len(new_ones) == 3, "the cursor of before goes on in the copy"
    assert verify(old).problems == verify(new).problems == ()
    differences = verify(old, new).problems
    assert "judgment: 3 rows in the one, 6 in the other" in differences


@pytest.fixture
def busy(url: str) -> Iterator[str]:
    """A store in use: somebody judges all the time."""
    is_over = threading.Event()
    with Store.open(url) as store:
        store.add_tasks([task(f"t{n}") for n in range(3000)], now=0)
        store.register_rater(people("anna")[0], now=0)
        store.submit(judgment(task("t2999"), "anna", "first"), now=0)

        def rate() -> None:
            for n in range(2999):
                if is_over.is_set():
                    return
                store.submit(judgment(task(f"t{n}"), "anna", f"j{n}"), now=n)

        rater = threading.Thread(target=rate)
        rater.start()
        yield url
        is_over.set()
        rater.join()


@pytest.mark.slow
@pytest.mark.parametrize("target", KINDS)
def test_a_store_in_use_is_copied_as_of_one_moment(busy: str, place: Callable[[str], str], target: str) -> None:
    before = len(_judgments(busy))
    new = place(target)
    copy(busy, new)
    after = len(_judgments(busy))
    copied = _judgments(new)
    assert before <= len(copied) <= after
    assert copied == ["first", *(f"j{n}" for n in range(len(copied) - 1))], "none in the middle is missing"
    with Store.open(new) as store:
        assert store.counts(Queue()) == Counts(len(copied), 3000), "each with its slot"
    assert verify(new).problems == ()


def _judgments(url: str) -> list[str]:
    with Store.open(url) as store:
        return [one.judgment.id for one in store.listing.judgments(Queue(), limit=10000)]


def test_a_file_copied_by_hand_lacks_what_is_in_the_log_and_verify_says_how_to_tell(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/live.db"
    with Store.open(url) as store:
        store.add_tasks([task("t")], now=0)
        store.register_rater(people("anna")[0], now=0)
        store.submit(judgment(task("t"), "anna", "a"), now=0)
        shutil.copy(tmp_path / "live.db", tmp_path / "by-hand.db")
        copy(url, f"sqlite:///{tmp_path}/copy.db")
        with (tmp_path / "live.db-wal").open("rb") as log:
            assert log.read(1), "as in a running service"
        assert verify(url, f"sqlite:///{tmp_path}/copy.db").problems == ()
    assert not (tmp_path / "copy.db-wal").exists() and (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert _judgments(f"sqlite:///{tmp_path}/copy.db") == ["a"]
    try:
        said = verify(f"sqlite:///{tmp_path}/by-hand.db").lines
    except StoreError as error:  # nothing had left the log yet, not even the tables
        said = (str(error),)
    assert "by-hand.db-wal beside it" in " ".join(said) or "holds no feedback store" in " ".join(said)


@pytest.mark.parametrize("target", KINDS)
def test_a_moved_store_takes_nothing_more_also_from_those_who_have_it_open(
    empty_source: str, place: Callable[[str], str], target: str
) -> None:
    new = place(target)
    with Store.open(empty_source) as running:
        running.add_tasks([task("t"), task("u")], now=0)
        running.register_rater(people("anna")[0], now=0)
        running.submit(judgment(task("t"), "anna", "a"), now=1)
        move(empty_source, new)
        with pytest.raises(RunError, match="has moved to another database; stop this service"):
            running.submit(judgment(task("u"), "anna", "b"), now=2)
        with pytest.raises(RunError, match="has moved"):
            running.register_rater(people("ben")[0], now=2)
    with pytest.raises(StoreError, match="has moved to another database with `assent store move`; open that one"):
        Store.open(empty_source)
    with pytest.raises(StoreError, match="has moved"):
        move(empty_source, place(target))
    with Store.open(new) as store:
        assert store.submit(judgment(task("u"), "anna", "b"), now=2).status == "stored"
    assert _judgments(new) == ["a", "b"]


@pytest.fixture(params=KINDS)
def empty_source(request: pytest.FixtureRequest, place: Callable[[str], str]) -> str:
    """A place for the store that is moved."""
    return place(request.param)


def test_what_was_being_brought_in_does_not_come_along(url: str, place: Callable[[str], str]) -> None:
    with Store.open(url) as store:
        store.add_tasks([task("own")], now=0)
        hidden, tasks = _begin(store._engine, now=0), [task(f"t{n}") for n in range(5)]
        with write_transaction(store._engine) as connection:
            _queued(tasks, 1, 0.0, 0).hide(connection, tasks, hidden)
    assert any("on its way" in line for line in verify(url).lines)
    for kind in KINDS:
        new = place(kind)
        copy(url, new)
        engine = connect(new)
        with read_transaction(engine) as connection:
            found = digests_of(connection)
        engine.dispose()
        assert (found["task"].rows, found["slot"].rows, found["batch"].rows, found["project"].rows) == (1, 1, 0, 1)


def test_places_that_cannot_be_used_are_refused_and_nothing_is_left(url: str, tmp_path: Path) -> None:
    with Store.open(url) as store:
        store.add_tasks([task("t")], now=0)
    taken = tmp_path / "taken.db"
    taken.write_text("mine")
    with pytest.raises(StoreError, match="taken.db is there already"):
        copy(url, f"sqlite:///{taken}")
    assert taken.read_text() == "mine"
    with pytest.raises(StoreError, match="is named twice"):
        copy(url, url)
    with pytest.raises(StoreError, match="there is no store"):
        copy(f"sqlite:///{tmp_path}/nothing.db", f"sqlite:///{tmp_path}/new.db")
    (tmp_path / "notes.db").write_text("these are my notes " * 100)
    with pytest.raises(StoreError, match="not a feedback store"):
        copy(f"sqlite:///{tmp_path}/notes.db", f"sqlite:///{tmp_path}/new.db")
    assert not (tmp_path / "new.db").exists() and not list(tmp_path.glob("*.part*")), "nor a part of one"


def test_a_database_with_rows_is_no_target(place: Callable[[str], str], tmp_path: Path) -> None:
    full, source = place("postgresql"), f"sqlite:///{tmp_path}/a.db"
    for url, name in ((full, "theirs"), (source, "ours")):
        with Store.open(url) as store:
            store.add_tasks([task(name)], now=0)
    with pytest.raises(StoreError, match=r"holds a store with rows in \w+; name an empty database"):
        copy(source, full)
    with Store.open(full) as store:
        assert store.task_ids(Queue()) == ["theirs"]


def test_the_commands_say_what_they_did(url: str, tmp_path: Path) -> None:
    with Store.open(url) as store:
        store.add_tasks([task("t")], now=0)
    run = CliRunner().invoke
    made = run(app, ["store", "backup", url, "--to", str(tmp_path / "backups")])
    (file,) = (tmp_path / "backups").iterdir()
    assert made.exit_code == 0 and str(file) in made.output and "task 1" in made.output
    assert file.stat().st_mode & 0o777 == 0o600
    same = run(app, ["store", "verify", url, str(file)])
    assert same.exit_code == 0 and same.output.endswith("whole\n"), same.output
    again = run(app, ["store", "copy", str(file), str(tmp_path / "restored.db")])
    assert again.exit_code == 0 and "task 1" in again.output
    same = run(app, ["store", "verify", str(file), str(tmp_path / "restored.db")])
    assert same.exit_code == 0 and same.output.endswith("whole\n"), same.output
    with Store.open(f"sqlite:///{tmp_path}/restored.db") as store:
        store.add_tasks([task("u")], now=0)
    other = run(app, ["store", "verify", url, str(tmp_path / "restored.db")])
    assert other.exit_code == 1 and "wrong: task: 1 rows in the one, 2 in the other" in other.output


def test_a_backup_is_named_by_the_moment_and_passwords_are_not_shown(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    Store.open(url).close()
    path, _ = backup(url, tmp_path / "b", now=1767225600.0)
    assert path.name == "feedback-2026-01-01T00-00-00Z.db"
    assert "hunter2" not in shown("postgresql://me:hunter2@host/db")


def test_damage_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with Store.open(url) as store:
        store.add_tasks([task(f"t{n}") for n in range(300)], now=0)
    content = bytearray((tmp_path / "a.db").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = b"\xff" * 3000
    (tmp_path / "a.db").write_bytes(bytes(content))
    try:
        problems = verify(url).problems
    except StoreError as error:
        problems = (str(error),)
    assert "damaged" in json.dumps(problems) or "malformed" in json.dumps(problems)
