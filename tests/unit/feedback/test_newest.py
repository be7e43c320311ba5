"""A look at a project with more judgments than are read one by one."""

from __future__ import annotations

import pytest
from board_samples import lettered_task, order

from assent.core.types import Judgment, Rater
from assent.feedback import dashboard
from assent.feedback.dashboard import Overview, Watch
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store

HOUR, DAY = 3600.0, 86_400.0
NOW = 100 * DAY


def test_pace_and_counts_are_of_all_and_the_rest_of_the_tasks_judged_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve tasks judged twice, an hour apart, the last two judgments are those of one task; it is read whole."""
    fill(store)
    exact, looked = look(store), look(store, monkeypatch, newest=2)
    assert exact.newest is None and looked.newest == 2
    assert (looked.counts, looked.pace.hours, looked.pace.last_hour) == (
        exact.counts, exact.pace.hours, exact.pace.last_hour,
    )  # fmt: skip
    assert (looked.today, looked.pace.per_hour) == (exact.today, exact.pace.per_hour)
    assert looked.forecast.finished_at == exact.forecast.finished_at
    assert exact.agreement.prompts == 12 and looked.agreement.prompts == 1
    assert {one.rater_id: one.judgments for one in looked.raters} == {"anna": 1, "ben": 1}
    assert exact.disputes and [one.task_id for one in looked.disputes] == ["t11"], "the others were judged earlier"
    assert looked.forecast.seconds_left == exact.forecast.seconds_left, "all take 5 seconds and are as long"


def test_what_is_read_does_not_grow_with_the_project(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that a look takes from the store are as many however much was judged before."""
    fill(store, tasks=12)
    few = rows_read(store, monkeypatch)
    fill(store, tasks=24, first=12)
    assert rows_read(store, monkeypatch) <= few + 2


def rows_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> int:
    """Rows that the last look made judgments of, or facts of tasks."""
    monkeypatch.setattr(dashboard, "NEWEST", 4)
    watch = Watch(store, "sqlite:///nowhere.db")
    given = watch._read(Queue("p"), lambda: store.counts(Queue("p")), NOW + 90 * DAY, is_long=True)
    return len(given.judgments) + len(given.rows) + len(given.facts) + len(given.times or ())


def look(store: Store, monkeypatch: pytest.MonkeyPatch | None = None, *, newest: int | None = None) -> Overview:
    """An overview, with another bound where one is given."""
    if monkeypatch is not None:
        monkeypatch.setattr(dashboard, "NEWEST", newest)
    return Watch(store, "sqlite:///nowhere.db").overview("p", now=NOW)


def fill(store: Store, *, tasks: int = 12, first: int = 0) -> None:
    """Tasks of which each was judged twice, one an hour, the last of twelve just now; two more wait."""
    new = [lettered_task(f"t{n}").model_copy(update={"project": "p"}) for n in range(first, tasks + 2)]
    store.add_tasks(new, slots=2, now=0.0)
    for rater in ("anna", "ben"):
        store.register_rater(Rater(id=rater, kind="simulated"), now=0.0)
    for n in range(first, tasks):
        at = NOW - HOUR * (11 - n)
        for rater, said in (("anna", "t{n}-a > t{n}-b"), ("ben", "t{n}-b > t{n}-a")):
            [claim] = store.claim(rater, Queue("p"), only=[f"t{n}"], now=at)
            judgment = Judgment(
                id=f"{n}-{rater}", task_id=f"t{n}", rater_id=rater, ranking=order(said.format(n=n)), seconds=5.0
            )
            store.submit(judgment, token=claim.token, now=at)
