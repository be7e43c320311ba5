"""Strengths of competitors from who beat whom: Bradley-Terry with ties and with covariates of each meeting.

    P(first) ∝ exp(d / 2),  P(tie) ∝ ν,  P(second) ∝ exp(-d / 2),      d = s_first - s_second + φ · x

Bradley and Terry (1952); ties as Davidson (1970) has them, or each as half a win for both (ν = 0). x are differences of
the two sides that are not strength, such as length: "style control" puts their effect φ apart. A concave likelihood,
maximised by Newton's method. A weak prior, one tie of each competitor against an average one, keeps strengths finite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assent.stats.estimate import Estimate

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
_STEPS, _STRIDE, _STILL = 50, 2.0, 1e-9
_RIDGE = 1e-3  # on effects of covariates that never differ, which are otherwise anything


@dataclass(frozen=True, eq=False)
class Meetings:
    """Who met whom, n of them."""

    first: Places
    """Number of the first competitor of each [n]."""
    second: Places
    score: Floats
    """1 the first won, 0 the second, 0.5 a tie; between, how surely the first won [n]."""
    count: int
    """Competitors."""
    covariates: Floats
    """Differences first - second [n, F]; F may be 0."""


@dataclass(frozen=True, eq=False)
class Strengths:
    """What was fitted."""

    values: Floats
    """Strengths in logits, their sum 0 [count]."""
    effects: Floats
    """φ, logits per unit of each covariate [F]."""
    tie: float
    """ν, the weight of a tie between equals; 0 where ties count half."""


def fit_strengths(
    met: Meetings,
    weights: Floats,
    *,
    prior: float = 1.0,
    has_ties: bool = False,
    start: Strengths | None = None,
    steps: int = _STEPS,
) -> Strengths:
    """The most probable strengths, given how much each meeting counts [n].

    With `has_ties` scores of exactly 0.5 are ties in their own right; else they are half a win for each side.
    """
    rows, targets, heavy = _problem(met, weights, prior, has_ties)
    size = met.count + met.covariates.shape[1]
    theta = np.zeros(size + has_ties)
    if start is not None:
        theta[: met.count], theta[met.count : size] = start.values, start.effects
        theta[size:] = np.log(max(start.tie, 1e-6))
    for _ in range(steps):
        move = np.clip(_newton(theta, rows, targets, heavy, met.count, has_ties), -_STRIDE, _STRIDE)
        theta = theta + move
        if float(np.abs(move).max(initial=0.0)) < _STILL:
            break
    values = theta[: met.count]
    tie = float(np.exp(theta[size])) if has_ties else 0.0
    return Strengths(values - values.mean(), theta[met.count : size], tie)


def share_of(strength: Estimate) -> Estimate:
    """The share of wins against the average that a strength stands for, its interval with it; n stays."""
    value, low, high = (1 / (1 + math.exp(-s)) for s in (strength.estimate, strength.low, strength.high))
    return Estimate(estimate=value, low=low, high=high, n=strength.n)


def _problem(met: Meetings, weights: Floats, prior: float, has_ties: bool) -> tuple[Floats, Floats, Floats]:
    """Rows of the design [n + count, count + F], shares of (first, tie, second), and weights; the prior's come last."""
    n, extra = len(met.score), met.covariates.shape[1]
    rows = np.zeros((n + met.count, met.count + extra))
    rows[np.arange(n), met.first] += 1
    rows[np.arange(n), met.second] -= 1
    rows[:n, met.count :] = met.covariates
    rows[n:, : met.count] = np.eye(met.count)
    score = np.concatenate([met.score, np.full(met.count, 0.5)])
    is_tie = np.zeros(len(score), bool)
    is_tie[:n] = has_ties & (met.score == 0.5)
    targets = np.stack([np.where(is_tie, 0.0, score), is_tie.astype(float), np.where(is_tie, 0.0, 1 - score)], axis=1)
    return rows, targets, np.concatenate([weights, np.full(met.count, prior)])


def _newton(theta: Floats, rows: Floats, targets: Floats, weights: Floats, count: int, has_ties: bool) -> Floats:
    """One Newton step of the log posterior."""
    size = rows.shape[1]
    d = rows @ theta[:size]
    plain = len(d) - count  # the prior's meetings know no ties
    tie = np.full(len(d), -np.inf)
    if has_ties:
        tie[:plain] = theta[size]
    logits = np.stack([d / 2, tie, -d / 2], axis=1)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    total = targets.sum(axis=1)
    missed = targets - total[:, None] * p
    lead, spread = (missed[:, 0] - missed[:, 2]) / 2, (p[:, 0] + p[:, 2] - (p[:, 0] - p[:, 2]) ** 2) / 4
    slope = np.zeros(len(theta))
    curve = np.zeros((len(theta), len(theta)))
    slope[:size] = rows.T @ (weights * lead)
    curve[:size, :size] = rows.T @ (rows * (weights * total * spread)[:, None])
    ridge = np.zeros(len(theta))
    ridge[count:size] = _RIDGE
    if has_ties:
        slope[size] = float((weights * missed[:, 1]).sum())
        curve[size, size] = float((weights * total * p[:, 1] * (1 - p[:, 1])).sum())
        cross = -rows.T @ (weights * total * p[:, 1] * (p[:, 0] - p[:, 2]) / 2)
        curve[:size, size] = curve[size, :size] = cross
        ridge[size] = _RIDGE
    return np.asarray(np.linalg.solve(curve + np.diag(ridge), slope - ridge * theta))
