"""Judgments are kept as they come: a failure at a late task loses none before it, and leases outlast slow judges."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from assent.core.errors import FunctionError
from assent.core.types import Completion, Judgment, Prompt, Ranking, Rater, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.raters.collect import collect
from assent.raters.config import EndpointJudgeConfig
from assent.raters.endpoint_budget import Budget, BudgetSpentError, Cost, most
from assent.raters.function import ScoringRater
from assent.raters.panel import Panel
from assent.raters.rater import JudgingStoppedError, judgment_id

QUEUE = Queue()
JUDGE = Rater(id="judge", kind="autorater")


def tasks(number: int) -> list[Task]:
    made = []
    for n in range(number):
        prompt = Prompt.of(f"question {n}")
        answers = tuple(Completion(prompt_id=prompt.id, text="x" * k, id=f"{n}/{k}") for k in (1, 2))
        made.append(Task(id=f"t{n:03}", prompt=prompt, completions=answers))
    return made


def said_of(task: Task) -> Judgment:
    order = Ranking(tiers=tuple((one.id,) for one in task.completions))
    return Judgment(task_id=task.id, rater_id="judge", ranking=order, id=judgment_id("judge", task.id))


@dataclass
class OneByOne:
    """Gives judgments one by one, the last task first, and lets a test act before each."""

    before: Callable[[int], None]
    record: Rater = JUDGE

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        raise AssertionError("it is asked for each")

    def judge_each(self, tasks: Sequence[Task]) -> Iterator[Judgment]:
        for number, task in enumerate(reversed(tasks)):
            self.before(number)
            yield said_of(task)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}") as opened:
        yield opened


def test_what_was_judged_before_a_failure_at_task_63_is_in_the_store(store: Store) -> None:
    def fail(number: int) -> None:
        assert store.counts(QUEUE).have == number, "each judgment is kept before the next one comes"
        if number == 63:
            raise RuntimeError

    store.add_tasks(tasks(100), now=0)
    with pytest.raises(RuntimeError):
        collect(store, Panel((OneByOne(fail),)), QUEUE, clock=lambda: 1.0)
    assert store.counts(QUEUE).have == 63
    collect(store, Panel((OneByOne(lambda _: None),)), QUEUE, clock=lambda: 2.0)
    assert [one.task_id for one in sorted(store.judgments(QUEUE), key=lambda j: j.task_id)] == [
        task.id for task in tasks(100)
    ]


def test_a_rater_that_stops_says_how_many_are_in_and_how_many_are_left(store: Store) -> None:
    def stop(number: int) -> None:
        if number == 10:
            raise JudgingStoppedError("the money is gone")

    store.add_tasks(tasks(30), now=0)
    with pytest.raises(JudgingStoppedError, match="the money is gone; 10 of 30 judgments are in and kept, 20 are left"):
        collect(store, Panel((OneByOne(stop),)), QUEUE, clock=lambda: 1.0)
    assert len(store.claim("judge", QUEUE, limit=64, now=1.0)) == 20, "what it held is free again"


def test_one_bad_answer_costs_a_function_only_its_own_task(store: Store) -> None:
    def score(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        return [
            float("nan") if prompt.text == "question 40" else float(len(text))
            for prompt, text in zip(prompts, texts, strict=True)
        ]

    store.add_tasks(tasks(60), now=0)
    rater = ScoringRater(Rater(id="scores", kind="function"), score)
    with pytest.raises(FunctionError, match="nan"):
        collect(store, Panel((rater,)), QUEUE, clock=lambda: 1.0)
    assert store.counts(QUEUE).have == 40


def test_a_lease_lasts_as_long_as_a_slow_judge_thinks(store: Store) -> None:
    """The clock runs 100 seconds with each look at it; a lease lasts 900, and the judge thinks for 5,000."""
    clock = itertools.count(0.0, 100.0)
    lock, now = threading.Lock(), [0.0]

    def tick() -> float:
        with lock:
            now[0] = next(clock)
            return now[0]

    def think(_: int) -> None:
        until = now[0] + 5000
        waiting = threading.Event()
        while now[0] < until:
            waiting.wait(0.001)
        assert store.claim("another", QUEUE, limit=9, now=now[0]) == [], "a task was lent to somebody else meanwhile"

    store.add_tasks(tasks(2), now=0)
    store.register_rater(Rater(id="another", kind="person"), now=0)
    collect(store, Panel((OneByOne(think),)), QUEUE, clock=tick, renew_every=0.005)
    assert store.counts(QUEUE).have == 2


def config(**limits: float) -> EndpointJudgeConfig:
    return EndpointJudgeConfig.parse({"base_url": "http://127.0.0.1:1/v1", "model": "m", **limits})


@dataclass
class Spender:
    """Sets aside, then pays, in a thread of its own."""

    budget: Budget
    aside: Cost
    passed: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        self.budget.set_aside(self.aside, is_over=lambda: False)
        self.passed.set()


def test_what_is_on_its_way_counts_until_it_is_paid() -> None:
    budget = Budget(config(budget_tokens=100))
    budget.set_aside(Cost(60, 10), is_over=lambda: False)
    second = Spender(budget, Cost(40, 0))
    thread = threading.Thread(target=second.run)
    thread.start()
    assert not second.passed.wait(0.05), "70 + 40 would pass 100"
    budget.pay(Cost(60, 10), Cost(30, 5))
    assert second.passed.wait(30)
    thread.join()
    budget.pay(Cost(40, 0), Cost(40, 0))
    assert budget.spent == Cost(70, 5)
    with pytest.raises(BudgetSpentError, match=r"budget_tokens 100 .*\(75 are spent\)"):
        budget.set_aside(Cost(26, 0), is_over=lambda: False)
    budget.set_aside(Cost(25, 0), is_over=lambda: False)


def test_no_text_has_more_tokens_than_are_set_aside_for_it() -> None:
    text = "é漢🙂 word"
    assert most([{"content": text}], max_tokens=7).written == 7
    assert most([{"content": text}], max_tokens=7).sent >= len(text.encode())
