"""The posterior of raters and groups, given cached scores and states: its value, gradient, mode and curvature.

Beside the likelihood of `algorithms.raters`, every rater is shrunk to the pool:

    a_r ~ N(1, σ_a)      p_r ~ N(p̄, σ_p)      l_r = λ_r - mean λ, λ_r ~ N(0, σ_l)
    c_r0 = e^θ_r0, c_rk = c_r(k-1) + e^θ_rk,   θ_rk ~ N(θ̄_k, σ_c)

What the data cannot tell is fixed so. Scale: a common κ is fitted here, z = a_r · (κ · Δs + Δh · o_g) + …, and then
dropped, so that a reward model that is still growing keeps its own scale. Sharpness is relative: at the mode
Σ a_r (a_r - 1) = 0 (but for the wide prior on κ), so its mean is 1 / (1 + CV²), 1 where all are alike. Sign: the prior
mean is positive, so the majority has it right. Length: a lean that all share is a taste, which the score has to learn;
only deviations from the pool's mean (weighted by votes) are the raters'. Offsets: each is shrunk to 0 here; their
weighted mean, which the score has yet to learn, is dropped like κ; what is left is zero-sum.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from assent.algorithms.rater_likelihood import NUM_CUTS, TIE, Votes

Floats = NDArray[np.float64]

POOL_SPREADS = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 3.0])
"""Prior standard deviations of what all share: position lean, four log widths, log κ."""
USUAL_WIDTHS = (0.3, 1.0, 1.0, 1.5)
"""Prior medians of the widths between cut-points, in logits."""
MAX_ITERATIONS = 200
FLOOR = 0.05
"""Least square of a group's mean sharpness by which its offset is shrunk."""


@dataclass(frozen=True)
class Spreads:
    """Prior standard deviations of what makes one rater, or one group, differ from the pool."""

    sharpness: float = 0.5
    position: float = 0.3
    length: float = 0.3
    cuts: float = 0.5
    taste: float = 0.3
    """Of a group's offset between two answers, in standard deviations of the score gap."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Votes beside the scores and states that answers had when they were last seen."""

    votes: Votes
    scores: Float[np.ndarray, " N"]
    states: Float[np.ndarray, "N d"]
    """[N, 0] where there are no groups."""
    group: Int[np.ndarray, " R"]
    """Group of each rater, -1 where it is not known."""
    groups: int
    has_ties: bool


@dataclass(frozen=True, eq=False)
class RaterState:
    """Every parameter of the posterior; see the head of this file."""

    sharpness: Float[np.ndarray, " R"]
    position: Float[np.ndarray, " R"]
    """p_r - p̄."""
    length: Float[np.ndarray, " R"]
    """λ_r, not centred."""
    log_widths: Float[np.ndarray, "R 4"]
    """θ_r - θ̄."""
    pool: Float[np.ndarray, " 6"]
    """p̄, θ̄_0 … θ̄_3, log κ."""
    offsets: Float[np.ndarray, "G d"]
    """In logits; their weighted mean is what the score has yet to learn."""

    @classmethod
    def start(cls, raters: int, groups: int, features: int) -> RaterState:
        """The prior's mode."""
        pool = np.array([0.0, *np.log(USUAL_WIDTHS), 0.0])
        zeros = np.zeros(raters)
        offsets = np.zeros((groups, features if groups else 0))
        return cls(np.ones(raters), zeros, zeros.copy(), np.zeros((raters, NUM_CUTS)), pool, offsets)

    def flat(self) -> Floats:
        """All parameters as one vector."""
        return np.concatenate([np.ravel(value) for value in vars(self).values()])

    def like(self, flat: Floats) -> RaterState:
        """A vector as parameters of these shapes."""
        ends = np.cumsum([value.size for value in vars(self).values()])
        parts = np.split(flat, ends[:-1])
        return RaterState(*(part.reshape(value.shape) for part, value in zip(parts, vars(self).values(), strict=True)))


class Posterior:
    """Negative log posterior of the raters, given evidence."""

    def __init__(self, evidence: Evidence, spreads: Spreads) -> None:
        self.evidence, self.spreads = evidence, spreads
        votes = evidence.votes
        self.better, self.worse, self.rater, self.lower, self.upper = (
            getattr(votes, name).numpy() for name in ("better", "worse", "rater", "lower", "upper")
        )
        self.first, self.words, self.weight = (
            getattr(votes, name).numpy().astype(np.float64) for name in ("first", "words", "weight")
        )
        self.raters, self.groups = len(evidence.group), evidence.groups
        self.lead = evidence.scores[self.better] - evidence.scores[self.worse]
        per_rater = np.bincount(self.rater, self.weight, self.raters)
        self.rater_share = per_rater / max(per_rater.sum(), 1e-12)
        self.ridge = self._ridge(1.0)
        self.usual = RaterState.start(self.raters, self.groups, evidence.states.shape[1]).flat()
        self.precisions = self._precisions()
        member = (evidence.group == np.arange(self.groups)[:, None]) * (self.rater_share + 1e-9)
        self.in_group = member / member.sum(axis=1, keepdims=True)

    def minimize(self, start: RaterState) -> RaterState:
        """The mode, from `start` downhill (L-BFGS); the same numbers for the same input.

        How large the groups' tastes may be is told by the score gaps in logits, which a fit without tastes gives.
        """
        if self.groups:
            alone = Posterior(replace(self.evidence, groups=0), self.spreads)
            without = alone.minimize(replace(start, offsets=np.zeros((0, 0))))
            self.ridge = self._ridge(np.exp(without.pool[5]))
            start = replace(without, offsets=start.offsets)
        found = minimize(
            lambda flat: self.value_and_gradient(start.like(flat)),
            start.flat(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MAX_ITERATIONS, "maxcor": 20, "ftol": 1e-8},
        )
        return start.like(found.x)

    def value_and_gradient(self, state: RaterState) -> tuple[float, Floats]:
        """Negative log posterior (without constants), and its gradient in the order of `RaterState.flat`."""
        who, ties = self.rater, float(self.evidence.has_ties)
        kappa = np.exp(state.pool[5])
        lead = kappa * self.lead + self._taste_lead(state.offsets)
        length = state.length - self.rater_share @ state.length
        z = state.sharpness[who] * lead + (state.pool[0] + state.position[who]) * self.first
        z += length[who] * self.words

        widths = np.exp(state.log_widths + state.pool[1:5])
        widths[:, 0] *= ties
        edges = _edges(np.cumsum(widths, axis=1))
        lower, upper = edges[who, self.lower], edges[who, self.upper]
        gap = upper - lower
        losses = -(log_expit(upper - z) + log_expit(z - lower) + np.log(-np.expm1(-gap)))
        above, below = expit(z - upper), expit(lower - z)
        inside = 1 / np.expm1(np.minimum(gap, 700.0))
        by_z = self.weight * (above - below)
        by_upper, by_lower = -self.weight * (above + inside), self.weight * (below + inside)

        places = NUM_CUTS + 2  # the last is infinity, which nothing moves
        by_edge = _summed(by_lower, who * places + self.lower, self.raters * places)
        by_edge += _summed(by_upper, who * places + self.upper, self.raters * places)
        by_edge = by_edge.reshape(self.raters, places)
        by_cut = by_edge[:, 1:-1].copy()
        by_cut[:, 0] -= by_edge[:, TIE]
        by_log_width = np.cumsum(by_cut[:, ::-1], axis=1)[:, ::-1] * widths

        by_length = np.bincount(who, by_z * self.words, self.raters)
        by_kappa = kappa * (by_z * state.sharpness[who]) @ self.lead
        gradient = RaterState(
            sharpness=np.bincount(who, by_z * lead, self.raters),
            position=np.bincount(who, by_z * self.first, self.raters),
            length=by_length - self.rater_share * by_length.sum(),
            log_widths=by_log_width,
            pool=np.array([by_z @ self.first, *by_log_width.sum(axis=0), by_kappa]),
            offsets=self._by_offsets(by_z * state.sharpness[who], state.offsets),
        )
        prior, by_prior = self._prior(state)
        return float(self.weight @ losses) + prior, gradient.flat() + by_prior

    def sharpness_errors(self, state: RaterState) -> Floats:
        """Posterior standard deviation of each a_r: from the curvature in the rater's own parameters, pool given.

        The pairs of one ranking count 2/K each as if they were independent, so it is approximate for K > 2.
        """
        own: list[str | int] = ["sharpness", "position", "length", *range(NUM_CUTS)]
        step = 1e-4
        # One nudge moves every rater at once, which centring the length leans would undo: centre them beforehand.
        state = replace(state, length=state.length - self.rater_share @ state.length)
        pool_given = copy.copy(self)
        pool_given.rater_share = np.zeros(self.raters)
        pool_given.ridge = 0.0
        blocks = np.zeros((self.raters, len(own), len(own)))
        for column, name in enumerate(own):
            up, down = (pool_given._own_gradient(_nudged(state, name, sign * step)) for sign in (1, -1))
            blocks[:, :, column] = (up - down) / (2 * step)
        blocks = (blocks + blocks.transpose(0, 2, 1)) / 2
        return np.sqrt(np.maximum(np.linalg.pinv(blocks, hermitian=True)[:, 0, 0], 1e-12))

    def _own_gradient(self, state: RaterState) -> Floats:
        """Gradient in each rater's own parameters [R, 7]; the same step for all raters at once is a step for each."""
        by = state.like(self.value_and_gradient(state)[1])
        return np.column_stack([by.sharpness, by.position, by.length, by.log_widths])

    def _ridge(self, kappa: float) -> float:
        """Precision of the offsets' elements at which an offset between two answers has the wanted deviation."""
        if not self.groups or not len(self.lead):
            return 1.0
        leads = kappa * float(np.sqrt(np.average(self.lead**2, weights=self.weight)))
        spread = max(leads, 0.1) * self.spreads.taste
        gaps = self.evidence.states[self.better] - self.evidence.states[self.worse]
        return float(np.average((gaps.astype(np.float64) ** 2).sum(axis=1), weights=self.weight)) / spread**2 + 1e-9

    def _taste_lead(self, offsets: Floats) -> Floats | float:
        """o_g · (h_i - h_j) of every vote; 0 for raters without a group."""
        if not self.groups:
            return 0.0
        taste = np.column_stack([self.evidence.states @ offsets.T, np.zeros(len(self.evidence.states))])
        group = self.evidence.group[self.rater]
        return taste[self.better, group] - taste[self.worse, group]

    def _by_offsets(self, by_lead: Floats, offsets: Floats) -> Floats:
        if not self.groups:
            return np.zeros_like(offsets)
        columns = self.groups + 1  # the last is that of raters without a group, which has no offset
        group = self.evidence.group[self.rater] % columns
        size = len(self.evidence.states) * columns
        by_answer = _summed(by_lead, self.better * columns + group, size)
        by_answer -= _summed(by_lead, self.worse * columns + group, size)
        return np.asarray(by_answer.reshape(-1, columns)[:, :-1].T @ self.evidence.states)

    def _prior(self, state: RaterState) -> tuple[float, Floats]:
        """Negative log prior and its gradient.

        A group's offset acts times the sharpness of its raters, so it is that product which is shrunk: else sharpness
        would grow to make the offset cheap.
        """
        moved = state.flat() - self.usual
        gradient = self.precisions * moved
        value = 0.5 * float(gradient @ moved)
        if self.groups:
            mean = self.in_group @ state.sharpness
            sizes = (state.offsets**2).sum(axis=1)
            value += 0.5 * self.ridge * float((mean**2 + FLOOR) @ sizes)
            gradient[: self.raters] += self.ridge * (mean * sizes) @ self.in_group
            gradient[-state.offsets.size :] += self.ridge * ((mean**2 + FLOOR)[:, None] * state.offsets).ravel()
        return value, gradient

    def _precisions(self) -> Floats:
        """Inverse variances of all parameters but the offsets, whose are 0 here, in the order of `RaterState.flat`."""
        s, ones = self.spreads, np.ones(self.raters)
        own = [ones / s.sharpness**2, ones / s.position**2, ones / s.length**2, np.full(4 * self.raters, s.cuts**-2)]
        shared = np.zeros(len(self.usual))
        start = 7 * self.raters
        shared[:start] = np.concatenate(own)
        shared[start : start + len(POOL_SPREADS)] = POOL_SPREADS**-2
        return shared


def cut_points(state: RaterState, *, has_ties: bool) -> Floats:
    """c₀ … c₃ of every rater [R, 4]."""
    widths = np.exp(state.log_widths + state.pool[1:5])
    widths[:, 0] *= float(has_ties)
    return np.cumsum(widths, axis=1)


def _summed(values: Floats, places: NDArray[np.int64], size: int) -> Floats:
    """Sums of the values that share a place."""
    return np.asarray(np.bincount(places, values, size), dtype=np.float64)


def _edges(cuts: Floats) -> Floats:
    """-c₀, c₀, c₁, c₂, c₃, ∞ of every rater."""
    return np.column_stack([-cuts[:, 0], cuts, np.full(len(cuts), np.inf)])


def _nudged(state: RaterState, name: str | int, step: float) -> RaterState:
    """One kind of parameter of every rater moved by `step`; a number is a width."""
    if isinstance(name, str):
        return replace(state, **{name: getattr(state, name) + step})
    widths = state.log_widths.copy()
    widths[:, name] += step
    return replace(state, log_widths=widths)
