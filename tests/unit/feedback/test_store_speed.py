"""What serving costs in a large store, in steps of SQLite's machine: the same however busy the computer is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from store_samples import judgment, people, task

from assent.core.types import Ranking
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store

QUEUE = Queue()
STEPS = 100  # the counter's resolution


class _Steps:
    """Counts the steps of all connections of a store."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        event.listen(store._engine, "connect", self._listen)
        store._engine.dispose()  # so that every connection is new

    def _listen(self, connection: Any, _record: Any) -> None:
        connection.set_progress_handler(self._step, STEPS)

    def _step(self) -> int:
        self.count += STEPS
        return 0

    def of(self, work: Any) -> int:
        """How many steps a call takes."""
        before = self.count
        work()
        return self.count - before


@pytest.mark.parametrize("goal", ["random", "near_ties"])
def test_serving_is_cheap_in_a_large_store(tmp_path: Path, goal: str) -> None:
    """With 5,600 slots that wait, three draws take under 130,000 steps (some 2 ms): the index is walked, nothing else.

    A join that starts at the tasks of a queue, or a look at the leases of all that waits, would each take that much.
    """
    with Store.open(f"sqlite:///{tmp_path}/feedback.db", seed=1) as store:
        many = 4000
        store.add_tasks([task(f"t{i}") for i in range(many)], slots={f"t{i}": 3 for i in range(0, many, 5)}, now=0)
        if goal == "near_ties":
            store.set_priorities({f"t{i}": i * 7919 % many for i in range(many)}, now=0)
        for i in range(30):
            store.projects.set_gold(f"t{i}", Ranking(tiers=((f"t{i}/0",), (f"t{i}/1",))), now=0)
        store.projects.save("default", ProjectSettings(gold_share=0.2, repeat_share=0.2, repeat_after=1), now=0)
        for rater in people("anna", "ben", "cleo"):
            store.register_rater(rater, now=0)
        steps = _Steps(store)
        worst: dict[str, int] = {}
        for now in range(12):
            for rater in ("anna", "ben", "cleo"):
                served: list[Any] = []
                spent = {"serve": steps.of(lambda r=rater, s=served, n=now: s.extend(_serve(store, r, n)))}
                for one in served:
                    said = judgment(one.task, rater, f"{rater}-{one.task.id}")
                    spent["submit"] = steps.of(lambda s=said, t=one.token, n=now: store.submit(s, token=t, now=n))
                spent["recent"] = steps.of(lambda r=rater, n=now: store.recent(r, QUEUE, limit=5, now=n))
                spent["progress"] = steps.of(lambda r=rater, n=now: store.rater_progress(r, QUEUE, now=n))
                worst = {name: max(count, worst.get(name, 0)) for name, count in spent.items()}
        assert worst["serve"] < 130_000, worst
        assert worst["submit"] < 5_000, worst
        assert worst["recent"] < 20_000, worst
        assert worst["progress"] < 120_000, worst


def _serve(store: Store, rater: str, now: float) -> list[Any]:
    return list(store.serve(rater, QUEUE, limit=3, now=now))
