"""Weights of criteria in a choice: by hand, what is arbitrary, and how often the truth is held."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit

from assent.core import seeds
from assent.stats.weights import criterion_weights


def test_one_criterion_by_hand() -> None:
    """Of 800 answers that are a point better 600 are chosen: log-odds log 3, a hair less by the prior: the slope
    800 · (¾ - σ(w)) equals .04 w."""
    chosen = np.tile([1.0, 1.0, 1.0, 0.0], 200)
    weight = criterion_weights(np.ones((800, 1)), chosen, list(range(800)))[0]
    assert weight.estimate == pytest.approx(math.log(3), abs=1e-3)
    assert 800 * (0.75 - expit(weight.estimate)) == pytest.approx(0.04 * weight.estimate, rel=1e-6)
    # The error of log-odds is 1 / √(n p q).
    assert weight.half_width == pytest.approx(1.98 / math.sqrt(800 * 0.75 * 0.25), rel=0.25)


def test_which_answer_is_called_first_is_arbitrary() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = (rng.random(60) < expit(x @ [1.0, -0.5])).astype(float)
    turn = rng.integers(0, 2, 60).astype(bool)
    one = criterion_weights(x, y, list(range(60)))
    other = criterion_weights(np.where(turn[:, None], -x, x), np.where(turn, 1 - y, y), list(range(60)))
    assert [w.estimate for w in one] == pytest.approx([w.estimate for w in other])


def test_a_criterion_that_decides_everything_is_finite_and_one_that_never_differs_is_unknown() -> None:
    x = np.column_stack([np.tile([1.0, -1.0], 20), np.zeros(40)])
    first, second = criterion_weights(x, np.tile([1.0, 0.0], 20), list(range(40)))
    assert 2 < first.estimate < 20 and first.low > 0
    assert (second.estimate, second.low, second.high) == (0.0, -math.inf, math.inf)


def test_what_does_not_fit_is_refused() -> None:
    for x, y, c in (([[1.0]], [1.0, 0.0], ["a", "b"]), ([[math.nan], [1.0]], [1.0, 0.0], ["a", "b"])):
        with pytest.raises(ValueError, match=r"wanted differences|finite"):
            criterion_weights(x, y, c)
    with pytest.raises(ValueError, match="two clusters"):
        criterion_weights([[1.0], [1.0]], [1.0, 0.0], ["a", "a"])


@pytest.mark.parametrize("prompts", [15, 60])
def test_the_true_weights_are_held(prompts: int) -> None:
    """Four choices a prompt; what a prompt rewards differs by .3 around .8 and 0."""
    held = np.zeros(2)
    for world in range(200):
        rng = seeds.stream(14, "weights", prompts, world)
        index = np.repeat(np.arange(prompts), 4)
        x = rng.integers(-2, 3, (len(index), 2)).astype(float)
        own = np.array([0.8, 0.0]) + 0.3 * rng.normal(size=(prompts, 2))
        y = (rng.random(len(index)) < expit((x * own[index]).sum(axis=1))).astype(float)
        found = criterion_weights(x, y, index)
        held += [w.low <= truth <= w.high for w, truth in zip(found, (0.77, 0.0), strict=True)]
    assert (held / 200 >= 0.91).all(), "the weight of all prompts together is a little below the mean of theirs"
