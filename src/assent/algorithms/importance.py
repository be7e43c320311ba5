"""Importance weights of tokens that another program drew: what each is worth to the policy that learns from it.

An engine that computes with other kernels, or in another precision, draws from a distribution q that is not quite the
policy p of the learner, even with the same weights. A mean over its tokens is right for p where each weighs p/q.
"""

from __future__ import annotations

import math

from jaxtyping import Bool, Float
from torch import Tensor


def truncated_weight(log_ratio: Float[Tensor, " N"], *, cap: float) -> Float[Tensor, " N"]:
    """min(p/q, cap) of each token, or of each answer where the log-ratios of its tokens were summed.

    Truncated importance sampling (Ionides 2008, eq. 3; Yao et al. 2025, "Your efficient RL framework secretly brings
    you off-policy RL training"). No gradient goes through it. An infinite cap is unbiased; a finite one takes
    E_q[(p/q - cap)+ f] away from the mean of f, and bounds the variance. Is 1 where p = q.
    """
    return log_ratio.detach().exp().clamp_max(cap)


def is_near(log_ratio: Float[Tensor, " B"], *, bound: float) -> Bool[Tensor, " B"]:
    """True where the mean log-ratio of an answer's tokens is the log of something in [1 / bound, bound].

    exp of that mean is the geometric mean of p/q over the answer (Zheng et al. 2025, GSPO, eq. 7): it does not grow
    with the length, as the ratio of the whole answer does.
    """
    return log_ratio.abs() <= math.log(bound)


def effective_share(weights: Float[Tensor, " N"]) -> Float[Tensor, ""]:
    """(Σ w)² / (N Σ w²): the share of N draws from p that N weighted ones are worth (Kong 1992); NaN where all are 0.

    Is 1 where all weights are equal, and 1/N where one of them has everything.
    """
    return weights.sum().square() / (len(weights) * weights.square().sum())
