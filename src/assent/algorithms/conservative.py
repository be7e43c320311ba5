"""One cautious score of several: what is said when the models that score do not agree."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def lower_bound(scores: Float[Tensor, "M B"], *, k: float) -> Float[Tensor, " B"]:
    """Mean over M models less k times their standard deviation (of the M as they are, not of a sample of more).

    k = 0 is the mean; with k = 1 two models give the lower of their scores. Uncertainty-weighted optimization takes
    the variance instead (Coste et al. 2023, arXiv 2310.02743, eq. 4); the deviation has the unit of the scores.
    """
    return scores.mean(dim=0) - k * scores.std(dim=0, unbiased=False)
