"""UltraFeedback rows: one per judgment, an `overall_score` per answer from its place, scores as annotations.

The best place gets 10, the worst 1, those between at equal distances; tied answers have equal scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assent.core.types import Comparison
from assent.data.losses import SEVERAL_TURNS, TWINS, Losses, count_unsaid
from assent.data.writers.ranked import Placed, placed
from assent.data.writers.spoken import is_one_question, plain_only

Rows = list[dict[str, Any]]
BEST, WORST = 10.0, 1.0
_SOURCE = "assent"


def ultrafeedback(comparisons: Sequence[Comparison], losses: Losses) -> Rows:
    """One row per judgment; it holds prompts of one user turn only."""
    comparisons = plain_only(comparisons, losses)
    fitting = [c for c in comparisons if is_one_question(c.prompt)]
    losses.add(SEVERAL_TURNS, sum(len(c.judgments) for c in comparisons) - sum(len(c.judgments) for c in fitting))
    count_unsaid(fitting, losses, keeps=frozenset({"scores"}))
    rows = []
    for one in placed(fitting, losses):
        # The format knows answers by model and text; two that are the same there could not be told apart.
        if len({(answer.source, answer.text) for answer in one.answers}) < len(one.answers):
            losses.add(TWINS)
            continue
        rows.append({"source": _SOURCE, "instruction": one.comparison.prompt.text, "completions": _completions(one)})
    if rows:
        losses.notes.append("places written as overall_score, 10 for the best and 1 for the worst")
    return rows


def _completions(one: Placed) -> list[dict[str, Any]]:
    steps = max(len(one.ranking.tiers) - 1, 1)
    return [
        {
            "model": answer.source,
            "response": answer.text,
            "overall_score": BEST - (BEST - WORST) * one.place(answer) / steps,
            "annotations": _ratings(one.judgment.scores.get(answer.id, {})),
        }
        for answer in one.answers
    ]


def _ratings(scores: Mapping[str, float]) -> dict[str, Any] | None:
    # None rather than an empty object, which Parquet cannot hold.
    return {criterion: {"Rating": f"{score:g}"} for criterion, score in scores.items()} or None
