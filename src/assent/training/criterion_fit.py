"""What people scored answers by criteria, as targets: raters made comparable, missing scores left missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from assent.algorithms.objective import Loss, Weighted
from assent.algorithms.regression import squared_error
from assent.core.errors import DataError
from assent.core.group import Group
from assent.core.types import Comparison
from assent.models.criterion_heads import Criterion
from assent.models.groups import GroupBatch
from assent.training.targets import Target, local_targets

PRIOR = 10.0
"""A rater's own level counts for n / (n + PRIOR) of what n scores show of it: few scores say little."""


@dataclass(frozen=True)
class CriterionScale:
    """One criterion over all who scored by it."""

    criterion: Criterion
    severity: Mapping[str, float]
    """By how much each rater scores above the mean of all, shrunk; it is taken off before anything is learned."""
    scores: int
    """How many there are."""

    def standard(self, rater: str, score: float) -> float:
        """A score without its rater's own level, in deviations from the mean."""
        return (score - self.severity.get(rater, 0.0) - self.criterion.mean) / self.criterion.std

    def line(self) -> str:
        """The same in words."""
        levels = self.severity.values()
        return (
            f"criterion {self.criterion.name}: {self.scores} scores of {len(self.severity)} raters, mean"
            f" {self.criterion.mean:.2f}, deviation {self.criterion.std:.2f}; raters' own levels from"
            f" {min(levels):+.2f} to {max(levels):+.2f} are taken off"
        )


def scales_of(comparisons: Sequence[Comparison], names: Sequence[str]) -> tuple[CriterionScale, ...]:
    """The scale of each criterion. Raises DataError for one by which fewer than two different scores were given."""
    if not names:
        return ()
    found: dict[str, list[tuple[str, float]]] = {name: [] for name in names}
    seen: set[str] = set()
    for one in comparisons:
        for _, criterion, rater, score in _scores(one):
            seen.add(criterion)
            if criterion in found:
                found[criterion].append((rater, score))
    for name, scores in found.items():
        if len({score for _, score in scores}) < 2:
            there = ", ".join(sorted(seen)) or "none"
            raise DataError(
                f"reward.criteria names {name!r}, of which the comparisons hold {len(scores)} scores, too few or all"
                f" alike; criteria that were scored: {there}"
            )
    return tuple(_scale(name, scores) for name, scores in found.items())


def table(comparison: Comparison, scales: Sequence[CriterionScale]) -> Tensor:
    """Mean standard score of each answer by each criterion [K, C], NaN where nobody scored it."""
    place = {one.id: n for n, one in enumerate(comparison.completions)}
    column = {scale.criterion.name: n for n, scale in enumerate(scales)}
    cells: dict[tuple[int, int], list[float]] = defaultdict(list)
    for answer, criterion, rater, score in _scores(comparison):
        if criterion in column:
            cells[place[answer], column[criterion]].append(scales[column[criterion]].standard(rater, score))
    found = torch.full((len(place), len(scales)), torch.nan)
    for cell, scores in cells.items():
        found[cell] = sum(scores) / len(scores)
    return found


def criterion_loss(
    overall: Tensor, said: Tensor, batch: GroupBatch, members: Sequence[tuple[Group, Target]], *, is_overall: bool
) -> Loss:
    """Mean squared error of each comparison's scores, weighted as its rankings are, over the rows of a micro-batch.

    `overall` [B] are the scores of the first head; where `is_overall`, it learns the mean over the criteria too.
    `said` [B, C] is what the other heads say, in deviations.
    """
    total, weight = said.new_zeros(()), 0.0
    for start, target in local_targets(batch, members):
        if target.scores is None or bool(target.scores.isnan().all()):
            continue
        wanted = target.scores.to(said.device)
        rows = slice(start, start + len(wanted))
        loss = _mean_error(said[rows], wanted)
        if is_overall:
            loss = loss + _mean_error(overall[rows], wanted.nanmean(dim=1))
        total, weight = total + target.weight * loss, weight + target.weight
    return Loss(total, weight, {"criteria_loss": Weighted(total.detach(), weight)} if weight else {})


def _mean_error(found: Tensor, wanted: Tensor) -> Tensor:
    return squared_error(found, wanted).sum() / (~wanted.isnan()).sum()


def _scores(comparison: Comparison) -> Iterator[tuple[str, str, str, float]]:
    """(answer, criterion, rater, score) of everything that was scored."""
    known = {one.id for one in comparison.completions}
    for judgment in comparison.judgments:
        for answer, said in judgment.scores.items():
            if answer in known:
                for criterion, score in said.items():
                    yield answer, criterion, judgment.rater_id, score


def _scale(name: str, scores: Sequence[tuple[str, float]]) -> CriterionScale:
    own: dict[str, list[float]] = defaultdict(list)
    for rater, score in scores:
        own[rater].append(score)
    middle = float(np.mean([score for _, score in scores]))
    severity = {
        rater: len(some) / (len(some) + PRIOR) * (float(np.mean(some)) - middle) for rater, some in sorted(own.items())
    }
    level = np.array([score - severity[rater] for rater, score in scores])
    criterion = Criterion(name, float(level.mean()), max(float(level.std()), 1e-6))
    return CriterionScale(criterion, severity, len(scores))
