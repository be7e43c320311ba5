"""Snapshots stay what they were; erasure forgets a person and names the snapshots it spoils."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text
from store_samples import comparison, judgment, people, task

from assent.core.errors import StoreError
from assent.core.hashing import hash_json
from assent.core.types import Rater
from assent.feedback.queue import snapshots
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction, stream
from assent.feedback.tables.queue import JudgmentRow

QUEUE = Queue()


def _fill(store: Store, *, order: int = 1) -> None:
    """Anna and Ben judge t and u; `order` -1: in the other order."""
    tasks = [task("t"), task("u")][::order]
    store.add_tasks(tasks, slots=2, now=0)
    for rater in people("anna", "ben")[::order]:
        store.register_rater(rater, now=0)
        for one in tasks:
            store.submit(judgment(one, rater.id, f"{rater.id}-{one.id}"), now=order)


def _held(url: str, name: str) -> list[str]:
    """The ids of the judgments that the newest snapshot of a name holds."""
    query = text(
        "SELECT judgment_id FROM snapshot_judgment WHERE snapshot_id ="
        " (SELECT max(id) FROM snapshot WHERE name = :name) ORDER BY judgment_id"
    )
    engine = connect(url)
    with read_transaction(engine) as connection:
        found = list(connection.execute(query, {"name": name}).scalars())
    engine.dispose()
    return found


def test_later_judgments_do_not_change_a_snapshot(store: Store, url: str) -> None:
    _fill(store)
    taken = store.snapshot("round-1", QUEUE, now=1)
    before = store.comparisons(QUEUE, snapshot=taken.hash)
    store.add_tasks([task("later")], now=2)
    store.submit(judgment(task("later"), "anna", "j"), now=2)
    store.submit(judgment(task("t"), "anna", "j2", supersedes="anna-t"), now=2)
    assert taken.judgments == 4 and _held(url, "round-1") == ["anna-t", "anna-u", "ben-t", "ben-u"]
    assert store.snapshot("round-1", QUEUE, now=3) == taken
    assert store.comparisons(QUEUE, snapshot=taken.hash) == before
    assert store.snapshot("round-2", QUEUE, now=3).judgments == 5
    assert _held(url, "round-2") == ["anna-u", "ben-t", "ben-u", "j", "j2"]


def test_the_hash_is_that_of_all_contents_in_one_list_whatever_is_held_at_a_time(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Artifacts name snapshots by it, so it stays what it was; ids are in the order of their bytes in any database."""
    monkeypatch.setattr(snapshots, "PIECE", 2)
    _fill(store)
    for rater, named in (("anna", "Z-u"), ("ben", "ä-u")):
        store.submit(judgment(task("u"), rater, named, supersedes=f"{rater}-u"), now=2)
    taken = store.snapshot("round-1", QUEUE, now=3)
    engine = connect(url)
    query = text("SELECT j.id, j.content_hash, t.content_hash FROM judgment j JOIN task t ON t.id = j.task_id")
    with read_transaction(engine) as connection:
        rows = [list(row) for row in connection.execute(query) if row[0] in _held(url, "round-1")]
    engine.dispose()
    assert [row[0] for row in sorted(rows)] == ["Z-u", "anna-t", "ben-t", "ä-u"]
    assert taken.hash == hash_json(sorted(rows))


def test_the_hash_depends_on_what_was_said_and_not_on_when(tmp_path: Path) -> None:
    hashes = []
    for name, order in (("a", 1), ("b", -1)):
        with Store.open(f"sqlite:///{tmp_path}/{name}.db") as store:
            _fill(store, order=order)
            hashes.append((store.snapshot(name, QUEUE, now=order).hash, store.comparisons(QUEUE)))
    assert hashes[0] == hashes[1]


def test_an_empty_queue_has_a_snapshot_too(store: Store) -> None:
    assert store.snapshot("none", QUEUE, now=0).judgments == 0


def test_a_name_belongs_to_one_queue(store: Store) -> None:
    store.snapshot("s", QUEUE, now=0)
    with pytest.raises(StoreError, match="of another queue"):
        store.snapshot("s", Queue("other"), now=0)
    with pytest.raises(StoreError, match="'nothing' is not in the store"):
        store.comparisons(QUEUE, snapshot="nothing")


def test_an_erased_rater_is_gone_and_their_snapshots_are_named(store: Store, url: str) -> None:
    _fill(store)
    with_anna = store.snapshot("round-1", QUEUE, now=1)
    store.submit(judgment(task("t"), "ben", "j", supersedes="ben-t"), now=2)
    erased = store.erase_rater("anna", now=3)
    assert (erased.judgments, erased.snapshots) == (2, (with_anna,))
    assert [r.id for r in store.raters()] == ["ben"]
    assert {j.rater_id for j in store.judgments(QUEUE, with_superseded=True)} == {"ben"}
    assert store.counts(QUEUE) == Counts(2, 4), "her slots are free again"
    with pytest.raises(StoreError, match="erased"):
        store.comparisons(QUEUE, snapshot=with_anna.hash)
    retaken = store.snapshot("round-1", QUEUE, now=4)
    assert _held(url, "round-1") == ["ben-u", "j"]
    assert store.erase_rater("ben", now=5).snapshots == (retaken,)


def test_nothing_of_an_erased_person_stays_in_the_database(store: Store, url: str) -> None:
    store.add_tasks([task("t")], now=0)
    store.register_rater(Rater(id="anna@home", kind="person", attributes={"region": "north"}), consent="v1", now=0)
    claim = store.claim("anna@home", QUEUE, now=0)[0]
    said = judgment(claim.task, "anna@home", "j", critique="as I, Anna, said", edits={"t/0": "private words"})
    store.submit(said, token=claim.token, now=1)
    store.erase_rater("anna@home", now=2)
    engine = connect(url)
    with read_transaction(engine) as connection:
        for table in ("rater", "rater_attribute", "lease", "presentation", "judgment", "judgment_event"):
            rows = str(connection.execute(text(f"SELECT * FROM {table}")).all())
            assert not any(word in rows for word in ("anna", "Anna", "north", "private")), table
    engine.dispose()
    with pytest.raises(StoreError, match="not in the store, or already erased"):
        store.erase_rater("anna@home", now=3)


def test_importing_the_same_file_does_not_bring_an_erased_rater_back(store: Store) -> None:
    store.import_comparisons([comparison("a")], QUEUE, now=0)
    store.erase_rater("anna", now=1)
    again = store.import_comparisons([comparison("a")], QUEUE, now=2)
    assert (again.added, again.new_raters) == (0, 0)
    assert [r.id for r in store.raters()] == ["ben"]
    assert [j.rater_id for c in store.comparisons(QUEUE) for j in c.judgments] == ["ben"]


def test_what_is_read_to_its_end_is_planned_for_all_of_it_and_only_that(store: Store) -> None:
    _fill(store)
    for is_whole in (True, False):
        with read_transaction(store._engine) as connection:
            if is_whole:
                said = list(stream(connection, select(JudgmentRow.id).order_by(JudgmentRow.id), piece=1).scalars())
                assert said == ["anna-t", "anna-u", "ben-t", "ben-u"]
            if store._engine.dialect.name == "postgresql":
                share = connection.execute(text("SHOW cursor_tuple_fraction")).scalar()
                assert share == ("1" if is_whole else "0.1")
