"""What a mean would be if something else had not changed: a line through the values, read where the other is zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from assent.stats.estimate import Estimate

FEWEST = 4
"""With fewer values a line leaves nothing to tell its error by."""


def at_zero(values: ArrayLike, other: ArrayLike, *, confidence: float = 0.95) -> Estimate | None:
    """The mean of `values` [n] at `other` [n] equal to 0, by least squares; None for fewer than four values.

    The values are independent. The interval is heteroskedasticity-consistent (HC3, MacKinnon & White 1985), by Student
    with n - 2 degrees of freedom; where `other` never varies, or lies all on one side of 0, it extrapolates or, for no
    variation away from 0, is None. Raises ValueError where lengths differ or something is not finite.
    """
    from scipy.special import stdtrit  # where settings alone are read, nothing of scipy is loaded

    y, x = np.asarray(values, float), np.asarray(other, float)
    if y.ndim != 1 or y.shape != x.shape or not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise ValueError(f"a line wants two finite lists of one length, got {y.shape} and {x.shape}")
    if len(y) < FEWEST:
        return None
    if np.ptp(x) == 0:
        if x[0] != 0:
            return None
        design = np.ones((len(y), 1))
    else:
        design = np.stack([np.ones_like(x), x], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    solution = inverse @ design.T @ y
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    residual = (y - design @ solution) / np.clip(1 - leverage, 1e-12, None)
    spread = inverse @ (design.T * residual**2) @ design @ inverse
    half = float(stdtrit(len(y) - design.shape[1], (1 + confidence) / 2)) * float(np.sqrt(spread[0, 0]))
    at = float(solution[0])
    return Estimate(estimate=at, low=at - half, high=at + half, n=len(y))
