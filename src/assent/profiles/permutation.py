"""Is an audience's taste more than the taste of any raters? Membership is shuffled over whole raters, never over votes.

Each rater i is summed up by the score u_i = Σ w · (1 - P(what i said)) · x, the gradient of their votes at the parent's
reward with respect to an offset. With n_i votes, N in all and N_G of the audience, the statistic is

    T(G) = |Σ_{i in G} u_i - (N_G / N) Σ_i u_i|² · N / (N_G · (N - N_G))

which is large where the audience pulls the reward in a direction of its own (a score test of a variance component; le
Cessie & van Houwelingen 1995). Two votes of one rater are no two pieces of evidence about an audience, so raters are
what is exchanged. p = (1 + as large) / (1 + n) for n random permutations (Phipson & Smyth 2010), and exact where all
choices of as many raters are few.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assent.core import seeds

Floats = NDArray[np.float64]
MOST_EXACT = 5_000
"""Up to so many choices all are looked at."""
DRAWS = 4_999
_BLOCK = 500
_ROUNDING = 1e-9


class Permutation(NamedTuple):
    """How often raters chosen by chance pull as strongly as those of the audience."""

    p: float
    permutations: int
    """That were looked at, the real one among them."""
    is_exact: bool
    """All there are were looked at."""


def over_raters(scores: Floats, votes: Floats, members: NDArray[np.bool_], *, seed: int = 0) -> Permutation:
    """The test, of scores [R, k], votes [R] (their summed weight) and who belongs [R].

    Raises ValueError where nobody belongs or everybody does: then there is nothing to exchange.
    """
    total, inside = len(members), int(members.sum())
    if not 0 < inside < total or scores.shape[0] != total or votes.shape != (total,):
        raise ValueError(f"wanted members and others with scores each, got {inside} of {total}, {scores.shape}")
    least = float(_statistic(scores, votes, members[None].astype(float))[0]) * (1 - _ROUNDING)
    if comb(total, inside) <= MOST_EXACT:
        choices = np.zeros((comb(total, inside), total))
        for row, chosen in enumerate(combinations(range(total), inside)):
            choices[row, list(chosen)] = 1
        as_large = _statistic(scores, votes, choices) >= least
        return Permutation(float(as_large.mean()), len(choices), True)
    random, count = seeds.stream(seed, "profiles", "permutation"), 0
    for start in range(0, DRAWS, _BLOCK):
        size = min(_BLOCK, DRAWS - start)
        ranks = random.random((size, total)).argsort(axis=1)
        choices = (ranks < inside).astype(float)
        count += int((_statistic(scores, votes, choices) >= least).sum())
    return Permutation((1 + count) / (1 + DRAWS), 1 + DRAWS, False)


def _statistic(scores: Floats, votes: Floats, choices: Floats) -> Floats:
    """T of each row of choices [B, R]."""
    everyone, all_votes = scores.sum(axis=0), votes.sum()
    share = choices @ votes / all_votes
    pull = choices @ scores - share[:, None] * everyone
    weight = np.maximum(all_votes * share * (1 - share), 1e-12)
    found: Floats = (pull**2).sum(axis=1) / weight
    return found
