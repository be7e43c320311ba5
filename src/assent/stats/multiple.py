"""Many tests at once: p values adjusted so that among those below a line few are false.

For slices that somebody looks through. A gate in which every guard must pass needs none: more guards release less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p values [m] in the order given: those below q hold a share of at most q false ones on average.

    p_(i) · m / i, made monotone from the largest down (Benjamini & Hochberg 1995). Holds for tests that are independent
    or go together; else there is `benjamini_yekutieli`. Raises ValueError for values outside [0, 1].
    """
    return _stepped_up(p_values, 1.0)


def benjamini_yekutieli(p_values: ArrayLike) -> Floats:
    """The same for tests that depend on each other in any way: larger by Σ 1/i for i = 1 … m.

    Benjamini & Yekutieli (2001), theorem 1.3.
    """
    size = np.asarray(p_values, float).size
    return _stepped_up(p_values, float((1 / np.arange(1, size + 1)).sum()))


def _stepped_up(p_values: ArrayLike, factor: float) -> Floats:
    p = np.asarray(p_values, float)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"p values are numbers between 0 and 1, one per test, got {p_values!r}")
    order = np.argsort(p)[::-1]
    ranks = np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(p[order] * len(p) * factor / ranks), 1.0)
    return adjusted
