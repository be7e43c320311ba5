"""Bringing much in: shown as a whole or not at all, whoever looks meanwhile, fails, or dies."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from store_samples import comparison, judgment, people, task

from assent.core.errors import StoreError
from assent.core.types import Comparison, Task
from assent.feedback.queue import batches
from assent.feedback.queue.adding import _queued
from assent.feedback.queue.batches import BLOCK, Observer, hidden, take_out
from assent.feedback.records.queue import Counts, ImportCounts, Queue
from assent.feedback.store import Store
from assent.feedback.tables.connection import read_transaction
from assent.feedback.tables.queue import JudgmentRow, Table

MANY = 3 * BLOCK + 7


def _tasks(number: int = MANY, first: int = 0) -> list[Task]:
    return [task(f"t{n:04}") for n in range(first, first + number)]


def _rows(store: Store) -> dict[str, int]:
    """How many rows every table has."""
    with read_transaction(store._engine) as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in Table.metadata.tables.items()
        }


def _while_it_goes_on(work: Callable[[], Any], look: Callable[[], Any]) -> set[Any]:
    """Everything that `look` gives while `work` is done."""
    thread, seen = threading.Thread(target=work), set()
    thread.start()
    while thread.is_alive():
        seen.add(look())
    thread.join()
    return seen


def test_those_who_look_see_all_tasks_or_none(store: Store) -> None:
    store.register_rater(people("anna")[0], now=0)

    def look() -> tuple[int, int, int, int]:
        listed = len(store.listing.tasks(Queue(), limit=10 * MANY))
        names = [project.name for project in store.projects.all()]
        assert names in ([], ["default"])
        return listed, len(store.task_ids(Queue())), store.counts(Queue()).need, len(store.open_tasks(Queue()))

    seen = _while_it_goes_on(lambda: store.add_tasks(_tasks(), slots=2, now=0), look)
    whole = {0: (0, 0, 0, 0), MANY: (MANY, MANY, 2 * MANY, MANY)}
    for listed, ids, slots, waiting in seen:
        assert {listed, ids, slots / 2, waiting} <= {0, MANY}, "each look is a transaction of its own"
    assert look() == whole[MANY] and store.tasks(["t0000"])["t0000"] == task("t0000")
    assert len(store.serve("anna", Queue(), limit=3, now=1)) == 3


def test_those_who_look_see_all_of_an_import_or_nothing(store: Store) -> None:
    file = [comparison(f"i{n}") for n in range(MANY)]

    def look() -> int:
        assert store.counts(Queue()).have in (0, 2 * MANY) and len(store.said("default")) in (0, 2 * MANY)
        assert sum(done.judgments for done in store.listing.activity().values()) in (0, 2 * MANY)
        return len(store.listing.judgments(Queue(), limit=10 * MANY))

    seen = _while_it_goes_on(lambda: store.import_comparisons(file, Queue(), now=0), look)
    assert seen <= {0, 2 * MANY} and look() == 2 * MANY
    numbers = [one.number for one in store.listing.judgments(Queue(), limit=10 * MANY)]
    assert numbers == list(range(1, 2 * MANY + 1))
    with read_transaction(store._engine) as connection:
        assert set(connection.execute(select(JudgmentRow.project, JudgmentRow.purpose))) == {("default", "reward")}
    assert store.import_comparisons(file, Queue(), now=9) == ImportCounts(MANY, 0, 2 * MANY, 0)


def test_a_large_file_ends_as_the_same_file_in_small_parts_would(store: Store, tmp_path: Any) -> None:
    file = [comparison(f"i{n}") for n in range(MANY)]
    file += [comparison("i3", raters=("cleo",)), comparison("i5", raters=("cleo", "dan"))]
    said = file[0].judgments[0].model_copy(update={"id": "first"})
    file[0] = file[0].model_copy(update={"judgments": (said,)})
    late = said.model_copy(update={"id": "second", "supersedes": "first", "critique": "on second thought"})
    again = said.model_copy(update={"id": "third", "critique": "once more"})  # the same rater, no correction: a repeat
    file += [file[0].model_copy(update={"judgments": (one,)}) for one in (late, again)]
    counts = store.import_comparisons(file, Queue(), now=0)
    with Store.open(f"sqlite:///{tmp_path}/parts.db") as other:
        parts = [other.import_comparisons(file[n : n + 100], Queue(), now=0) for n in range(0, len(file), 100)]
        assert counts == ImportCounts(*(sum(one) for one in zip(*(vars(p).values() for p in parts), strict=True)))
        assert store.judgments(Queue(), with_superseded=True) == other.judgments(Queue(), with_superseded=True)
        assert store.comparisons(Queue()) == other.comparisons(Queue()) and store.raters() == other.raters()
        assert store.counts(Queue()) == other.counts(Queue())
    assert _rows(store)["batch"] == 0 and _rows(store)["project"] == 1


def test_known_tasks_stay_and_get_the_slots_they_miss(store: Store) -> None:
    store.add_tasks(_tasks(20), now=0)
    assert store.add_tasks(_tasks(), slots=3, now=1) == MANY - 20
    assert store.counts(Queue()) == Counts(0, 3 * MANY)
    assert store.add_tasks(_tasks(), slots=3, now=2) == 0
    with pytest.raises(StoreError, match="'t0003' is in the store with other content"):
        store.add_tasks([*_tasks(3), task("t0003", answers=3), *_tasks(MANY, first=4)], now=3)


@pytest.mark.parametrize("number", [2, MANY])
def test_one_id_with_two_contents_is_refused(store: Store, number: int) -> None:
    with pytest.raises(StoreError, match="'t0001' comes twice with different content"):
        store.add_tasks([*_tasks(number), task("t0001", answers=5)], now=0)
    assert store.task_ids(Queue()) == []


def _hide(store: Store, tasks: list[Task], *, then: Callable[[], None]) -> None:
    with hidden(store._engine, now=5) as batch:
        batch.write(_queued(tasks, 1, 0.0, 5).hide, tasks, batch.project)
        then()


def test_what_fails_leaves_nothing(store: Store) -> None:
    store.add_tasks([task("own")], now=0)
    before = _rows(store)

    def stop() -> None:
        assert _rows(store)["task"] == 41
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _hide(store, _tasks(40), then=stop)
    assert _rows(store) == before


def test_an_import_that_fails_leaves_neither_judgments_nor_raters(store: Store) -> None:
    store.register_rater(people("ben")[0], now=0)
    store.import_comparisons([comparison("shared")], Queue(), now=0)
    before = _rows(store)
    file = [comparison(f"i{n}", raters=(f"r{n % 7}", "ben")) for n in range(MANY)]
    taken = file[9].judgments[0].model_copy(update={"id": "x"}), file[300].judgments[0].model_copy(update={"id": "x"})
    file[9], file[300] = (
        one.model_copy(update={"judgments": (said,)}) for one, said in zip((file[9], file[300]), taken, strict=True)
    )
    with pytest.raises(StoreError, match="'x' .* is taken by a judgment that says something else"):
        store.import_comparisons(file, Queue(), now=5)
    assert _rows(store) == before
    assert [rater.id for rater in store.raters()] == ["anna", "ben"]


def _die_in_the_middle(url: str) -> None:
    store = Store.open(url)
    _hide(store, _tasks(40), then=lambda: os._exit(1))


def test_what_a_killed_process_left_is_taken_out_by_the_next(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "DEAD_SECONDS", 0.3)
    with Store.open(url) as store:
        before = _rows(store)
    process = multiprocessing.get_context("fork").Process(target=_die_in_the_middle, args=(url,))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 1
    with Store.open(url) as store:
        assert _rows(store)["task"] == 40 and store.task_ids(Queue()) == [] and store.tasks(["t0000"]) == {}
        observer = Observer(store._engine)
        assert observer.look(), "it may be slow"
        time.sleep(0.4)
        assert not observer.look()
        assert _rows(store) == before
        assert store.add_tasks(_tasks(), now=6) == MANY


def test_a_batch_that_was_taken_for_dead_says_so_and_leaves_nothing(store: Store) -> None:
    before = _rows(store)
    with pytest.raises(StoreError, match="stood still"), hidden(store._engine, now=0) as batch:
        tasks = _tasks(5)
        batch.write(_queued(tasks, 1, 0.0, 0).hide, tasks, batch.project)
        take_out(store._engine, batch.project)
        batch.write(_queued(tasks, 1, 0.0, 0).hide, tasks, batch.project)
    assert _rows(store) == before


def test_several_who_bring_the_same_tasks_end_as_one(store: Store) -> None:
    added: list[int] = []
    work = [threading.Thread(target=lambda: added.append(store.add_tasks(_tasks(), now=0))) for _ in range(2)]
    work += [
        threading.Thread(target=lambda n=n: added.append(store.add_tasks([task(f"t{n:04}")], now=0))) for n in (1, 370)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sum(added) == MANY == len(store.task_ids(Queue()))
    assert store.counts(Queue()) == Counts(0, MANY)


def test_raters_go_on_while_an_import_brings_their_own_words(store: Store) -> None:
    """Judgments of raters at work, of tasks that are in the store, come in with the last transaction of an import."""
    store.add_tasks([task(f"live{n}") for n in range(30)], slots=2, now=0)
    store.register_rater(people("anna")[0], now=0)
    known = comparison("old")
    store.import_comparisons([known], Queue(), now=0)
    file: list[Comparison] = [comparison(f"i{n}", raters=("anna",)) for n in range(MANY)]
    file.append(known.model_copy(update={"judgments": tuple(comparison("old", raters=("zoe",)).judgments)}))
    importing = threading.Thread(target=store.import_comparisons, args=(file, Queue()), kwargs={"now": 1.0})
    importing.start()
    for n in range(30):
        assert store.submit(judgment(task(f"live{n}"), "anna", f"a{n}"), now=2).status == "stored"
    importing.join()
    every = store.listing.judgments(Queue(), limit=10 * MANY)
    assert len(every) == len({one.number for one in every}) == 30 + 2 + MANY + 1
