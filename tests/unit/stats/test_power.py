"""How many prompts a difference needs: by hand, there and back, and by simulating what is promised."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assent.core import seeds
from assent.stats.clustered import clustered_mean
from assent.stats.power import Look, More, Wish, detectable, look, look_of, more_needed, prompt_variance, prompts_needed


def test_the_published_example() -> None:
    """w² = .10, s² = .12 and K = 4 for both: v = .16; (1.959964 + 0.841621)² · .16 / .03² = 1,395.4."""
    variance = prompt_variance(0.10, (0.12, 4), (0.12, 4))
    assert variance == pytest.approx(0.16)
    assert prompts_needed(0.03, variance) == 1396


def test_what_n_prompts_show_is_what_n_prompts_are_needed_for() -> None:
    for n in (10, 137, 5000):
        assert prompts_needed(detectable(n, 0.2), 0.2) == n
    assert detectable(100, 0.25, Wish(power=0.5)) == pytest.approx(1.959964 * 0.05, rel=1e-6)


def test_answering_again_helps_only_the_noise() -> None:
    assert prompt_variance(0.1, (0.4, 10**9)) == pytest.approx(0.1)
    assert prompts_needed(0.05, 0.0) == 2


@pytest.mark.parametrize("wrong", [(0.0, 0.1), (-0.1, 0.1), (math.nan, 0.1), (0.1, -0.1)])
def test_impossible_wishes_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        prompts_needed(*wrong)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Wish(power=1.0)


def test_a_look_reads_the_same_off_values_and_off_their_estimate() -> None:
    values, clusters = [0.1, 0.3, -0.2, 0.4, 0.5, 0.0], [0, 0, 1, 1, 2, 2]
    whole, read = look(values, clusters), look_of(clustered_mean(values, clusters), 3, observations=6)
    assert read == pytest.approx(whole) and whole.clusters == 3
    with pytest.raises(ValueError, match="finite interval"):
        look_of(clustered_mean(values, clusters), 1)


def test_observations_of_one_prompt_are_no_new_prompts() -> None:
    values = [0.1, 0.3, -0.2, 0.4]
    once, thrice = look(values, list(range(4))), look(values * 3, list(range(4)) * 3)
    one, three = more_needed(once, -0.05), more_needed(thrice, -0.05)
    assert one is not None and three is not None
    assert one.clusters == three.clusters and three.observations == 3 * one.observations


def test_enough_is_enough_and_the_line_itself_is_out_of_reach() -> None:
    values = [0.5, 0.52, 0.48, 0.51] * 5
    assert more_needed(look(values, list(range(20))), 0.0) == More(0, 0)
    assert more_needed(look(values, list(range(20))), 0.0, truth=0.0) is None
    assert more_needed(look([0.1] * 4, list(range(4))), 0.1) == More(0, 0), "without any spread everything is decided"


def test_with_so_many_more_prompts_the_line_is_left_about_as_often_as_wished() -> None:
    """True difference .1, spread .3: (z + z)² · .09 / .01 = 70.6 and two more for Student's t."""
    more = more_needed(look_of_spread(0.3, 12), 0.0, truth=0.1)
    assert more is not None and 71 <= 12 + more.clusters <= 74
    left = 0
    for world in range(600):
        values = seeds.stream(4, "power", world).normal(0.1, 0.3, 12 + more.clusters)
        left += clustered_mean(values, np.arange(len(values))).low > 0
    assert 0.75 <= left / 600 <= 0.85


def look_of_spread(spread: float, clusters: int) -> Look:
    values = np.where(np.arange(clusters) % 2, 1.0, -1.0)
    return look(spread * values / values.std(ddof=1), np.arange(clusters))
