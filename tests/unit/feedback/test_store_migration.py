"""A store written by the first schema, opened today: every row is kept, read as before, and goes on being used.

`store_0001.json` holds the rows of a store that the code of the first schema filled: an imported comparison, claims, a
correction, a skip, a late judgment, an erased rater, a spoiled snapshot and its successor, gold and a decision.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Boolean, Connection, MetaData, Table, insert, inspect, select
from store_samples import comparison, judgment, task

from assent.core.types import Judgment, Ranking
from assent.feedback.records.queue import Counts, OpenTask, Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction, write_transaction
from assent.feedback.tables.schema import HEAD, MIGRATIONS, revision

QUEUE = Queue()
ROWS: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("store_0001.json").read_text())


@pytest.fixture
def old_url(empty_url: str) -> str:
    """URL of a database of revision 0001 with rows in every table."""
    engine = connect(empty_url)
    with write_transaction(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        tables = _tables(connection)
        assert set(tables) - {"alembic_version"} == set(ROWS)
        for name, rows in ROWS.items():  # parents come first in the file
            connection.execute(insert(tables[name]), rows)
        if connection.dialect.name == "postgresql":
            for name in ("slot", "presentation", "snapshot", "judgment_event", "adjudication", "guideline_version"):
                connection.exec_driver_sql(f"SELECT setval('{name}_id_seq', (SELECT max(id) FROM {name}))")
    engine.dispose()
    return empty_url


def _tables(connection: Connection) -> dict[str, Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return dict(metadata.tables)


def _as_json(rows: Sequence[Any], table: Table) -> list[dict[str, Any]]:
    """Rows as the file writes them; SQLite reflects JSON and booleans as what it stores."""
    columns = {c.name: bool(isinstance(c.type, Boolean)) for c in table.columns}
    return [{n: bool(v) if columns[n] else v for n, v in row._mapping.items()} for row in rows]


def test_every_row_of_the_first_schema_is_kept(old_url: str) -> None:
    Store.open(old_url).close()
    engine = connect(old_url)
    with read_transaction(engine) as connection:
        assert revision(connection) == HEAD
        tables = _tables(connection)
        for name, rows in ROWS.items():
            old = [tables[name].c[column] for column in rows[0]]
            keys = [tables[name].c[c] for c in inspect(connection).get_pk_constraint(name)["constrained_columns"]]
            found = _as_json(connection.execute(select(*old).order_by(*keys)).all(), tables[name])
            wanted = sorted(rows, key=lambda row: [row[key.name] for key in keys])
            assert found == wanted, name
        said, task = tables["judgment"].c, tables["task"].c
        named = select(said.project, said.purpose, task.project, task.purpose).where(task.id == said.task_id)
        placed = connection.execute(named).all()
        assert len(placed) == len(ROWS["judgment"]) and all(row[:2] == row[2:] for row in placed)
    engine.dispose()


def test_a_store_of_the_first_schema_reads_as_before(old_url: str) -> None:
    with Store.open(old_url) as store:
        assert store.counts(QUEUE) == Counts(4, 8)
        assert store.open_tasks(QUEUE) == [OpenTask("t", 3, 2), OpenTask("v", 1, 1), OpenTask("w", 1, 1)]
        imported = ["j-2b6a014aad60d35e925d349c", "j-a4f7ccc0408b49cb8691ae4b"]
        said = store.judgments(QUEUE, with_superseded=True)
        assert [j.id for j in said] == ["a1", "a2", "a3", "b1", *imported, "s1"]
        assert said[0] == judgment(
            task("t", answers=3),
            "anna",
            "a1",
            seconds=4.5,
            order_shown=("t/2", "t/0", "t/1"),
            flags={"t/1": ("unsafe",)},
            scores={"t/0": {"honest": 0.5}},
            critique="so so",
            edits={"t/2": "better words"},
        )
        assert said[2] == Judgment(task_id="u", rater_id="anna", id="a3")
        snapshot = store.snapshot("round-1", QUEUE, now=99)
        assert snapshot.judgments == len(["a2", "b1", *imported, "s1"])
        assert len(store.comparisons(QUEUE, snapshot=snapshot.hash)) == 4
        assert {r.id: r.attributes for r in store.raters()} == {
            "anna": {"region": "north"},
            "ben": {},
            "sim": {"group": "warm"},
            "zoe": {},
        }
        (project,) = store.projects.all()
        assert project.settings == ProjectSettings()
        assert project.guideline is not None
        assert project.guideline.text == "be kind"
        assert store.projects.gold("default") == {"v": (Ranking(tiers=(("v/0",), ("v/1",))), "sure")}
        assert [d.reason for d in store.projects.adjudications("default")] == ["nobody knows"]


def test_old_judgments_are_numbered_in_the_order_in_which_they_were_listed(old_url: str) -> None:
    with Store.open(old_url) as store:
        every = store.listing.judgments(QUEUE, limit=99, with_superseded=True, with_erased=True)
        assert [one.number for one in every] == list(range(1, len(ROWS["judgment"]) + 1))
        assert every == sorted(every, key=lambda one: (one.submitted_at, one.judgment.id))
        store.submit(judgment(task("u"), "ben", "new"), now=0)
        after = (every[-1].number, every[-1].judgment.id)
        assert [one.judgment.id for one in store.listing.judgments(QUEUE, after=after, limit=9)] == ["new"]


def test_what_was_said_before_is_known_when_it_comes_again(old_url: str) -> None:
    with Store.open(old_url) as store:
        said = {j.id: j for j in store.judgments(QUEUE, with_superseded=True)}
        assert [store.submit(j, now=99).status for j in said.values()] == ["known"] * len(said)
        file = comparison("i", raters=("zoe", "ben"), meta={"topic": "x"})
        assert store.import_comparisons([file], QUEUE, now=99).known == 2


def test_a_store_of_the_first_schema_goes_on(old_url: str) -> None:
    with Store.open(old_url) as store:
        store.projects.save("default", ProjectSettings(newcomer_tasks=0, gold_share=0), now=99)
        served = store.serve("zoe", QUEUE, limit=9, now=100)
        assert sorted(s.task.id for s in served) == ["t", "v", "w"], "what anna held until 54 is free again"
        for one in served:
            assert (
                store.submit(judgment(one.task, "zoe", f"z-{one.task.id}"), token=one.token, now=101).status == "stored"
            )
        assert store.counts(QUEUE).have == 7
        said = judgment(task("t", answers=3), "anna", "a4", supersedes="a2")
        assert store.submit(said, now=102).status == "stored"
        assert store.counts(QUEUE).have == 7
