"""Win rate at equal length: a penalized logistic regression on the difference of lengths."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from assent.stats.clustered import Floats, numbered, student
from assent.stats.estimate import Estimate

_FARTHEST = 30.0
"""No coefficient is looked for beyond this many logits."""
_NO_INFORMATION = -1e6
"""Log determinant of an information that is 0 in floating point."""


def length_controlled(
    scores: Floats, length_difference: Floats, prompts: Sequence[str], *, confidence: float = 0.95
) -> Estimate:
    """Win rate at equal length: σ(θ) of the regression  logit P(new wins) = θ + φ·tanh(Δlength / sd(Δlength)).

    After Dubois et al. 2024 (length-controlled AlpacaEval, arXiv 2404.04475, eq. 3) without their instruction
    difficulty term, which needs many models. Scores are 1, 0.5 (tie) or 0; Δlength is new minus baseline [n].
    Fitted by Firth's penalized likelihood (1993; Heinze & Schemper 2002), which stays finite where every verdict is a
    win. The interval holds every θ whose profile falls short of the top by less than t² / 2 times the design effect:
    the cluster-robust variance of θ over that of independent verdicts, by prompt, with Student's t.
    """
    spread = float(np.std(length_difference))
    columns = [np.ones(len(scores))]
    if spread > 0:
        columns.append(np.tanh(length_difference / spread))
    fit = _Fit(np.column_stack(columns), np.asarray(scores, float))
    index, clusters = numbered(prompts)
    top, theta = fit.best()
    drop = student(clusters - 1, confidence) ** 2 / 2 * fit.design_effect(theta, index, clusters)

    def short(at: float) -> float:
        return top - fit.profile(at) - drop

    low = brentq(short, -_FARTHEST, theta, xtol=1e-6) if short(-_FARTHEST) > 0 else -math.inf
    high = brentq(short, theta, _FARTHEST, xtol=1e-6) if short(_FARTHEST) > 0 else math.inf
    return Estimate(estimate=float(expit(theta)), low=float(expit(low)), high=float(expit(high)))


class _Fit:
    """The penalized regression of scores [n] on a design [n, 1 or 2] whose first column is ones."""

    def __init__(self, design: Floats, scores: Floats) -> None:
        self.design, self.scores = design, scores

    def value(self, theta: float, slope: float) -> float:
        """Log likelihood and half the log determinant of the information (Jeffreys' prior)."""
        margin = theta + (slope * self.design[:, 1] if self.design.shape[1] > 1 else 0.0) * np.ones(len(self.scores))
        fitted = float(self.scores @ margin - np.logaddexp(0, margin).sum())
        size = np.linalg.slogdet(self._information(margin))[1]
        return fitted + max(float(size), _NO_INFORMATION) / 2

    def profile(self, theta: float) -> float:
        """The largest value that this θ can have."""
        return self._along(theta)[0]

    def best(self) -> tuple[float, float]:
        """The largest value, and its θ."""
        return _largest(self.profile)

    def design_effect(self, theta: float, index: NDArray[np.intp], clusters: int) -> float:
        """Variance of the best θ with verdicts of one prompt hanging together, over that of as many independent ones.

        The former is that of leaving out one prompt at a time, in one step of Newton's method (CR3 of Bell & McCaffrey
        2002), which does not run short where few verdicts are losses; at least 1, and all verdicts of a prompt count
        once where there is no other evidence.
        """
        margin = self.design @ np.array([theta, self._along(theta)[1]][: self.design.shape[1]])
        information = self._information(margin)
        slopes = (self.scores - expit(margin))[:, None] * self.design
        moved = []
        for cluster in range(clusters):
            is_own = index == cluster
            rest = information - self._information(margin, is_own)
            moved.append(np.linalg.lstsq(rest, slopes[is_own].sum(axis=0), rcond=None)[0])
        robust = (clusters - 1) / clusters * float((np.array(moved)[:, 0] ** 2).sum())
        is_sweep = float(np.ptp(self.scores)) == 0.0
        effect = robust / float(np.linalg.inv(information)[0, 0])
        return max(1.0, len(self.scores) / clusters if is_sweep else effect)

    def _along(self, theta: float) -> tuple[float, float]:
        if self.design.shape[1] == 1:
            return self.value(theta, 0.0), 0.0
        return _largest(lambda slope: self.value(theta, slope))

    def _information(self, margin: Floats, among: NDArray[np.bool_] | slice = slice(None)) -> Floats:
        weights, design = (expit(margin) * expit(-margin))[among], self.design[among]
        return np.asarray((design.T * weights) @ design)


def _largest(function: Callable[[float], float]) -> tuple[float, float]:
    """The largest value of a function with one top, and where it is."""
    found = minimize_scalar(lambda at: -function(at), bounds=(-_FARTHEST, _FARTHEST), method="bounded")
    return -float(found.fun), float(found.x)
