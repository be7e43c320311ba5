"""What stands beside the judgments of a comparison: when each was given, and what adjudicators decided about the task.

It travels in the comparison's meta under `aside`, which our own format keeps; every other format counts it as lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from assent.core.types import Comparison
from assent.data.losses import DECISIONS, TIMES, Losses

ASIDE = "aside"


def laid(comparison: Comparison, found: dict[str, Any] | None) -> Comparison:
    """The comparison with what stands beside it: only times of judgments that it holds."""
    if not found:
        return comparison
    own = {judgment.id for judgment in comparison.judgments}
    times = {name: at for name, at in sorted(found.get("times", {}).items()) if name in own}
    both = {"times": times, "decisions": found.get("decisions")}
    kept = {name: value for name, value in both.items() if value}
    return comparison.model_copy(update={"meta": {**comparison.meta, ASIDE: kept}}) if kept else comparison


def taken(comparison: Comparison) -> tuple[Comparison, dict[str, Any]]:
    """The comparison without it, and it."""
    found = comparison.meta.get(ASIDE)
    if not isinstance(found, dict):
        return comparison, {}
    return comparison.model_copy(update={"meta": {k: v for k, v in comparison.meta.items() if k != ASIDE}}), found


def count(comparisons: Iterable[Comparison], losses: Losses) -> list[Comparison]:
    """The comparisons without it, each time and decision counted as lost."""
    kept = []
    for comparison in comparisons:
        plain, found = taken(comparison)
        losses.add(TIMES, len(found.get("times", {})))
        losses.add(DECISIONS, len(found.get("decisions", [])))
        kept.append(plain)
    return kept
