"""What leaves a store in an export: comparisons with everything said about them, and what no comparison can hold."""

from __future__ import annotations

from collections.abc import Iterable

from assent.core.types import Comparison, Judgment
from assent.feedback.records import Queue
from assent.feedback.store import Store


def gather(store: Store, queue: Queue, *, snapshot: str | None = None) -> tuple[list[Comparison], int]:
    """Comparisons of a queue (or of a snapshot's hash), sorted by task, and how many judgments of one answer there are.

    Judgments that only flag, score, note or edit come along; skips do not. A snapshot gives its rankings.
    """
    ranked = {c.judgments[0].task_id: c for c in store.comparisons(queue, snapshot=snapshot)}
    if snapshot is not None:
        return [ranked[task_id] for task_id in sorted(ranked)], 0
    said: dict[str, list[Judgment]] = {}
    for judgment in store.judgments(queue):
        if not _is_skip(judgment):
            said.setdefault(judgment.task_id, []).append(judgment)
    unranked = store.tasks(said.keys() - ranked.keys())
    found: dict[str, Comparison] = {}
    alone = 0
    for task_id, judgments in said.items():
        if task_id in ranked:
            found[task_id] = ranked[task_id].model_copy(update={"judgments": _sorted(judgments)})
        elif len(unranked[task_id].completions) < 2:
            alone += len(judgments)
        else:
            task = unranked[task_id]
            completions = task.completions
            found[task_id] = Comparison(prompt=task.prompt, completions=completions, judgments=_sorted(judgments))
    return [found[task_id] for task_id in sorted(found)], alone


def _sorted(judgments: Iterable[Judgment]) -> tuple[Judgment, ...]:
    return tuple(sorted(judgments, key=lambda j: (j.rater_id, j.id)))


def _is_skip(judgment: Judgment) -> bool:
    says = (judgment.flags, judgment.scores, judgment.critique, judgment.notes, judgment.edits)
    return judgment.ranking is None and not any(says)
