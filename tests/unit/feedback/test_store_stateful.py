"""Whatever raters do, in whatever order: every slot has one judgment or none, and nothing that was said is lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import text
from store_samples import judgment, people, task

from assent.core.types import Judgment, Ranking
from assent.feedback.records.queue import Queue, Served
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.feedback.tables.connection import read_transaction

QUEUE = Queue()
NAMES = ("anna", "ben", "cleo")
raters = st.sampled_from(NAMES)
picks = st.integers(0, 99)


class Raters(RuleBasedStateMachine):
    """Three raters at one store; `said` and `current` are what the store must agree with."""

    @initialize(random_share=st.sampled_from([0.0, 0.3, 1.0]), newcomer_tasks=st.sampled_from([0, 3, 30]))
    def open(self, random_share: float, newcomer_tasks: int) -> None:
        """A store with a few tasks, one of them gold, and settings under which everything happens often."""
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(f"sqlite:///{Path(self.folder.name)}/feedback.db", seed=3)
        self.now, self.count = 0.0, 0
        self.ids = dict(zip(NAMES, NAMES, strict=True))
        self.said: dict[str, Judgment] = {}
        self.current: dict[tuple[str, str], str] = {}
        self.orders: dict[tuple[str, str], tuple[str, ...]] = {}
        for rater in people(*NAMES):
            self.store.register_rater(rater, now=0)
        self.store.add_tasks([task(f"t{i}") for i in range(4)], slots={"t0": 3, "t1": 2}, now=0)
        self.store.projects.set_gold("t3", Ranking(tiers=(("t3/0",), ("t3/1",))), now=0)
        chosen = ProjectSettings(
            gold_share=0.2,
            repeat_share=0.2,
            repeat_after=1,
            random_share=random_share,
            newcomer_tasks=newcomer_tasks,
            lease_seconds=100,
        )
        self.store.projects.save("default", chosen, now=0)

    def teardown(self) -> None:
        """Close what was opened."""
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def _submit(self, said: Judgment, token: str | None) -> None:
        receipt = self.store.submit(said, token=token, now=self.now)
        skipped = said.ranking is None and not said.flags
        assert (receipt.status == "skipped") == skipped
        self.said[said.id] = said
        self.current[said.task_id, said.rater_id] = said.id
        assert self.store.submit(said, token=token, now=self.now).status == "known"

    def _judgment(self, task_id: str, rater: str, pick: int) -> Judgment:
        self.count += 1
        base = task(task_id.split("~")[0]).model_copy(update={"id": task_id})
        before = self.current.get((task_id, rater))
        made = judgment(base, rater, f"j{self.count}", supersedes=before)
        if pick % 4 == 0:
            return made.model_copy(update={"ranking": None, "skip_reason": "tired"})
        if pick % 4 == 1:
            return made.model_copy(update={"ranking": None, "flags": {made.ranking.ids[0]: ("unsafe",)}})
        return made

    def _known(self) -> list[str]:
        return self.store.task_ids(QUEUE)

    @rule(name=raters, limit=st.integers(1, 3), pick=picks, answered=st.booleans())
    def ask(self, name: str, limit: int, pick: int, answered: bool) -> None:
        """Serve; what comes is lent to this rater, new to them, and shown in one order for ever."""
        rater = self.ids[name]
        served: list[Served] = self.store.serve(rater, QUEUE, limit=limit, now=self.now)
        assert len(served) <= limit
        assert len({s.task.id for s in served}) == len(served)
        for i, one in enumerate(served):
            assert (one.task.id, rater) not in self.current, "nobody is asked twice"
            assert self.orders.setdefault((one.task.id, rater), one.order) == one.order
            assert one.propensity is None or 0 < one.propensity <= 1
            assert one.expires_at > self.now
            if answered:
                self._submit(self._judgment(one.task.id, rater, pick + i), one.token)

    @rule(name=raters, pick=picks, which=picks)
    def answer_anything(self, name: str, pick: int, which: int) -> None:
        """Submit without a token, served or not, first thought or correction, ranking or withdrawal."""
        known = self._known()
        self._submit(self._judgment(known[which % len(known)], self.ids[name], pick), None)

    @rule(name=raters)
    def give_back(self, name: str) -> None:
        """Release."""
        self.store.release(self.ids[name])

    @rule(seconds=st.sampled_from([30.0, 150.0]))
    def wait(self, seconds: float) -> None:
        """Time passes; 150 seconds end every lease."""
        self.now += seconds

    @rule(priority=st.integers(-2, 2), which=picks)
    def move(self, priority: int, which: int) -> None:
        """Another priority."""
        known = self._known()
        self.store.set_priorities({known[which % len(known)]: float(priority)}, now=self.now)

    @rule(slots=st.integers(1, 4), which=st.integers(0, 5))
    def want_more(self, slots: int, which: int) -> None:
        """A new task, or more slots for a known one."""
        self.store.add_tasks([task(f"t{which}")], slots=slots, now=self.now)

    @precondition(lambda self: self.count > 6 and self.count % 5 == 0)
    @rule(name=raters)
    def forget(self, name: str) -> None:
        """A rater is erased and somebody new comes."""
        rater = self.ids[name]
        self.store.erase_rater(rater, now=self.now)
        self.said = {i: j for i, j in self.said.items() if j.rater_id != rater}
        self.current = {key: i for key, i in self.current.items() if key[1] != rater}
        self.ids[name] = f"{name}-{self.count}"
        self.count += 1
        self.store.register_rater(people(self.ids[name])[0], now=self.now)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """What was said is what is read; corrections count, not what they corrected."""
        if not hasattr(self, "store"):
            return
        said = {j.id: j for j in self.store.judgments(QUEUE, with_superseded=True)}
        plain = {i: j.model_copy(update={"order_shown": ()}) for i, j in said.items()}
        assert plain == self.said
        assert {j.id for j in self.store.judgments(QUEUE)} == set(self.current.values())
        for i, j in said.items():
            if j.order_shown:
                assert self.orders.get((j.task_id, j.rater_id), j.order_shown) == j.order_shown, i

    @invariant()
    def slots_leases_and_judgments_agree(self) -> None:
        """A filled slot has one current judgment and the spent lease of its rater; the queue's copies are true."""
        if not hasattr(self, "store"):
            return
        with read_transaction(self.store._engine) as connection:

            def rows(query: str) -> list[Any]:
                return [tuple(row) for row in connection.execute(text(query))]

            filled = rows("SELECT id FROM slot WHERE is_filled ORDER BY id")
            spent = rows("SELECT slot_id, rater_id FROM lease WHERE is_spent ORDER BY slot_id")
            held = "FROM judgment WHERE superseded_by IS NULL AND slot_id IS NOT NULL"
            assert spent == rows(f"SELECT slot_id, rater_id {held} ORDER BY slot_id")
            assert filled == [(slot_id,) for slot_id, _ in spent]
            assert rows("SELECT 1 FROM lease l JOIN slot s ON s.id = l.slot_id WHERE reserved_for <> rater_id") == []
            twice = Counter(rows("SELECT task_id, rater_id FROM lease WHERE NOT is_spent"))
            assert not {key for key in twice if key in self.current}, "who has judged holds nothing"
            assert rows("SELECT 1 FROM slot s JOIN task t ON t.id = s.task_id WHERE s.place <> -t.priority") == []
            normal = rows(f"SELECT count(*) {held} AND slot_id IN (SELECT id FROM slot WHERE service = 'normal')")
        assert self.store.counts(QUEUE).have == normal[0][0]


TestRaters = Raters.TestCase
TestRaters.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking takes minutes, and 25 steps can be read
    suppress_health_check=list(HealthCheck),
)
