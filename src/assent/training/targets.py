"""Judgments as training targets: which answer of a group was put above which, and how strongly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from assent.algorithms.likelihoods import LARGE_MARGINS, SMALL_MARGINS, Pairs, margins_from_strengths, ranking_pairs
from assent.algorithms.masked import row_sum
from assent.algorithms.rater_likelihood import Votes, ranking_votes
from assent.algorithms.soft_labels import SoftPairs
from assent.core.group import Group
from assent.core.types import Comparison, Ranking
from assent.models.groups import GroupBatch

MARGINS = {"none": None, "small": SMALL_MARGINS, "large": LARGE_MARGINS}
"""Margin of strengths 1 to 4, by the name a config gives."""


@dataclass(frozen=True, eq=False)
class Target:
    """The rankings of one group; numbers are places of answers inside the group."""

    tiers: tuple[tuple[tuple[int, ...], ...], ...]
    """One per ranking: its tiers, best first."""
    pairs: Pairs
    """All pairs of all rankings."""
    votes: Votes
    """The same pairs with who said so, and how; numbers of raters are places in `raters`."""
    raters: tuple[str, ...]
    """Who ranked, one per ranking."""
    scores: torch.Tensor | None = None
    """What people scored each answer by each criterion [K, C], in deviations from the mean; NaN: nobody scored it."""
    chance: Tensor | None = None
    """Of each pair, that the next person prefers its better answer [P]; None: labels are hard."""

    @property
    def weight(self) -> float:
        """Sum of the pairs' weights: K - 1 per ranking of K."""
        return float(self.pairs.weight.sum())

    @property
    def counted(self) -> Tensor:
        """How much each vote counts [P], 1 unless it was weighted: without that each pair of a ranking of K has 2/K."""
        sizes = torch.tensor([sum(map(len, ranking)) for ranking in self.tiers])
        return self.votes.weight * sizes[self.votes.rater] / 2

    @property
    def is_weighted(self) -> bool:
        """Whether any vote counts otherwise than 1."""
        return not torch.allclose(self.counted, torch.ones_like(self.counted))

    def weighted(self, weight: Mapping[str, float]) -> Target:
        """The same with what each rater said weighted; somebody who is not named keeps weight 1."""
        of_rater = torch.tensor([weight.get(name, 1.0) for name in self.raters])
        # Pairs and votes are the same pairs, ranking by ranking, and within a ranking all weigh the same.
        factor = of_rater[self.votes.rater]
        return replace(
            self,
            pairs=replace(self.pairs, weight=self.pairs.weight * factor),
            votes=replace(self.votes, weight=self.votes.weight * factor),
        )

    def decided(self) -> Target:
        """The same without its ties."""
        keep = ~self.pairs.is_tie
        pairs = Pairs(
            self.pairs.better[keep],
            self.pairs.worse[keep],
            self.pairs.is_tie[keep],
            self.pairs.weight[keep],
            self.pairs.margin[keep],
        )
        return replace(self, pairs=pairs, chance=None if self.chance is None else self.chance[keep])

    def best(self) -> tuple[Tensor, Tensor]:
        """The best answers of the rankings that are not one tie, and their weights, which add up to those of the pairs.

        Among the rankings they are divided as these count, and among the best of one alike.
        """
        weight = torch.zeros(1 + max(i for ranking in self.tiers for tier in ranking for i in tier))
        of_ranking = row_sum(self.votes.weight, self.votes.rater, len(self.tiers))
        for ranking, whole in zip(self.tiers, of_ranking, strict=True):
            if len(ranking) > 1:
                weight[list(ranking[0])] += whole / len(ranking[0])
        # Pairs may be fewer than what was said: without ties, or with soft labels each once for all its votes.
        scale = self.pairs.weight.sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)
        return weight.nonzero().flatten(), weight[weight > 0] * scale


def softened(target: Target, soft: Callable[[Votes], SoftPairs]) -> Target:
    """The same with each pair once, and the chance that its better answer is better in place of the single votes.

    A pair of K answers weighs 2/K, as in a ranking, and less where the votes on it count less than one together.
    """
    found = soft(replace(target.votes, weight=target.counted))
    nothing = torch.zeros_like(found.chance)
    largest = max(sum(map(len, ranking)) for ranking in target.tiers)
    pairs = Pairs(found.better, found.worse, nothing.bool(), found.weight * 2 / largest, nothing)
    return replace(target, pairs=pairs, chance=found.chance)


def target_of(comparison: Comparison, *, margins: Sequence[float] | None = None) -> Target | None:
    """The rankings of a comparison; None where nobody ranked two answers."""
    place = {c.id: i for i, c in enumerate(comparison.completions)}
    ranked = [j for j in comparison.judgments if j.ranking is not None and len(j.ranking.ids) > 1]
    if not ranked:
        return None
    rankings = [j.ranking for j in ranked if j.ranking is not None]
    tiers = tuple(tuple(tuple(place[i] for i in tier) for tier in r.tiers) for r in rankings)
    steps = [_step_margins(r, margins) for r in rankings]
    pairs = Pairs.join(ranking_pairs(t, step_margins=s) for t, s in zip(tiers, steps, strict=True))
    log_words = [math.log(max(1, len(c.text.split()))) for c in comparison.completions]
    votes = Votes.join(
        ranking_votes(
            t,
            strengths=r.strengths,
            first=place.get(j.order_shown[0]) if j.order_shown else None,
            log_words=log_words,
            rater=number,
        )
        for number, (t, r, j) in enumerate(zip(tiers, rankings, ranked, strict=True))
    )
    return Target(tiers, pairs, votes, tuple(j.rater_id for j in ranked))


def local_pairs(batch: GroupBatch, members: Sequence[tuple[Group, Target]]) -> Pairs:
    """All pairs of the groups in one micro-batch, as numbers of its local rows; `members` are the optimizer batch."""
    parts = [
        replace(t.pairs, better=t.pairs.better + start, worse=t.pairs.worse + start)
        for start, t in local_targets(batch, members)
    ]
    return Pairs.join(parts).to(batch.tokens.device)


def local_chances(batch: GroupBatch, members: Sequence[tuple[Group, Target]]) -> Tensor:
    """The chance of each of `local_pairs` that its better answer is better; 1 where labels are hard."""
    targets = (t for _, t in local_targets(batch, members))
    parts = [torch.ones(len(t.pairs.better)) if t.chance is None else t.chance for t in targets]
    return torch.cat(parts).to(batch.tokens.device)


def local_best(batch: GroupBatch, members: Sequence[tuple[Group, Target]]) -> tuple[Tensor, Tensor]:
    """The best answers of the groups in one micro-batch as numbers of its local rows, and their weights."""
    found = [(start, *t.best()) for start, t in local_targets(batch, members)]
    rows = torch.cat([rows + start for start, rows, _ in found])
    return rows.to(batch.tokens.device), torch.cat([weight for *_, weight in found]).to(batch.tokens.device)


def local_votes(batch: GroupBatch, members: Sequence[tuple[Group, Target]]) -> Votes:
    """All votes on the groups in one micro-batch, as `local_pairs`; raters keep the numbers that the votes have."""
    parts = [shifted(t.votes, start) for start, t in local_targets(batch, members)]
    return Votes.join(parts).to(batch.tokens.device)


def shifted(votes: Votes, start: int) -> Votes:
    """Votes on answers that stand `start` places further on."""
    return replace(votes, better=votes.better + start, worse=votes.worse + start)


def local_targets(batch: GroupBatch, members: Sequence[tuple[Group, Target]]) -> list[tuple[int, Target]]:
    """The target of each group in a micro-batch with the local row of its first answer, in the order of the members.

    The others are not looked at: members may be many more than a micro-batch holds.
    """
    first: dict[int, int] = {}
    for row, number in enumerate(batch.group_of_row):
        first.setdefault(number, row)
    return [(first[number], members[number][1]) for number in sorted(first)]


def _step_margins(ranking: Ranking, margins: Sequence[float] | None) -> Sequence[float] | None:
    if margins is None or ranking.strengths is None:
        return None
    return margins_from_strengths(ranking.strengths, table=margins)
