"""What leaves a store in an export: comparisons with everything said about them, and what no comparison can hold."""

from __future__ import annotations

from collections.abc import Iterable

from assent.core.types import Comparison, Completion, Judgment, Task
from assent.data.losses import SINGLES, SKIPS, UNRANKED, Lost
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store

EDIT = "edit"
"""The source of an answer that a rater wrote."""


def gather(store: Store, queue: Queue, *, snapshot: str | None = None) -> tuple[list[Comparison], dict[Lost, int]]:
    """Comparisons of a queue (or of a snapshot's hash), sorted by task, and what was said that is in none of them.

    Judgments that only flag, score, note or edit come along; skips cannot, nor those of one answer alone, unless
    somebody edited it: then what they wrote stands beside it, unranked. A snapshot gives its rankings.
    """
    ranked = {c.judgments[0].task_id: c for c in store.comparisons(queue, snapshot=snapshot)}
    if snapshot is not None:
        held = next((s.judgments for s in store.listing.snapshots(queue.project) if s.hash == snapshot), 0)
        rankings = sum(len(comparison.judgments) for comparison in ranked.values())
        return [ranked[task_id] for task_id in sorted(ranked)], {UNRANKED: max(held - rankings, 0)}
    said: dict[str, list[Judgment]] = {}
    skips = 0
    for judgment in store.judgments(queue):
        if _is_skip(judgment):
            skips += 1
        else:
            said.setdefault(judgment.task_id, []).append(judgment)
    unranked = store.tasks(said.keys() - ranked.keys())
    found: dict[str, Comparison] = {}
    alone = 0
    for task_id, judgments in said.items():
        if task_id in ranked:
            found[task_id] = ranked[task_id].model_copy(update={"judgments": _sorted(judgments)})
            continue
        task = unranked[task_id]
        completions = task.completions if len(task.completions) > 1 else _with_edits(task, judgments)
        if len(completions) < 2:
            alone += len(judgments)
        else:
            found[task_id] = Comparison(prompt=task.prompt, completions=completions, judgments=_sorted(judgments))
    return [found[task_id] for task_id in sorted(found)], {SINGLES: alone, SKIPS: skips}


def _with_edits(task: Task, judgments: Iterable[Judgment]) -> tuple[Completion, ...]:
    """The answers of a task, and after them what raters put in their place."""
    texts = {text for judgment in judgments for text in judgment.edits.values() if text.strip()}
    new = sorted(texts - {completion.text for completion in task.completions})
    return (*task.completions, *(Completion(prompt_id=task.prompt.id, text=text, source=EDIT) for text in new))


def _sorted(judgments: Iterable[Judgment]) -> tuple[Judgment, ...]:
    return tuple(sorted(judgments, key=lambda j: (j.rater_id, j.id)))


def _is_skip(judgment: Judgment) -> bool:
    says = (judgment.flags, judgment.scores, judgment.critique, judgment.notes, judgment.edits)
    return judgment.ranking is None and not any(says)
