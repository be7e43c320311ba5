"""The score interval of a difference of shares: against a slow search, its mirror image, and rare changes."""

from __future__ import annotations

import numpy as np
import pytest

from assent.stats.clustered import student
from assent.stats.paired import score_difference


def pairs(gained: int, lost: int, both: int, neither: int) -> tuple[list[float], list[float]]:
    after = [1.0] * gained + [0.0] * lost + [1.0] * both + [0.0] * neither
    before = [0.0] * gained + [1.0] * lost + [1.0] * both + [0.0] * neither
    return after, before


def searched(gained: int, lost: int, size: int) -> tuple[float, float]:
    """Both ends by trying every difference, with the likeliest share of losses found on a grid."""
    critical, kept = student(size - 1), []
    for d in np.linspace(-0.999, 0.999, 1999):
        q = np.linspace(max(-d, 0.0), (1 - d) / 2, 4001)[1:-1]
        likelihood = gained * np.log(q + d) + lost * np.log(q) + (size - gained - lost) * np.log(1 - 2 * q - d)
        best = q[np.argmax(likelihood)]
        if abs(gained - lost - size * d) <= critical * np.sqrt(size * (2 * best + d * (1 - d))):
            kept.append(d)
    return min(kept), max(kept)


@pytest.mark.parametrize(("gained", "lost"), [(9, 2), (3, 7), (1, 1), (5, 0)])
def test_both_ends_are_where_a_slow_search_finds_them(gained: int, lost: int) -> None:
    after, before = pairs(gained, lost, 20, 40 - gained - lost)
    found = score_difference(after, before, range(60))
    low, high = searched(gained, lost, 60)
    assert found.estimate == pytest.approx((gained - lost) / 60)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.002), pytest.approx(high, abs=0.002))


def test_exchanging_both_sides_mirrors_the_interval() -> None:
    after, before = pairs(7, 2, 10, 21)
    one, other = score_difference(after, before, range(40)), score_difference(before, after, range(40))
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))


def test_where_nothing_changed_the_interval_has_a_width_that_shrinks_with_clusters() -> None:
    few, many = (score_difference([0.0] * n, [0.0] * n, range(n)) for n in (20, 200))
    for found, size in ((few, 20), (many, 200)):
        square = student(size - 1) ** 2
        assert found.high == pytest.approx(square / (size + square)) == -found.low
    alike = score_difference([0.0] * 200, [0.0] * 200, [n // 10 for n in range(200)])
    assert alike.high == pytest.approx(few.high, abs=1e-6)


def test_other_values_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        score_difference([0.5, 1.0], [0.0, 1.0], [0, 1])
