"""Collecting: every slot filled, by the same people saying the same however often it was interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from assent.core.errors import ConfigError
from assent.core.types import Completion, Judgment, Prompt, Task
from assent.feedback.queue.assign import overlap
from assent.feedback.records.queue import Counts, Queue
from assent.feedback.store import Store
from assent.raters.collect import collect
from assent.raters.config import SimulatedConfig
from assent.raters.crowd import crowd
from assent.raters.panel import Panel
from assent.raters.rater import SingleRater

QUEUE = Queue()


def _length(prompt: Prompt, text: str, group: str) -> float:
    return float(len(text))


def _tasks(count: int) -> list[Task]:
    tasks = []
    for i in range(count):
        prompt = Prompt.of(f"question {i}")
        answers = tuple(Completion(prompt_id=prompt.id, text="x" * k, id=f"{i}/{k}") for k in range(1, 4))
        tasks.append(Task(id=f"t{i}", prompt=prompt, completions=answers))
    return tasks


def _store(path: Path, tasks: Sequence[Task]) -> Store:
    store = Store.open(f"sqlite:///{path}")
    store.add_tasks(tasks, slots=overlap([t.id for t in tasks], share=0.3, depth=3, seed=0), now=0)
    return store


def _panel(number: int = 5) -> Panel:
    return crowd(SimulatedConfig(number=number), _length, role="train", seed=0)


def test_every_slot_is_judged(tmp_path: Path) -> None:
    progress: list[int] = []
    with _store(tmp_path / "a.db", _tasks(40)) as store:
        counts = collect(store, _panel(), QUEUE, clock=lambda: 1.0, on_progress=progress.append)
        assert counts == Counts(28 + 3 * 12, 28 + 3 * 12)
        assert sum(progress) == counts.have
        assert Counter(len(c.judgments) for c in store.comparisons(QUEUE)) == {1: 28, 3: 12}
        assert {r.kind for r in store.raters()} == {"simulated"}
        assert collect(store, _panel(), QUEUE, clock=lambda: 2.0) == counts, "nothing left to do"


class _InterruptedError(Exception):
    pass


class _Dying:
    """A rater whose process dies after some tasks, with the claimed ones in hand."""

    def __init__(self, rater: SingleRater) -> None:
        self.record = rater.record

    def judge(self, tasks: Sequence[Task]) -> list[Judgment]:
        raise _InterruptedError


def test_an_interrupted_collection_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    tasks, panel = _tasks(40), _panel()
    with _store(tmp_path / "a.db", tasks) as store:
        collect(store, panel, QUEUE, clock=lambda: 1.0)
        undisturbed = store.snapshot("s", QUEUE, now=1)
        expected = store.comparisons(QUEUE)
    with _store(tmp_path / "b.db", tasks[::-1]) as store:
        for place in (2, 4):
            dying = [_Dying(m) if i == place else m for i, m in enumerate(panel.members)]
            with pytest.raises(_InterruptedError):
                collect(store, Panel(tuple(dying), seed=0), QUEUE, clock=lambda: 5.0)
        collect(store, panel, QUEUE, clock=lambda: 6.0)  # the leases of the dead are far from expired
        assert store.comparisons(QUEUE) == expected
        assert store.snapshot("s", QUEUE, now=7).hash == undisturbed.hash


def test_only_the_named_queue_is_touched(tmp_path: Path) -> None:
    with _store(tmp_path / "a.db", _tasks(3)) as store:
        evaluation = Task(**(_tasks(1)[0].model_dump() | {"id": "e", "purpose": "evaluation"}))
        store.add_tasks([evaluation], now=0)
        assert collect(store, _panel(), Queue(purpose="evaluation"), clock=lambda: 1.0) == Counts(1, 1)
        assert store.counts(QUEUE).have == 0


def test_more_overlap_than_raters_is_refused_before_anyone_works(tmp_path: Path) -> None:
    with _store(tmp_path / "a.db", _tasks(10)) as store:
        with pytest.raises(ConfigError, match="want 3 raters each, but there are 2"):
            collect(store, _panel(2), QUEUE, clock=lambda: 1.0)
        assert store.counts(QUEUE).have == 0
