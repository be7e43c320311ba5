"""How likely it is that one answer of a pair is better, from several people's votes on it: soft labels.

Five of five is not three of five, and one of one is neither. By shares, a vote counts as a vote whoever gave it; by the
rater model (`algorithms.rater_likelihood`) each counts as its rater's sharpness, leans and cut-points say.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from assent.algorithms.columns import Columns
from assent.algorithms.masked import row_sum
from assent.algorithms.rater_likelihood import SAID_BETTER, RaterTerms, Votes, bounds, ordinal_loss

GRID, WIDTH = 201, 6.0
"""Points of the grid of gaps, and how many prior deviations it reaches to each side."""


@dataclass(frozen=True, eq=False)
class SoftPairs(Columns):
    """Pairs of answers with any vote, each once, as indices into scores."""

    better: Int[Tensor, " P"]
    """The likelier one."""
    worse: Int[Tensor, " P"]
    chance: Float[Tensor, " P"]
    """That the next person prefers it, at least ½."""
    weight: Float[Tensor, " P"]
    """How many votes the pair has, up to one: a pair weighs no more for having many, and is surer instead."""


def share_labels(votes: Votes, *, prior: float) -> SoftPairs:
    """(votes for it + half of the ties + prior) / (all votes + 2 · prior); prior 1 is Laplace's rule of succession.

    A vote counts as its `weight`, 1 for a whole one. With prior 0 and pairs that weigh as many as their votes,
    cross-entropy with it is the sum over hard votes.
    """
    pairs = _Unordered.of(votes)
    said = torch.where(votes.lower < SAID_BETTER, 0.5, pairs.is_forward.float()) * votes.weight
    total = pairs.total(votes)
    return pairs.oriented((row_sum(said, pairs.of_vote, pairs.count) + prior) / (total + 2 * prior), total)


def rater_labels(votes: Votes, terms: RaterTerms, *, spread: float) -> SoftPairs:
    """Mean of σ(d) over the posterior of the gap d in logits, given the votes: what a rater of sharpness 1 would say.

    The prior of d is normal around 0 with deviation `spread`; each vote has the likelihood of its rater, to the power
    of its `weight` (1 for a whole vote), group tastes left out. By a grid of d; no vote of a rater of sharpness 0 moves
    it, and one of negative sharpness counts reversed.
    """
    pairs = _Unordered.of(votes)
    grid = torch.linspace(-WIDTH, WIDTH, GRID, dtype=torch.float64) * spread
    who, sign = votes.rater, pairs.is_forward.double() * 2 - 1
    lean = terms.position[who].double() * votes.first + terms.length[who].double() * votes.words
    logits = (terms.sharpness[who].double() * sign)[:, None] * grid + lean[:, None]
    edges = bounds(terms.cuts.double())
    lower, upper = (edges[who, place][:, None].expand_as(logits) for place in (votes.lower, votes.upper))
    said = -ordinal_loss(logits.flatten(), lower.flatten(), upper.flatten()).view_as(logits)
    said = said * votes.weight.double()[:, None]
    log_posterior = (-0.5 * (grid / spread) ** 2).expand(pairs.count, GRID).index_add(0, pairs.of_vote, said)
    return pairs.oriented((log_posterior.softmax(1) @ grid.sigmoid()).float(), pairs.total(votes))


@dataclass(frozen=True)
class _Unordered:
    """The pairs that votes are about, whichever way round each says it."""

    first: Tensor
    second: Tensor
    of_vote: Tensor
    """Number of each vote's pair."""
    is_forward: Tensor
    """Whether a vote calls the first of its pair better."""

    @classmethod
    def of(cls, votes: Votes) -> _Unordered:
        low, high = torch.minimum(votes.better, votes.worse), torch.maximum(votes.better, votes.worse)
        unique, of_vote = torch.unique(torch.stack([low, high], dim=1), dim=0, return_inverse=True)
        return cls(unique[:, 0], unique[:, 1], of_vote, votes.better == low)

    @property
    def count(self) -> int:
        return len(self.first)

    def total(self, votes: Votes) -> Tensor:
        """How many votes each pair has."""
        return row_sum(votes.weight, self.of_vote, self.count)

    def oriented(self, chance: Tensor, total: Tensor) -> SoftPairs:
        """With the likelier one as the better; `chance` is that of the first."""
        is_first = chance >= 0.5
        return SoftPairs(
            better=torch.where(is_first, self.first, self.second),
            worse=torch.where(is_first, self.second, self.first),
            chance=torch.where(is_first, chance, 1 - chance),
            weight=total.clamp(max=1),
        )
