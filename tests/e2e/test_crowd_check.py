"""The check after the crowd finds whatever was lost, doubled, changed or made up; else its zero would mean nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import text

from assent.core.types import Completion, Judgment, Prompt, Ranking, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, write_transaction

ROOT = Path(__file__).parents[2]
QUEUE = Queue("crowd")


@pytest.fixture(scope="module")
def crowd() -> Iterator[tuple[ModuleType, ModuleType]]:
    """What checks, and what raters write down."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import crowd_check
        import crowd_raters

        yield crowd_check, crowd_raters
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture
def done(crowd: tuple[ModuleType, ModuleType], tmp_path: Path) -> tuple[str, Any]:
    """A store in which two people judged three tasks, and their own account of it."""
    url, tally = f"sqlite:///{tmp_path}/feedback.db", crowd[1].Tally()
    with Store.open(url) as store:
        prompt = Prompt.of("Why?")
        answers = tuple(Completion(prompt_id=prompt.id, text=t, id=t) for t in "abc")
        tasks = [Task(id=f"t{n}", prompt=prompt, completions=answers, project="crowd") for n in range(3)]
        store.add_tasks(tasks, slots=2, now=0)
        for login in ("anna", "ben"):
            rater = store.accounts.create(login, "rater", now=0).rater_id
            for one in store.serve(rater, QUEUE, limit=3, now=1):
                name, ranking = f"{login}-{one.task.id}", Ranking(tiers=(("c",), ("a", "b")), strengths=(2,))
                said = Judgment(task_id=one.task.id, rater_id=rater, id=name, ranking=ranking, seconds=5.0)
                status = store.submit(said, token=one.token, now=2).status
                body = {"id": name, "task_id": one.task.id, "seconds": 5.0, "ranking": ranking.model_dump(mode="json")}
                tally.sent[name] = crowd[1].Sent(login, body, one.order, status=status)
    return url, tally


def test_what_is_as_it_was_meant_is_no_problem(crowd: tuple[ModuleType, ModuleType], done: tuple[str, Any]) -> None:
    assert len(done[1].sent) == 6
    assert crowd[0].check(done[0], QUEUE, done[1]) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM judgment WHERE id = 'anna-t0'", "anna-t0 was acknowledged as stored and is not there"),
        ('UPDATE judgment SET ranking = json_set(ranking, \'$.tiers\', json(\'[["a"],["b","c"]]\'))', "order"),
        ("UPDATE judgment SET seconds = 6 WHERE id = 'ben-t1'", "ben-t1: seconds 6.0, meant 5.0"),
        ('UPDATE presentation SET order_shown = \'["a", "b"]\'', "order shown"),
        ("UPDATE slot SET is_filled = 0 WHERE task_id = 't2'", "a judgment whose slot is not its own"),
        ("UPDATE judgment SET slot_id = NULL WHERE id = 'ben-t1'", "acknowledged as stored and has the slot None"),
        ("UPDATE judgment SET slot_id = NULL WHERE id = 'ben-t1'", "a slot filled by nobody"),
        ("UPDATE judgment SET superseded_by = 'ben-t1' WHERE id = 'anna-t1'", "the last word was anna-t1"),
    ],
)
def test_damage_is_found(crowd: tuple[ModuleType, ModuleType], done: tuple[str, Any], damage: str, said: str) -> None:
    engine = connect(done[0])
    with write_transaction(engine) as connection:
        connection.execute(text(damage.replace(":", "\\:")))
    engine.dispose()
    problems = crowd[0].check(done[0], QUEUE, done[1])
    assert any(said in problem for problem in problems), problems


def test_what_nobody_meant_or_touched_is_found(crowd: tuple[ModuleType, ModuleType], done: tuple[str, Any]) -> None:
    url, tally = done
    tally.untouched.add(("ben", "t0"))
    assert crowd[0].check(url, QUEUE, tally) == ["ben-t0 is of a task that was never touched"]
    tally.untouched.clear()
    del tally.sent["ben-t0"]
    assert "ben-t0 is in the store, but nobody meant it" in crowd[0].check(url, QUEUE, tally)
    tally.sent["anna-t0"] = replace(tally.sent["anna-t0"], status=None)
    assert "anna-t0 was never acknowledged" in crowd[0].check(url, QUEUE, tally)
