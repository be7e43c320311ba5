"""Letting what adjudicators decided stand for what raters said of the same answers, where a run asks for it.

The decision that counts is the last one about a task. Where that is that there is no answer, nothing stands for what
raters said. Decisions come from the store, and from files of our own format, which keep them beside their comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from assent.core.hashing import hash_json, short
from assent.core.types import Comparison, Completion, Judgment, Prompt, said_in
from assent.data.aside import decisions_of
from assent.data.task_records import Decision
from assent.feedback.config import StoreConfig
from assent.feedback.opening import open_store
from assent.feedback.records.queue import Adjudicated, Queue

if TYPE_CHECKING:
    from assent.feedback.store import Store

Decisions = Literal["ignore", "stand"]
"""Whether decisions of adjudicators stand for judgments."""


@dataclass(frozen=True)
class Stood:
    """Comparisons, or judgments, in which decisions stand for what raters said."""

    comparisons: list[Comparison]
    decided: int = 0
    """Comparisons in which one stands."""
    replaced: int = 0
    """Judgments of raters for which they stand."""

    def facts(self) -> dict[str, int]:
        """The counts, for a manifest."""
        return {"decided": self.decided, "stood_for": self.replaced}


def in_words(facts: Mapping[str, int]) -> str:
    """What was done, in words."""
    return f"decisions of adjudicators stand for {facts['stood_for']} judgments of {facts['decided']} tasks"


def stand_in(comparisons: Sequence[Comparison], known: Iterable[tuple[str, Decision]]) -> Stood:
    """The comparisons with the decisions beside them, and the `known` ones by `content`, in place of judgments.

    Where one prompt with the same answers stands there twice, a decision counts once.
    """
    last: dict[str, Decision] = {}
    beside = ((content(c.prompt, c.completions), decision) for c in comparisons for decision in decisions_of(c))
    for name, decision in sorted((*known, *beside), key=lambda one: one[1].at):
        last[name] = decision
    kept, seen, replaced = [], set(), 0
    for comparison in comparisons:
        name = content(comparison.prompt, comparison.completions)
        standing = last.get(name)
        if standing is None or standing.ranking is None:
            kept.append(comparison)
            continue
        replaced += len(comparison.judgments)
        if name not in seen:
            seen.add(name)
            judgment = as_judgment(standing, comparison.judgments[0].task_id)
            kept.append(comparison.model_copy(update={"judgments": (judgment,)}))
    return Stood(kept, len(seen), replaced)


def stand_in_of(judgments: Sequence[Judgment], decided: Iterable[Adjudicated]) -> tuple[list[Judgment], dict[str, int]]:
    """Judgments of tasks with decisions about these tasks in place of what raters said of them, and the counts."""
    last = {one.task_id: _decision(one) for one in sorted(decided, key=lambda one: one.decided_at)}
    standing = {task_id: one for task_id, one in last.items() if one.ranking is not None}
    others = [judgment for judgment in judgments if judgment.task_id not in standing]
    judged = {judgment.task_id for judgment in judgments} & standing.keys()
    made = [as_judgment(standing[task_id], task_id) for task_id in sorted(judged)]
    return [*others, *made], {"decided": len(made), "stood_for": len(judgments) - len(others)}


def decided_in(store: Store, projects: Iterable[str]) -> list[tuple[str, Decision]]:
    """What was decided in projects of a store, by the content of its task."""
    found = [one for project in projects for one in store.projects.adjudications(project)]
    tasks = store.tasks({one.task_id for one in found})
    texts = {task_id: content(task.prompt, task.completions) for task_id, task in tasks.items()}
    return [(texts[one.task_id], _decision(one)) for one in found if one.task_id in texts]


def decisions_identity(decisions: Decisions, store: StoreConfig, queues: Iterable[Queue]) -> dict[str, str]:
    """What a stage adds to its key that lets decisions stand: those in the store; nothing where they are ignored."""
    if decisions == "ignore":
        return {}
    known: list[str] = []
    if store.has_content:
        with open_store(store) as opened:
            for project in sorted({queue.project for queue in queues}):
                known += [hash_json([one.task_id, _plain(one)]) for one in opened.projects.adjudications(project)]
    return {"decisions": hash_json(["stand", sorted(known)])}


def content(prompt: Prompt, completions: Sequence[Completion]) -> str:
    """What a task asks, whatever it is called: a file and a store may hold the same one."""
    return hash_json([said_in(prompt), sorted([answer.id, answer.text] for answer in completions)])


def as_judgment(decision: Decision, task_id: str) -> Judgment:
    """A decision as what a reward model learns from."""
    name = "decision-" + short(hash_json([task_id, decision.model_dump(mode="json")]))
    return Judgment(task_id=task_id, rater_id=decision.adjudicator, ranking=decision.ranking, id=name)


def _decision(one: Adjudicated) -> Decision:
    return Decision(adjudicator=one.adjudicator_id, at=one.decided_at, ranking=one.ranking, reason=one.reason)


def _plain(one: Adjudicated) -> list[object]:
    return [one.adjudicator_id, one.decided_at, None if one.ranking is None else one.ranking.model_dump(mode="json")]
