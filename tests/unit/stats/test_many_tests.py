"""Adjusted p values, by hand and by what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from assent.stats.multiple import benjamini_hochberg, benjamini_yekutieli


def test_adjusted_by_hand_in_the_order_given() -> None:
    """Sorted .01 .02 .04 .30: times 4/1, 4/2, 4/3, 4/4 gives .04 .04 .0533 .30; the first two are monotone already."""
    assert benjamini_hochberg([0.30, 0.01, 0.04, 0.02]) == pytest.approx([0.30, 0.04, 0.16 / 3, 0.04])
    assert benjamini_hochberg([0.01, 0.011]) == pytest.approx([0.011, 0.011]), "never above what a larger p has"


def test_with_any_dependence_they_are_larger_by_the_harmonic_sum() -> None:
    p = [0.001, 0.01, 0.02, 0.2]
    assert benjamini_yekutieli(p)[:3] == pytest.approx(benjamini_hochberg(p)[:3] * (1 + 1 / 2 + 1 / 3 + 1 / 4))
    assert benjamini_yekutieli([0.9, 0.8]).max() == 1.0


def test_one_test_or_none_needs_no_adjustment() -> None:
    assert benjamini_hochberg([0.03]).tolist() == [0.03]
    assert benjamini_hochberg([]).tolist() == [] and benjamini_yekutieli([]).tolist() == []


@pytest.mark.parametrize("p", [[0.5, 1.5], [float("nan")], [-0.1]])
def test_what_is_no_probability_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg(p)


def test_the_share_of_false_finds_stays_below_what_is_said() -> None:
    rng = np.random.default_rng(0)
    false = []
    for _ in range(500):
        p = np.concatenate([rng.random(40), rng.beta(0.1, 4, 10)])
        found = benjamini_hochberg(p) <= 0.1
        false.append(found[:40].sum() / max(found.sum(), 1))
    assert np.mean(false) <= 0.1
