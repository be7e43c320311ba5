"""Opening stores: created, upgraded, shared between processes, and refused in one line where they cannot be used."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, text
from store_samples import people, task

from assent.core.errors import RunError, StoreError, UserError
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.store import Store
from assent.feedback.tables import schema
from assent.feedback.tables.connection import connect, read_transaction, write_transaction
from assent.feedback.tables.queue import ProjectRow, Table
from assent.feedback.tables.schema import HEAD, MIGRATIONS, revision
from quick_stores import FirstMigrated, migrate


def test_migrations_and_tables_agree(empty_url: str) -> None:
    Store.open(empty_url).close()
    engine = connect(empty_url)
    with read_transaction(engine) as connection:
        assert revision(connection) == HEAD
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []
    engine.dispose()


def test_stores_that_tests_make_quickly_are_those_that_migrations_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = FirstMigrated()
    for name, upgrade in (("whole", migrate), ("first", quick.upgrade), ("second", quick.upgrade)):
        monkeypatch.setattr(schema, "_upgrade", upgrade)
        Store.open(f"sqlite:///{tmp_path}/{name}.db").close()
    whole, first, second = (
        list(sqlite3.connect(tmp_path / f"{n}.db").iterdump()) for n in ("whole", "first", "second")
    )
    assert len(whole) > 50 and whole == first == second


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_sqlite_waits_for_the_disk_and_checks_keys(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/feedback.db").close()
    engine = connect(f"sqlite:///{tmp_path}/feedback.db")
    with read_transaction(engine) as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")
        }
        assert asked == {"journal_mode": "wal", "foreign_keys": 1}
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_what_was_stored_is_there_when_opened_again(empty_url: str) -> None:
    with Store.open(empty_url) as store:
        store.add_tasks([task("t")], now=0)
    with Store.open(empty_url) as store:
        assert store.counts(Queue()) == Counts(0, 1)


def _open_and_register(url: str, name: str) -> None:
    with Store.open(url) as store:
        store.register_rater(people(name)[0], now=0)


def test_many_processes_may_open_an_empty_store_at_once(empty_url: str) -> None:
    context = multiprocessing.get_context("fork")
    names = [f"rater-{i}" for i in range(6)]
    processes = [context.Process(target=_open_and_register, args=(empty_url, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0] * len(processes)
    with Store.open(empty_url) as store:
        assert [rater.id for rater in store.raters()] == names


def test_a_store_of_a_newer_version_is_refused(empty_url: str) -> None:
    Store.open(empty_url).close()
    engine = connect(empty_url)
    with write_transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'f00'"))
    engine.dispose()
    with pytest.raises(StoreError, match="'f00', newer than this Assent"):
        Store.open(empty_url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("feedback.db", "not a database URL"),
        ("mysql://host/db", "only sqlite"),
        ("nonsense://host/db", "only sqlite"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_an_unusable_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        Store.open(url)


def test_another_file_is_not_taken_for_a_store(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("these are my notes " * 100)
    with pytest.raises(StoreError, match="not a feedback store"):
        Store.open(f"sqlite:///{file}")
    assert file.read_text() == "these are my notes " * 100


def test_a_place_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        Store.open(f"sqlite:///{tmp_path}/file/feedback.db")
    with pytest.raises(StoreError, match="unable to open"):
        Store.open(f"sqlite:///{tmp_path}")


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    with Store.open(url) as store:
        store.add_tasks([task("t")], now=0)
    engine = connect(url)
    with pytest.raises(RunError, match="disk full while writing the store"), write_transaction(engine) as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite's own way to be full: no page more
        rows = [{"name": "x" * 4000 + str(i), "created_at": 0.0} for i in range(50)]
        connection.execute(insert(ProjectRow), rows)
    engine.dispose()
    with Store.open(url) as store:
        assert store.counts(Queue()) == Counts(0, 1)


def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    pytest.importorskip("psycopg", reason="the psycopg driver is not installed")
    with pytest.raises(StoreError) as error:
        Store.open("postgresql://someone:hunter2@127.0.0.1:9/none?connect_timeout=2")
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_relative_file_is_taken_from_the_projects_folder(tmp_path: Path) -> None:
    assert StoreConfig().located(tmp_path) == f"sqlite:///{tmp_path}/feedback.db"
    assert StoreConfig(url="sqlite:////srv/all.db").located(tmp_path) == "sqlite:////srv/all.db"
    assert StoreConfig(url="postgresql://host/db").located(tmp_path) == "postgresql://host/db"
