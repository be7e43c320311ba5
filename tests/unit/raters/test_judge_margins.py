"""Margins, positions, strengths and scores of a judge, by hand."""

from __future__ import annotations

import itertools
import math

import pytest

from assent.core.errors import DataError
from assent.core.types import Judgment
from assent.raters.margins import (
    PairReading,
    ScoreReading,
    in_details,
    order,
    pairs_asked,
    pairs_in,
    scores_in,
    strengths,
)


def logps(p_first: float, mass: float = 1.0) -> list[float]:
    return [math.log(mass * p_first), math.log(mass * (1 - p_first))]


def reading(first: str, second: str, margin: float) -> PairReading:
    return PairReading(first, second, margin, 0.0, 1.0)


def test_margin_and_position_by_hand() -> None:
    """l_AB = log(.8/.2) = 1.3863, l_BA = log(.6/.4) = .4055: m = .4904, b = .8959; sigmoid(.4904) = .6202."""
    one = PairReading.of("x", "y", ab=logps(0.8, mass=0.95), ba=logps(0.6, mass=0.85))
    assert (one.margin, one.position, one.mass) == (0.4904, 0.8959, 0.85)
    assert one.probability(1.0) == pytest.approx(0.6202, abs=1e-4)
    assert one.probability(2.0) == pytest.approx(1 / (1 + math.exp(-0.2452)), abs=1e-4)


def test_exchanging_the_answers_turns_the_margin_and_leaves_the_position() -> None:
    one = PairReading.of("x", "y", ab=logps(0.8), ba=logps(0.6))
    other = PairReading.of("y", "x", ab=logps(0.6), ba=logps(0.8))
    assert (other.margin, other.position) == (-one.margin, one.position)


def test_a_judge_that_always_takes_the_first_has_a_position_and_no_margin() -> None:
    one = PairReading.of("x", "y", ab=logps(0.9), ba=logps(0.9))
    assert (one.margin, one.position) == (0.0, round(math.log(9), 4))


def test_a_margin_beyond_floats_is_still_a_probability() -> None:
    assert reading("x", "y", 1e6).probability(0.01) == 1.0
    assert reading("x", "y", -1e6).probability(0.01) == pytest.approx(0.0)


def test_a_score_is_the_expected_level_renormalised_and_its_mass_is_kept() -> None:
    """.2 on 1 and .6 on 5 of .8 in all: (.2 + 3) / .8 = 4."""
    levels = [math.log(p) if p else -50.0 for p in (0.2, 0, 0, 0, 0.6)]
    one = ScoreReading.of("x", "kind", levels)
    assert (one.score, one.mass) == (4.0, 0.8)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_of_up_to_four_answers_every_pair_is_asked(count: int) -> None:
    assert pairs_asked([f"a{i}" for i in range(count)]) == list(itertools.combinations(range(count), 2))


@pytest.mark.parametrize("count", [5, 6, 9])
def test_of_more_answers_each_meets_four_others_whatever_order_they_are_listed_in(count: int) -> None:
    ids = [f"a{i}" for i in range(count)]
    asked = pairs_asked(ids)
    assert len(asked) == 2 * count
    assert all(sum(n in pair for pair in asked) == 4 for n in range(count))
    turned = ids[::-1]
    named = {frozenset((ids[a], ids[b])) for a, b in asked}
    assert {frozenset((turned[a], turned[b])) for a, b in pairs_asked(turned)} == named


def test_strengths_of_two_differ_by_their_margin_and_of_three_are_mean_margins() -> None:
    assert strengths(["x", "y"], [reading("x", "y", 1.0)]) == {"x": 0.5, "y": -0.5}
    # x: (1 + 2 + 0) / 3, y: (-1 + 3 + 0) / 3, z: (-2 - 3 + 0) / 3
    found = strengths(["x", "y", "z"], [reading("x", "y", 1.0), reading("x", "z", 2.0), reading("y", "z", 3.0)])
    assert found == {"x": 1.0, "y": 0.6667, "z": -1.6667}


def test_margins_that_agree_are_fitted_exactly_from_the_pairs_of_a_circle() -> None:
    ids = [f"a{i}" for i in range(7)]
    values = [3.0, -1.0, 0.5, 2.0, -2.5, 0.0, -2.0]
    asked = [reading(ids[a], ids[b], values[a] - values[b]) for a, b in pairs_asked(ids)]
    assert strengths(ids, asked) == pytest.approx(dict(zip(ids, values, strict=True)), abs=1e-3)


def test_small_gaps_tie_before_the_temperature_and_strengths_come_after_it() -> None:
    values = {"x": 3.0, "y": 1.0, "z": 0.8}
    ranking = order(values, tie_threshold=0.2, temperature=1.0)
    assert ranking.tiers == (("x",), ("y", "z")) and ranking.strengths == (3,)
    assert order(values, tie_threshold=0.0, temperature=4.0).strengths == (1, 1)
    assert order(values, tie_threshold=0.0, temperature=0.08).strengths == (4, 3)


def test_no_margin_is_a_tie_and_nothing_else_is_without_a_threshold() -> None:
    assert order({"x": 0.0, "y": 0.0}, tie_threshold=0.0, temperature=1.0).tiers == (("x", "y"),)
    assert order({"x": 0.0001, "y": 0.0}, tie_threshold=0.0, temperature=1.0).tiers == (("x",), ("y",))


def test_readings_come_back_from_details() -> None:
    pairs, scores = [reading("x", "y", 0.5)], [ScoreReading("x", "kind", 3.5, 0.99)]
    judgment = Judgment(task_id="t", rater_id="r", details=in_details(pairs, scores))
    assert (pairs_in(judgment), scores_in(judgment)) == (pairs, scores)
    assert in_details([]) == {}


def test_details_are_json() -> None:
    for wrong in (math.nan, object()):
        with pytest.raises(ValueError, match="the details are no JSON"):
            Judgment(task_id="t", rater_id="r", details={"margin": wrong})


@pytest.mark.parametrize("pairs", [5, [1], [{"first": "x"}], [{"first": "x", "second": "y", "margin": "a lot"}]])
def test_details_of_a_file_that_are_no_readings_are_one_line(pairs: object) -> None:
    with pytest.raises(DataError, match=r"judgment 'j' of task 't': details.pairs are no readings of a judge") as error:
        pairs_in(Judgment(task_id="t", rater_id="r", id="j", details={"pairs": pairs}))
    assert "\n" not in str(error.value)
