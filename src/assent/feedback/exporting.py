"""What leaves a store in an export: comparisons with everything said about them, and what no comparison can hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from assent.core.types import Comparison, Completion, Judgment, Task
from assent.data import aside
from assent.data.losses import GUIDELINES, PROPENSITIES, REPEATS, SINGLES, SKIPS, UNRANKED, Lost
from assent.feedback.records.queue import Queue, SaidRow
from assent.feedback.store import Store

EDIT = "edit"
"""The source of an answer that a rater wrote."""


def gather(store: Store, queue: Queue, *, snapshot: str | None = None) -> tuple[list[Comparison], dict[Lost, int]]:
    """Comparisons of a queue (or of a snapshot's hash), sorted by task, and what was said that is in none of them.

    Judgments that only flag, score, note or edit come along; skips cannot, nor those of one answer alone, unless
    somebody edited it: then what they wrote stands beside it, unranked. Tasks that raters were asked again without
    being told measure the raters, and are no second vote. A snapshot gives its rankings. When something was said, and
    what adjudicators decided, stands in each comparison's meta (`aside`), for the format that can keep it.
    """
    repeats = store.listing.repeats(queue)
    whole = store.comparisons(queue, snapshot=snapshot)
    ranked = {c.judgments[0].task_id: c for c in whole if c.judgments[0].task_id not in repeats}
    if snapshot is not None:
        held = next((s.judgments for s in store.listing.snapshots(queue.project) if s.hash == snapshot), 0)
        rankings = sum(len(comparison.judgments) for comparison in whole)
        repeated = rankings - sum(len(comparison.judgments) for comparison in ranked.values())
        lost = {UNRANKED: max(held - rankings, 0), REPEATS: repeated}
        return [ranked[task_id] for task_id in sorted(ranked)], _some(lost)
    said: dict[str, list[Judgment]] = {}
    skips = again = 0
    for judgment in store.judgments(queue):
        if judgment.task_id in repeats:
            again += 1
        elif _is_skip(judgment):
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
    facts = {row.judgment_id: row for row in store.said(queue.project)}
    asides = _asides(store, queue, facts.values())
    kept = [aside.laid(found[task_id], asides.get(task_id)) for task_id in sorted(found)]
    told = [facts[j.id] for c in kept for j in c.judgments if j.id in facts]
    absent = {
        SINGLES: alone,
        SKIPS: skips,
        REPEATS: again,
        GUIDELINES: sum(row.guideline_version is not None for row in told),
        PROPENSITIES: sum(row.propensity is not None for row in told),
    }
    return kept, _some(absent)


def _some(counts: dict[Lost, int]) -> dict[Lost, int]:
    return {loss: count for loss, count in counts.items() if count}


def _asides(store: Store, queue: Queue, said: Iterable[SaidRow]) -> dict[str, dict[str, Any]]:
    """What stands beside the judgments of each task: when each came, and what adjudicators decided."""
    found: dict[str, dict[str, Any]] = {}
    for row in said:
        found.setdefault(row.task_id, {}).setdefault("times", {})[row.judgment_id] = row.submitted_at
    for one in store.projects.adjudications(queue.project):
        decision = {
            "adjudicator": one.adjudicator_id,
            "at": one.decided_at,
            "ranking": None if one.ranking is None else one.ranking.model_dump(mode="json"),
            "reason": one.reason,
        }
        found.setdefault(one.task_id, {}).setdefault("decisions", []).append(decision)
    return found


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
