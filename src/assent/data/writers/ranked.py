"""What writers of whole rankings share: the answers that have a place, judgment by judgment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assent.core.types import Comparison, Completion, Judgment, Ranking
from assent.data.losses import ALONE, UNPLACED, UNRANKED, Losses


@dataclass(frozen=True)
class Placed:
    """One judgment with the answers it gives a place, in the comparison's order."""

    comparison: Comparison
    judgment: Judgment
    ranking: Ranking
    answers: tuple[Completion, ...]

    def place(self, completion: Completion) -> int:
        """Tier of an answer, 0 = best."""
        return self.ranking.rank()[completion.id]


def placed(comparisons: Sequence[Comparison], losses: Losses) -> Iterator[Placed]:
    """Every judgment that ranks at least two answers; the rest is counted."""
    for comparison in comparisons:
        for judgment in comparison.judgments:
            if judgment.ranking is None:
                losses.add(UNRANKED)
                continue
            ids = set(judgment.ranking.ids)
            losses.add(UNPLACED, len(comparison.completions) - len(ids))
            if len(ids) < 2:
                losses.add(ALONE)
                continue
            answers = tuple(completion for completion in comparison.completions if completion.id in ids)
            yield Placed(comparison, judgment, judgment.ranking, answers)
