"""A long queue is drawn from without counting it for each task: as likely as said, nothing lost, urgent tasks first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, event
from store_samples import judgment, people, task

from assent.core.types import Ranking
from assent.feedback.queue import gold, taken, waiting
from assent.feedback.queue.claims import Term
from assent.feedback.queue.tasks import load_tasks
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.feedback.tables.connection import write_transaction

QUEUE = Queue()
PLAIN = ProjectSettings(gold_share=0, repeat_share=0, newcomer_tasks=0, random_share=0)


@pytest.fixture(autouse=True)
def every_queue_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slots are many, and what was counted is believed for a long time."""
    monkeypatch.setattr(waiting, "MANY", 3)
    monkeypatch.setattr(waiting, "_PER_SECOND", 1e-3)


@pytest.fixture
def counts() -> Iterator[list[str]]:
    """The statements that count a whole queue."""
    said: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "max(slot.id)" in statement:
            said.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield said
    event.remove(Engine, "before_cursor_execute", note)


def test_tasks_of_a_long_queue_come_up_as_often_as_their_propensities_say(tmp_path: Path, counts: list[str]) -> None:
    """Five tasks, one wanted three times and one of high priority, drawn two at once 300 times; counted once."""
    with Store.open(f"sqlite:///{tmp_path}/feedback.db", seed=5) as store:
        store.projects.save("default", PLAIN.model_copy(update={"random_share": 0.4}), now=0)
        store.add_tasks([task(f"t{i}") for i in range(5)], slots={"t0": 3}, now=0)
        store.set_priorities({"t3": 1.0}, now=0)
        store.register_rater(people("anna")[0], now=0)
        first: Counter[str] = Counter()
        weight: Counter[str] = Counter()
        for i in range(300):
            one, other = store.serve("anna", QUEUE, limit=2, now=10**4 * i)  # what was held has expired
            assert one.propensity is not None and other.propensity is not None
            first[one.task.id] += 1
            weight[other.task.id] += 1 / other.propensity
    # By hand: 7 slots are free; ε = 0.4 goes over all of them, the rest to t3 alone.
    expected = {"t0": 0.4 * 3 / 7, "t1": 0.4 / 7, "t2": 0.4 / 7, "t3": 0.4 / 7 + 0.6, "t4": 0.4 / 7}
    assert {name: n / 300 for name, n in first.items()} == pytest.approx(expected, abs=0.08)
    counted = {name: w / (300 - first[name]) for name, w in weight.items()}
    assert counted == pytest.approx(dict.fromkeys(expected, 1), abs=0.5)
    assert len(counts) == 1


@pytest.fixture
def anna(store: Store) -> Store:
    """A store with forty tasks for anna."""
    store.register_rater(people("anna")[0], now=0)
    store.projects.save("default", PLAIN, now=0)
    store.add_tasks([task(f"t{i}") for i in range(40)], now=0)
    return store


def test_every_task_is_served_once_to_the_last(anna: Store, counts: list[str]) -> None:
    """Also those that came, and went, after the queue was counted."""
    judged = []
    for n in range(60):
        served = anna.serve("anna", QUEUE, now=n)
        if not served:
            break
        judged.append(served[0].task.id)
        anna.submit(judgment(served[0].task, "anna", f"j{n}"), token=served[0].token, now=n)
        if n == 5:
            anna.add_tasks([task(f"late{i}") for i in range(10)], now=n)
    assert sorted(judged) == sorted([f"t{i}" for i in range(40)] + [f"late{i}" for i in range(10)])
    assert anna.serve("anna", QUEUE, now=99) == []
    assert 1 <= len(counts) < 10


def test_what_is_urgent_comes_next_though_the_queue_was_counted_before_it_came(anna: Store, counts: list[str]) -> None:
    assert anna.serve("anna", QUEUE, now=0)
    anna.add_tasks([task("urgent")], now=1)
    anna.set_priorities({"urgent": 5.0}, now=1)
    served = anna.serve("anna", QUEUE, limit=2, now=2)
    assert "urgent" in {one.task.id for one in served}
    assert len(counts) == 1


def test_another_queue_is_counted_by_itself(anna: Store, counts: list[str]) -> None:
    assert anna.serve("anna", QUEUE, now=0)
    anna.projects.save("other", PLAIN, now=0)
    anna.add_tasks([task(f"o{i}", project="other") for i in range(8)], now=0)
    found = anna.serve("anna", Queue("other", "reward"), limit=8, now=1)
    assert {one.task.id for one in found} == {f"o{i}" for i in range(8)}
    assert [one.propensity for one in found] == pytest.approx([1 / n for n in range(8, 0, -1)])
    assert len(counts) == 2


def test_how_many_tasks_wait_is_remembered_with_the_queue(anna: Store, counts: list[str]) -> None:
    anna.add_tasks([task("deep")], slots=3, now=0)
    assert [anna.rater_progress("anna", QUEUE, now=n).waiting for n in range(3)] == [41, 41, 41]
    served = anna.serve("anna", QUEUE, now=3)[0]
    assert anna.rater_progress("anna", QUEUE, now=4).waiting == 40, "what the rater holds is not free to them"
    anna.submit(judgment(served.task, "anna", "j"), token=served.token, now=5)
    anna.register_rater(people("ben")[0], now=5)
    assert anna.rater_progress("ben", QUEUE, now=6).waiting in (40, 41), "as it was counted"
    assert len(counts) == 1


def test_chances_of_somebody_who_judged_thousands_are_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people judge in turn what is wanted three times: what each knows is remembered, or looked for each time."""

    def said(name: str) -> list[tuple[str, str, float | None]]:
        found = []
        with Store.open(f"sqlite:///{tmp_path}/{name}.db", seed=7) as store:
            store.projects.save("default", PLAIN, now=0)
            store.add_tasks([task(f"t{i:02}") for i in range(12)], slots=3, now=0)
            for rater in people("anna", "ben"):
                store.register_rater(rater, now=0)
            for n in range(20):
                who = ("anna", "ben")[n % 2]
                for one in store.serve(who, QUEUE, now=n):
                    found.append((who, one.task.id, one.propensity))
                    store.submit(judgment(one.task, who, f"{who}{n}"), token=one.token, now=n)
        return found

    monkeypatch.setattr(waiting, "MANY", 10_000)
    once = said("each time")
    monkeypatch.setattr(taken, "MANY", 0)
    assert said("remembered") == once
    assert len({task_id for who, task_id, _ in once if who == "anna"}) == 10, "none is served twice"


def test_what_is_repeated_is_any_of_what_was_judged_long_ago(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twelve tasks the newest, one with a known answer and one that was repeated do not come."""
    monkeypatch.setattr(gold, "_MANY", 0)
    with Store.open(f"sqlite:///{tmp_path}/feedback.db", seed=1) as store:
        store.projects.save("default", PLAIN, now=0)
        store.register_rater(people("anna")[0], now=0)
        store.add_tasks([task(f"t{i:02}") for i in range(12)], now=0)
        order = []
        for n in range(12):
            [one] = store.serve("anna", QUEUE, now=n)
            store.submit(judgment(one.task, "anna", f"j{n}"), token=one.token, now=n)
            order.append(one.task.id)
        store.projects.set_gold(order[0], Ranking(tiers=((f"{order[0]}/0",), (f"{order[0]}/1",))), now=20)
        with write_transaction(store._engine) as connection:
            gold.twin(connection, order[1], now=21)
            again = load_tasks(connection, [gold.again_id(order[1])])[gold.again_id(order[1])]
        store.submit(judgment(again, "anna", "again"), now=21)
        rng = np.random.default_rng(0)
        with write_transaction(store._engine) as connection:
            term = Term("anna", now=30, expires_at=40)
            drawn = Counter(gold.task_to_repeat(connection, term, QUEUE, rng, after=3) for _ in range(400))
    free = order[2:-2]  # of the three newest one is the repeated one
    assert set(drawn) == set(free)
    assert all(0.5 < count * len(free) / 400 < 1.6 for count in drawn.values()), drawn
