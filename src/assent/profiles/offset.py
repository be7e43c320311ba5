"""What an audience likes beyond its parent's reward: a shrunken direction on the frozen reward model's states.

    logit P(better) = a_r · (κ · (s_better - s_worse) + (h_better - h_worse) · o) + p_r · [shown first]

s are the parent's scores, h the states they are read from, a_r and p_r what is known of the rater
(`algorithms/rater_posterior.py`, fitted without any group), and o ~ N(0, τ² / E|h_better - h_worse|²): in logits, the
offset between two answers has deviation τ. τ is the one under which the audience's votes are likeliest, o integrated
out by Laplace (empirical Bayes; Efron & Morris 1973): few votes, or votes like everybody's, give τ = 0 and no offset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from threadpoolctl import threadpool_limits

from assent.algorithms.rater_likelihood import ALWAYS, SAID_BETTER, Votes
from assent.algorithms.rater_posterior import Evidence, Posterior, RaterState, Spreads
from assent.training.head_fit import HeadVotes, fit_head, logistic, top_directions

Floats = NDArray[np.float64]
SPREADS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5, 2.2, 3.0)
"""Deviations τ that are tried, in logits, beside 0."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of each vote without any group: its logit, and the sharpness of who gave it."""

    logit: Floats
    """[P]"""
    sharpness: Floats
    """[P]"""
    scale: float
    """κ: logits per unit of the parent's score."""

    def of(self, kept: NDArray[np.bool_]) -> Known:
        """Of some votes."""
        return Known(self.logit[kept], self.sharpness[kept], self.scale)


@dataclass(frozen=True, eq=False)
class Offset:
    """A direction on the states, in units of the parent's score."""

    direction: Floats
    """[d]"""
    spread: float
    """τ in logits; 0: none."""
    gain: float
    """By how much it makes the votes likelier than τ = 0 does, o integrated out, in nats."""


def raters_of(votes: HeadVotes, head: Floats) -> Known:
    """Fit every rater's sharpness and lean to the place shown, to the scores of a head [d], all of one taste."""
    size = len(votes.weight)
    places = torch.arange(size)
    numbers, rater = np.unique(votes.rater, return_inverse=True)
    told = Votes(
        better=places,
        worse=places + size,
        lower=torch.full((size,), SAID_BETTER),
        upper=torch.full((size,), ALWAYS),
        weight=torch.from_numpy(votes.weight),
        rater=torch.from_numpy(rater),
        first=torch.from_numpy(votes.first),
        words=torch.zeros(size, dtype=torch.float64),  # a lean to length may be the very taste that is looked for
    )
    lead = votes.states @ head
    evidence = Evidence(
        votes=told,
        scores=np.concatenate([lead, np.zeros(size)]),
        states=np.zeros((2 * size, 0)),
        group=np.full(len(numbers), -1),
        groups=0,
        has_ties=False,
    )
    with threadpool_limits(1, user_api="blas"):
        state = Posterior(evidence, Spreads()).minimize(RaterState.start(len(numbers), 0, 0))
    sharpness, scale = state.sharpness[rater], float(np.exp(state.pool[5]))
    logit = sharpness * scale * lead + (state.pool[0] + state.position[rater]) * votes.first
    return Known(logit, sharpness, scale)


def shrunken_offset(votes: HeadVotes, known: Known, directions: Floats) -> Offset:
    """The offset of an audience from its votes; `directions` [d, k] are those in which everybody's answers differ."""
    columns = known.sharpness[:, None] * (votes.states @ directions)
    size = max(float(np.average((columns**2).sum(axis=1), weights=votes.weight)), 1e-12)
    best, found = 0.0, Offset(np.zeros(votes.states.shape[1]), 0.0, 0.0)
    nothing = float(votes.weight @ log_expit(known.logit))
    start: Floats | None = None
    with threadpool_limits(1, user_api="blas"):
        for spread in SPREADS:
            ridge = np.full(columns.shape[1], size / spread**2)
            start = logistic(columns, votes.weight, ridge, start=start, beside=known.logit)
            said = expit(known.logit + columns @ start)
            bend = (columns * (votes.weight * said * (1 - said))[:, None]).T @ columns / ridge[0]
            likely = float(votes.weight @ log_expit(known.logit + columns @ start))
            gain = likely - nothing - 0.5 * ridge[0] * float(start @ start)
            gain -= 0.5 * float(np.linalg.slogdet(np.eye(len(bend)) + bend)[1])
            if gain > best:
                best, found = gain, Offset(directions @ start / known.scale, spread, gain)
    return found


def own_head(votes: HeadVotes, parent: Floats, known: Known) -> Offset:
    """A head fitted to the audience's votes alone, as what it differs from the parent's by, in units of its score."""
    with threadpool_limits(1, user_api="blas"):
        chosen = top_directions(votes.states)
        head = chosen @ fit_head(replace(votes, states=votes.states @ chosen))
    return Offset(head / known.scale - parent, float("inf"), 0.0)


def pulls(votes: HeadVotes, known: Known, directions: Floats, raters: int) -> tuple[Floats, Floats]:
    """u_i of each rater [R, k], and the weight of their votes [R]; see `profiles/permutation.py`."""
    columns = known.sharpness[:, None] * (votes.states @ directions)
    left = votes.weight * (1 - expit(known.logit))
    found = np.zeros((raters, columns.shape[1]))
    np.add.at(found, votes.rater, columns * left[:, None])
    return found, np.bincount(votes.rater, votes.weight, raters).astype(np.float64)
