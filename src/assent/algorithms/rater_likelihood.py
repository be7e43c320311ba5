"""How likely what a rater said about a pair is, given scores: sharpness, leans, own cut-points, taste of the group.

The logit of rater r for answer i over answer j is

    z = a_r · (s_i - s_j + o_g · (h_i - h_j)) + p_r · ([i first] - [j first]) + l_r · (log words_i - log words_j)

and what r says depends on where z + logistic noise falls between r's own cut-points 0 ≤ c₀ < c₁ < c₂ < c₃:

    … much worse   -c₀   tie   c₀   slightly better   c₁   better   c₂   clearly better   c₃   much better

Bradley & Terry (1952) for who wins; Rao & Kupper (1967) for ties; McCullagh (1980) for ordered categories; a signed
sharpness per rater after Chen et al. (2013, Crowd-BT), here additive to nothing and free to be negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from assent.algorithms.columns import Columns

NUM_CUTS = 4
TIE, SAID_BETTER, ALWAYS = 0, 1, NUM_CUTS + 1
"""Places in a rater's bounds (-c₀, c₀, c₁, c₂, c₃, ∞): a tie lies between 0 and 1, "better" above 1."""
NARROWEST = 1e-6
"""Logits that two bounds are apart at least."""


@dataclass(frozen=True, eq=False)
class Votes(Columns):
    """What raters said about pairs of answers, as indices into scores [B]. Of a tie, "better" and "worse" say nothing.

    A vote puts z plus noise between two of its rater's bounds: a tie (0, 1), strength s (s, s + 1), better by an
    unknown degree (1, 5), at least s (s, 5).
    """

    better: Int[Tensor, " P"]
    worse: Int[Tensor, " P"]
    lower: Int[Tensor, " P"]
    upper: Int[Tensor, " P"]
    weight: Float[Tensor, " P"]
    rater: Int[Tensor, " P"]
    first: Float[Tensor, " P"]
    """1 where the better one was shown first, -1 where the worse one was, 0 where neither or not known."""
    words: Float[Tensor, " P"]
    """Log words of the better one less those of the worse."""


@dataclass(frozen=True, eq=False)
class RaterTerms:
    """What is known of each rater and group at the moment; constants for the reward model."""

    sharpness: Float[Tensor, " R"]
    position: Float[Tensor, " R"]
    length: Float[Tensor, " R"]
    cuts: Float[Tensor, "R 4"]
    """Cut-points, rising; all ties and strengths of a rater who never said any are at the pool's."""
    group: Int[Tensor, " R"]
    """Number of each rater's group; -1 where it is not known: no offset."""
    offsets: Float[Tensor, "G d"]
    """What each group likes beyond the mean of all; weighted by the groups they sum to zero."""

    @classmethod
    def alike(cls, raters: int, *, cuts: Sequence[float], dtype: torch.dtype = torch.float32) -> RaterTerms:
        """Raters who do not differ: sharpness 1, no leans, no groups."""
        return cls(
            sharpness=torch.ones(raters, dtype=dtype),
            position=torch.zeros(raters, dtype=dtype),
            length=torch.zeros(raters, dtype=dtype),
            cuts=torch.tensor(list(cuts), dtype=dtype).expand(raters, NUM_CUTS),
            group=torch.full((raters,), -1),
            offsets=torch.zeros(0, 0, dtype=dtype),
        )

    def to(self, device: torch.device) -> RaterTerms:
        """The same on another device."""
        return RaterTerms(*(getattr(self, field.name).to(device) for field in fields(self)))


def ranking_votes(
    tiers: Sequence[Sequence[int]],
    *,
    strengths: Sequence[int | None] | None = None,
    first: int | None = None,
    log_words: Sequence[float],
    rater: int = 0,
) -> Votes:
    """All pairs of one ranking of K answers, each of weight 2/K (see `algorithms.reward.ranking_pairs`).

    `tiers` are indices into the scores, best first; `strengths[t]` says how much better tier t is than the next one
    (1 to 4, None: not said); `first` is the answer shown first; `log_words[i]` is the log of answer i's words. Of
    answers more than one tier apart the better one is better by at least the largest strength stated between them.
    """
    steps = [None] * (len(tiers) - 1) if strengths is None else list(strengths)
    if len(steps) != len(tiers) - 1:
        raise ValueError(f"{len(tiers)} tiers want {len(tiers) - 1} strengths, got {len(steps)}")
    ranked = [(index, level) for level, tier in enumerate(tiers) for index in tier]
    rows = []
    for (a, i), (b, j) in combinations(ranked, 2):
        shown_first = float(a == first) - float(b == first)
        rows.append((a, b, *_between(steps[i:j]), shown_first, log_words[a] - log_words[b]))
    better, worse, lower, upper, shown, words = zip(*rows, strict=True) if rows else ((),) * 6
    return Votes(
        better=torch.tensor(better, dtype=torch.long),
        worse=torch.tensor(worse, dtype=torch.long),
        lower=torch.tensor(lower, dtype=torch.long),
        upper=torch.tensor(upper, dtype=torch.long),
        weight=torch.full((len(rows),), 2 / max(len(ranked), 1)),
        rater=torch.full((len(rows),), rater),
        first=torch.tensor(shown, dtype=torch.float32),
        words=torch.tensor(words, dtype=torch.float32),
    )


def rater_logits(
    scores: Float[Tensor, " B"], states: Float[Tensor, "B d"] | None, votes: Votes, terms: RaterTerms
) -> Float[Tensor, " P"]:
    """z of every vote. `states` are needed where there are group offsets."""
    who = votes.rater
    lead = scores[votes.better] - scores[votes.worse]
    if len(terms.offsets):
        if states is None:
            raise ValueError(f"{len(terms.offsets)} groups have offsets, which want the states of the answers")
        # A last column of zeros serves the raters whose group is -1.
        taste = torch.cat([states @ terms.offsets.T, states.new_zeros(len(states), 1)], dim=1)
        group = terms.group[who]
        lead = lead + taste[votes.better, group] - taste[votes.worse, group]
    return terms.sharpness[who] * lead + terms.position[who] * votes.first + terms.length[who] * votes.words


def bounds(cuts: Float[Tensor, "R 4"]) -> Float[Tensor, "R 6"]:
    """-c₀, c₀, c₁, c₂, c₃, ∞ of every rater."""
    infinite = torch.full_like(cuts[:, :1], torch.inf)
    return torch.cat([-cuts[:, :1], cuts, infinite], dim=1)


def ordinal_loss(
    logits: Float[Tensor, " P"], lower: Float[Tensor, " P"], upper: Float[Tensor, " P"]
) -> Float[Tensor, " P"]:
    """-log P(lower < z + logistic noise < upper) (McCullagh 1980, proportional odds); upper may be infinite.

    Bradley-Terry where lower = 0 and upper = ∞; win and tie of Rao-Kupper where the bounds are (η, ∞) and (-η, η).
    Bounds nearer than `NARROWEST` count as that far apart: a tie stays possible where a model has never seen one.
    """
    # log(σ(u) - σ(l)) = log σ(u) + log σ(-l) + log(1 - e^(l - u)): no difference of nearly equal numbers.
    width = torch.log(-torch.expm1((lower - upper).clamp(max=-NARROWEST)))
    return -(logsigmoid(upper - logits) + logsigmoid(logits - lower) + width)


def joint_loss(
    scores: Float[Tensor, " B"], states: Float[Tensor, "B d"] | None, votes: Votes, terms: RaterTerms
) -> Float[Tensor, " P"]:
    """Negative log-likelihood of every vote, unweighted, the rater's terms given.

    With sharpness 1, no leans and cut-points 0 it is `algorithms.reward.bradley_terry_loss` of decided pairs.
    """
    edges = bounds(terms.cuts)
    return ordinal_loss(
        rater_logits(scores, states, votes, terms),
        edges[votes.rater, votes.lower],
        edges[votes.rater, votes.upper],
    )


def _between(steps: Sequence[int | None]) -> tuple[int, int]:
    """Places of the bounds for answers that these strengths lie between; no step at all is a tie."""
    if not steps:
        return TIE, SAID_BETTER
    if len(steps) == 1:
        return (SAID_BETTER, ALWAYS) if steps[0] is None else (steps[0], steps[0] + 1)
    return max([SAID_BETTER, *(s for s in steps if s is not None)]), ALWAYS
