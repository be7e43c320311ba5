"""What came in late in a run: said in a line each, and taken now where the run is told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from assent.artifacts.store import Artifact
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.pipeline.config import RunConfig
from assent.pipeline.late import Late, came_late, read_snapshots, take
from assent.pipeline.rounds import RoundResult, RunResult, asks_people


@dataclass(frozen=True)
class Latecomers:
    """What came late to one stage of a run."""

    where: str
    """What it came late to, in words."""
    late: tuple[Late, ...]
    queue: Queue
    """That which the stage reads, or the newest of them."""
    teaches: bool
    """Whether a reward model learns from it; else it evaluates."""

    def __str__(self) -> str:
        said = [one for late in self.late for one in late.judgments]
        many = "1 judgment" if len(said) == 1 else f"{len(said)} judgments"
        people = len({one.rater_id for one in said})
        return f"{many} of {people} {'people' if people > 1 else 'person'} came in after {self.where} had gone on"

    @property
    def hint(self) -> str:
        """What may be done."""
        if self.teaches:
            return (
                "a further round (`rounds` one higher) learns from them; `assent run --late` takes them in now and"
                " makes anew what rests on them"
            )
        return "`assent run --late` counts them in and makes this evaluation anew"


def latecomers(config: RunConfig, result: RunResult) -> list[Latecomers]:
    """What came late to stages that are done. What came late to a round before the newest counts in the newest."""
    if not asks_people(config) or not config.store.exists:
        return []
    begun = [one for one in result.rounds if one.samples is not None and one.samples.is_made]
    found: list[Latecomers] = []
    with Store.open(config.store.url) as store:
        for one in begun[-1:]:
            found += _of_judgments(store, one)
        for one in begun if config.gate is None else begun[-1:]:
            found += _of_evaluation(store, one.evaluation, f"the evaluation of round {one.number}")
        found += _of_evaluation(store, result.final, "the final evaluation")
    return found


def late_lines(config: RunConfig, result: RunResult) -> Iterator[str]:
    """A line for each stage to which something came late."""
    for one in latecomers(config, result):
        yield f"{one}; {one.hint}"


def take_late(config: RunConfig, result: RunResult) -> Iterator[str]:
    """Have the stages to which something came late run again with it. Nothing is run here."""
    found = latecomers(config, result)
    if not found:
        yield "no judgments came in late, so nothing is made anew"
    teaching = {one.where for one in found if one.teaches}
    with Store.open(config.store.url) as store:
        for one in found:
            # Whatever rests on a policy that is made anew is made anew by itself.
            if one.teaches or not teaching:
                take(store, one.queue, now=time.time())
            yield f"{one}, and count now"


def _of_judgments(store: Store, one: RoundResult) -> Iterator[Latecomers]:
    if one.judgments is None or not one.judgments.is_made:
        return
    read = read_snapshots(one.judgments)
    late = [came_late(store, Queue(project), snapshot) for project, snapshot in read.items()]
    there = tuple(one for one in late if one is not None)
    if there:
        yield Latecomers(f"round {one.number}", there, Queue(one.judgments.notes["project"]), teaches=True)


def _of_evaluation(store: Store, evaluation: Artifact | None, where: str) -> Iterator[Latecomers]:
    if evaluation is None or not evaluation.is_made:
        return
    project, snapshot = evaluation.notes.get("project"), evaluation.notes.get("snapshot")
    if isinstance(project, str) and isinstance(snapshot, str):
        queue = Queue(project, "evaluation")
        late = came_late(store, queue, snapshot)
        if late is not None:
            yield Latecomers(where, (late,), queue, teaches=False)
