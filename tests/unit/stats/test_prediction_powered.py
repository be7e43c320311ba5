"""Means of a judge put right by labels: by hand, at the limits, and how often the truth is held."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assent.core import seeds
from assent.stats.clustered import clustered_mean, clustered_share
from assent.stats.ppi import prediction_powered

NONE = math.nan


def test_with_every_item_labelled_it_is_the_clustered_mean_whatever_the_judge_says() -> None:
    labels, clusters = [1.0, 2, 3, 5, 9], ["a", "a", "b", "b", "c"]
    found, known = prediction_powered([0.3, 0.1, 0.9, 0.4, 0.7], labels, clusters), clustered_mean(labels, clusters)
    assert found.weight == 0.0 and found.mean == found.labels_alone
    assert (found.mean.low, found.mean.high) == pytest.approx((known.low, known.high))
    share = prediction_powered([0.0] * 4, [1.0, 0, 1, 1], [0, 1, 2, 3], between=(0.0, 1.0)).mean
    assert share.low == pytest.approx(clustered_share([1.0, 0, 1, 1], [0, 1, 2, 3]).low)


def test_the_estimate_by_hand() -> None:
    """Labels 1 2 3 where the judge says 1 2 6, and three more items where it says 3. Parts of labelled items, each
    counted twice: labels -2 0 2; judge, f - 3 - 2 (f - 3): 2 1 -3; others 0. λ = (4 + 6) / (4 + 1 + 9)."""
    found = prediction_powered([1, 2, 6, 3, 3, 3], [1, 2, 3, NONE, NONE, NONE], list(range(6)))
    assert found.weight == pytest.approx(10 / 14)
    assert found.mean.estimate == pytest.approx(2.0), "the judge says 3 of all and 3 of the labelled"
    left = np.array([-2 + 20 / 14, 10 / 14, 2 - 30 / 14]) / 6
    assert found.mean.half_width == pytest.approx(12.7062 * math.sqrt(3 / 1 * (left @ left)), rel=1e-4)
    assert (found.mean.n, found.clusters, found.labelled_clusters) == (3, 6, 3)


def test_a_useless_judge_changes_little_and_a_good_one_sharpens() -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(size=2000)
    told = np.where(np.arange(2000) < 200, labels, NONE)
    order = list(range(2000))
    useless, constant, good = (
        prediction_powered(judge, told, order)
        for judge in (rng.normal(size=2000), np.ones(2000), labels + 0.3 * rng.normal(size=2000))
    )
    assert constant.weight == 0.0 and constant.mean == constant.labels_alone
    assert useless.weight < 0.15 and useless.mean.half_width == pytest.approx(useless.labels_alone.half_width, rel=0.03)
    assert good.weight > 0.7 and good.mean.half_width < 0.5 * good.labels_alone.half_width


def test_a_judge_that_is_wrong_by_a_constant_does_no_harm() -> None:
    rng = np.random.default_rng(1)
    labels = rng.normal(size=400)
    told = np.where(np.arange(400) < 80, labels, NONE)
    judge = labels + 0.2 * rng.normal(size=400)
    one, biased = (prediction_powered(f, told, list(range(400))).mean for f in (judge, judge + 5))
    assert (one.low, one.high) == pytest.approx((biased.low, biased.high))


def test_that_few_labels_met_no_error_does_not_make_the_judge_perfect() -> None:
    judge = np.tile([1.0, 0.0], 500)
    told = np.where(np.arange(1000) < 10, judge, NONE)
    found = prediction_powered(judge, told, list(range(1000)), between=(0.0, 1.0))
    assert found.weight == pytest.approx(1.0, abs=0.02) and found.mean.half_width > 0.1


@pytest.mark.parametrize(
    ("predicted", "labels", "inclusion", "why"),
    [
        ([NONE, 1, 1, 1], [1, 1, 1, NONE], None, "judge's score"),
        ([1, 1, 1, 1], [1, 1, math.inf, NONE], None, "finite"),
        ([1, 1, 1, 1], [1, 1, NONE, NONE], None, "at least 3 clusters"),
        ([1, 1, 1, 1], [1, 1, 1, NONE], [0.5, 0.5, 0.0, 0.5], "above 0"),
        ([1, 1, 1], [1, 1, 1, NONE], None, "per item"),
    ],
)
def test_what_cannot_be_corrected_is_refused(predicted, labels, inclusion, why: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=why):
        prediction_powered(predicted, labels, list(range(4)), inclusion=inclusion)


@pytest.mark.parametrize("is_chosen", [False, True])
@pytest.mark.parametrize(("prompts", "labelled"), [(200, 10), (300, 60)])
def test_the_truth_is_held_by_prompt_and_with_labels_chosen_where_the_judge_doubts(
    prompts: int, labelled: int, is_chosen: bool
) -> None:
    """Two items a prompt, true share .6; the judge finds 90 % of it and calls a third of the rest. Where it says no,
    three times as many are labelled: without their chances the labels alone would say too little."""
    held = ignoring = 0
    for world in range(250):
        rng = seeds.stream(13, "judge", prompts, labelled, world)
        index = np.repeat(np.arange(prompts), 2)
        truth = (rng.random(len(index)) < rng.beta(3, 2, prompts)[index]).astype(float)
        judge = (rng.random(len(index)) < np.where(truth == 1, 0.9, 0.33)).astype(float)
        chance = np.full(len(index), labelled / prompts)
        if is_chosen:
            chance = np.where(judge == 1, 1.0, 3.0) * 2 * labelled / np.where(judge == 1, 1.0, 3.0).sum()
            is_labelled = rng.random(len(index)) < chance
        else:
            is_labelled = np.isin(index, rng.choice(prompts, labelled, replace=False))
        told = np.where(is_labelled, truth, NONE)
        found = prediction_powered(judge, told, index, inclusion=chance, between=(0.0, 1.0)).mean
        held += found.low <= 0.6 <= found.high
        plain = prediction_powered(np.zeros(len(index)), told, index, between=(0.0, 1.0)).mean
        ignoring += plain.low <= 0.6 <= plain.high
    assert held / 250 >= 0.92
    if is_chosen and labelled == 60:
        assert ignoring / 250 < 0.7
