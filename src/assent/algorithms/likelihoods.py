"""How likely people's rankings are, given the scores of a reward model: pairs, pairs with ties, and whole rankings.

Scores are strengths in logits: of two answers, the one ahead by d wins with probability σ(d) (Bradley & Terry 1952).
Losses are negative log-likelihoods, one per pair or per ranking, unweighted; the caller multiplies and sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from assent.algorithms.columns import Columns
from assent.algorithms.masked import row_mean

SMALL_MARGINS = (0.0, 1 / 3, 2 / 3, 1.0)
"""Margin of strength 1 (slightly better) to 4 (much better) (Touvron et al. 2023, Llama 2, small)."""

LARGE_MARGINS = (0.0, 1.0, 2.0, 3.0)
"""The same, large: better accuracy on clear pairs, scores pushed further apart."""


@dataclass(frozen=True, eq=False)
class Pairs(Columns):
    """Pairs of answers as indices into scores [B]. Of a tie, which of the two is called better means nothing."""

    better: Int[Tensor, " P"]
    worse: Int[Tensor, " P"]
    is_tie: Bool[Tensor, " P"]
    weight: Float[Tensor, " P"]
    margin: Float[Tensor, " P"]
    """By how much the better score must lead before the pair counts as even; 0 for ties."""


def ranking_pairs(tiers: Sequence[Sequence[int]], *, step_margins: Sequence[float] | None = None) -> Pairs:
    """All K(K-1)/2 pairs of one ranking of K answers, each of weight 2/K, so that the ranking weighs K - 1 in all.

    `tiers` are indices into the scores, best first, ties together. A ranking of K answers holds about K - 1 independent
    comparisons (it can be had by K - 1 of them, when the order is lucky); the other pairs follow. Weighted 1 each, a
    ranking of 9 would count 36 times a pair; weighted 1/(K choose 2) (Ouyang et al. 2022, eq. 1), no more than it.

    `step_margins[i]` is the margin between tier i and tier i + 1; a pair's margin is the sum of the steps between them.
    """
    steps = [0.0] * (len(tiers) - 1) if step_margins is None else list(step_margins)
    if len(steps) != len(tiers) - 1:
        raise ValueError(f"{len(tiers)} tiers want {len(tiers) - 1} step margins, got {len(steps)}")
    # Summed from zero and not subtracted from running totals: the margin of one step is then that very number.
    ranked = [(index, level) for level, tier in enumerate(tiers) for index in tier]
    listed = [(a, b, i == j, sum(steps[i:j])) for (a, i), (b, j) in combinations(ranked, 2)]
    better, worse, is_tie, margin = zip(*listed, strict=True) if listed else ((), (), (), ())
    return Pairs(
        better=torch.tensor(better, dtype=torch.long),
        worse=torch.tensor(worse, dtype=torch.long),
        is_tie=torch.tensor(is_tie, dtype=torch.bool),
        weight=torch.full((len(listed),), 2 / max(len(ranked), 1)),
        margin=torch.tensor(margin, dtype=torch.float32),
    )


def margins_from_strengths(strengths: Sequence[int | None], *, table: Sequence[float]) -> tuple[float, ...]:
    """Margin of each step of a ranking from its strength: strength s has `table[s - 1]`, a strength not said has 0."""
    unknown = [s for s in strengths if s is not None and not 1 <= s <= len(table)]
    if unknown:
        raise ValueError(f"strengths {unknown} have no margin in a table of {len(table)}")
    return tuple(0.0 if s is None else table[s - 1] for s in strengths)


def bradley_terry_loss(scores: Float[Tensor, " B"], pairs: Pairs) -> Float[Tensor, " P"]:
    """-log σ(score of better - score of worse - margin) (Touvron et al. 2023, Llama 2, eq. 2). Is log 2 at equality.

    A tie is half a win each way, -½ log σ(d) - ½ log σ(-d): at its least, log 2, where the scores are equal.
    """
    lead = _lead(scores, pairs)
    win = -logsigmoid(lead)
    return torch.where(pairs.is_tie, 0.5 * (win - logsigmoid(-lead)), win)


def davidson_loss(scores: Float[Tensor, " B"], pairs: Pairs, *, tie: Float[Tensor, ""]) -> Float[Tensor, " P"]:
    """Negative log-likelihood of pairs that may tie (Davidson 1970): win : tie : loss = e^(d/2) : ν : e^(-d/2).

    `tie` is ν > 0, a tensor that may be learned (make it positive by exp or softplus). ν/(2 + ν) of equal pairs tie;
    ν → 0 is Bradley-Terry. A margin moves the lead d of pairs that are not ties.
    """
    lead = _lead(scores, pairs)
    # The log of ν is the same for every pair; expand it so that the three outcomes share one softmax.
    outcomes = torch.stack([lead / 2, tie.log().expand_as(lead), -lead / 2])
    win, equal, _ = outcomes.log_softmax(0)
    return -torch.where(pairs.is_tie, equal, win)


def rao_kupper_loss(scores: Float[Tensor, " B"], pairs: Pairs, *, tie: Float[Tensor, ""]) -> Float[Tensor, " P"]:
    """Negative log-likelihood of pairs that may tie (Rao & Kupper 1967): a lead must pass a threshold to be seen.

    P(win) = σ(d - η), P(loss) = σ(-d - η), the rest ties. `tie` is η = log θ > 0 in units of score, a tensor that may
    be learned (make it positive by exp or softplus). η → 0 is Bradley-Terry. A margin moves the lead d of pairs that
    are not ties.
    """
    lead = _lead(scores, pairs)
    win, loss = logsigmoid(lead - tie), logsigmoid(-lead - tie)
    # P(tie) = (θ² - 1) P(win) P(loss), with log(θ² - 1) = 2η + log(1 - e^(-2η)).
    equal = win + loss + 2 * tie + torch.log(-torch.expm1(-2 * tie))
    return -torch.where(pairs.is_tie, equal, win)


def plackett_luce_loss(scores: Float[Tensor, " B"], order: Int[Tensor, "R K"]) -> Float[Tensor, " R"]:
    """Negative log-likelihood of R full rankings of K answers without ties (Plackett 1975, Luce 1959).

    `order` indexes scores, best first. The best is drawn by softmax, then the best of the rest, and so on.
    """
    ranked = scores[order]
    rest = ranked.flip(-1).logcumsumexp(-1).flip(-1)
    return (rest - ranked).sum(-1)


def davidson_luce_loss(
    scores: Float[Tensor, " B"],
    order: Int[Tensor, "R K"],
    tier_sizes: Sequence[int],
    *,
    tie: Float[Tensor, " sizes"],
) -> Float[Tensor, " R"]:
    """Negative log-likelihood of R rankings with ties, exactly (Davidson-Luce; Firth, Kosmidis & Turner 2019).

    All R have the same shape: `order` indexes scores, best first, `tier_sizes` cuts it into tiers, e.g. (1, 2, 1).
    Each tier C is drawn from all subsets of the answers left, with weight δ_n · exp(mean score of C), n = |C|. `tie`
    holds δ_2, δ_3, … > 0 (learnable; make them positive by exp or softplus): ties of more than 1 + len(tie) answers
    cannot happen, and raise ValueError. With K = 2 it is Davidson's model, ν = δ_2; with an empty `tie`, Plackett-Luce.
    The normaliser is a sum over subsets, at most 2^K of them: meant for rankings of up to about 12 answers.
    """
    largest = len(tie) + 1
    if sum(tier_sizes) != order.shape[1]:
        raise ValueError(f"tiers of sizes {tuple(tier_sizes)} do not make up rankings of {order.shape[1]}")
    if max(tier_sizes) > largest:
        raise ValueError(f"a tie of {max(tier_sizes)} has probability 0 where only {len(tie)} tie weights are given")
    ranked = scores[order]
    log_weight = torch.cat([tie.new_zeros(1), tie.log()])
    total = ranked.new_zeros(len(ranked))
    start = 0
    for size in tier_sizes:
        left = ranked[:, start:]
        means, sizes = _subsets(left.shape[1], largest)
        everything = left @ means.to(left) + log_weight[sizes.to(left.device) - 1]
        total = total + everything.logsumexp(-1) - (left[:, :size].mean(-1) + log_weight[size - 1])
        start += size
    return total


def tie_terms(
    scores: Float[Tensor, " B"], order: Int[Tensor, "R K"], tier_sizes: Sequence[int], *, sizes: int
) -> Float[Tensor, "D sizes"]:
    """What the strengths of ties are held against: for each of D = R · tiers draws the log of Σ exp(mean score of C).

    The sum is over the subsets C of each size 1 … `sizes` of the answers left, -inf where fewer are left. With the log
    strengths w, w_1 = 0, `davidson_luce_loss` is Σ over draws of logsumexp(terms + w) - w_n - what holds no strength,
    n the size of the tier that was drawn. So it costs little for strength after strength while scores stay as they are.
    """
    ranked, start, found = scores[order], 0, []
    for tier in tier_sizes:
        left = ranked[:, start:]
        means, size = _subsets(left.shape[1], sizes)
        of_subset = left @ means.to(left)
        term = left.new_full((len(left), sizes), -torch.inf)
        for n in range(1, min(sizes, left.shape[1]) + 1):
            term[:, n - 1] = of_subset[:, size == n].logsumexp(-1)
        found.append(term)
        start += tier
    return torch.cat(found)


def centering_penalty(scores: Float[Tensor, " B"], group: Int[Tensor, " B"], num_groups: int) -> Float[Tensor, " G"]:
    """Squared mean score of each group's answers, to hold scores near 0 (after Eisenstein et al. 2023, eq. 2).

    Rankings say nothing about a prompt's overall level, so without it the scores of different prompts drift apart.
    """
    return row_mean(scores, group, num_groups).square()


def _lead(scores: Tensor, pairs: Pairs) -> Tensor:
    """By how much the better score leads, beyond the margin asked of pairs that are not ties."""
    return scores[pairs.better] - scores[pairs.worse] - pairs.margin.to(scores.dtype) * ~pairs.is_tie


@lru_cache(maxsize=128)
def _subsets(count: int, largest: int) -> tuple[Tensor, Tensor]:
    """Of all subsets of at most `largest` of `count` answers: what averages scores over each, and their sizes."""
    subsets = [c for n in range(1, min(largest, count) + 1) for c in combinations(range(count), n)]
    matrix = torch.zeros(count, len(subsets), dtype=torch.float64)
    for column, subset in enumerate(subsets):
        matrix[list(subset), column] = 1 / len(subset)
    return matrix, torch.tensor([len(c) for c in subsets])
