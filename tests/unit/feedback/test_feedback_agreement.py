"""Agreement of raters, on numbers worked by hand or printed in the source."""

from __future__ import annotations

import numpy as np
import pytest

from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.feedback.quality.agreement import (
    krippendorff_alpha,
    leave_one_out,
    mean_tau_b,
    pair_votes,
    pairwise_agreement,
)

NAN = float("nan")


def _comparison(name: str, *orders: str) -> Comparison:
    """Raters r0, r1, … each with an order such as "b > a = c"."""
    prompt = Prompt.of(name)
    letters = sorted({c for order in orders for c in order if c.isalpha()})
    completions = tuple(Completion(prompt_id=prompt.id, text=x, id=x) for x in letters)
    judgments = tuple(
        Judgment(
            task_id=name,
            rater_id=f"r{i}",
            ranking=Ranking(tiers=tuple(tuple(tier.split(" = ")) for tier in order.split(" > "))),
        )
        for i, order in enumerate(orders)
    )
    return Comparison(prompt=prompt, completions=completions, judgments=judgments)


def test_alpha_of_the_published_example() -> None:
    """Krippendorff (2011), section D: four observers, twelve units, ordinal alpha 0.815."""
    ratings = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
            [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
        ]
    )
    units = [unit[~np.isnan(unit)] for unit in ratings.T]
    assert krippendorff_alpha(units) == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha([np.exp(unit) for unit in units]) == pytest.approx(0.815, abs=5e-4), "only order counts"


def test_alpha_of_two_raters_by_hand() -> None:
    """Units (1,1), (2,2), (1,2): coincidences [[2, 1], [1, 2]], n = 6, so alpha = 1 - (6 - 1) * 2 / (2 * 3 * 3)."""
    assert krippendorff_alpha([(1, 1), (2, 2), (1, 2)]) == pytest.approx(1 - 5 * 2 / 18)


def test_alpha_is_one_for_agreement_and_unknown_without_overlap_or_spread() -> None:
    assert krippendorff_alpha([(1, 1), (2, 2), (3, 3)]) == 1
    assert krippendorff_alpha([(1,), (2,)]) is None
    assert krippendorff_alpha([(1, 1), (1, 1)]) is None


def test_alpha_of_random_raters_is_near_zero() -> None:
    random = np.random.default_rng(0)
    assert krippendorff_alpha(random.integers(1, 5, size=(4000, 3)).tolist()) == pytest.approx(0, abs=0.03)


def test_pairs_enter_in_both_directions() -> None:
    votes = pair_votes([_comparison("p", "a > b", "a = b")])
    assert votes == [[1, 0], [-1, 0]]


def test_tau_of_one_swap_and_of_a_tie() -> None:
    """Of three pairs one is swapped: tau = 1/3. Against a ranking with one tie: 2 / sqrt(3 * 2)."""
    assert mean_tau_b([_comparison("p", "a > b > c", "b > a > c")]) == pytest.approx(1 / 3)
    assert mean_tau_b([_comparison("p", "a > b > c", "a > b = c")]) == pytest.approx(2 / np.sqrt(6))
    assert mean_tau_b([_comparison("p", "a > b > c", "c > b > a"), _comparison("q", "a > b", "a > b")]) == 0
    assert mean_tau_b([_comparison("p", "a > b", "a = b"), _comparison("q", "a > b")]) is None


def test_pairwise_agreement_counts_ties_as_a_third_answer() -> None:
    """Pairs ab: same; ac: same; bc: one ties. Two of three."""
    assert pairwise_agreement([_comparison("p", "a > b > c", "a > b = c")]) == pytest.approx(2 / 3)
    assert pairwise_agreement([_comparison("p", "a > b")]) is None


def test_each_rater_is_held_against_the_others() -> None:
    """Two say a, one says b: each of the two meets one friend and one foe (0.5), the third meets two foes (0)."""
    hits = {h.rater_id: h.hit for h in leave_one_out([_comparison("p", "a > b", "a > b", "b > a")])}
    assert hits == {"r0": 0.5, "r1": 0.5, "r2": 0.0}


def test_ties_and_lonely_raters_are_not_held_against_anyone() -> None:
    assert leave_one_out([_comparison("p", "a > b", "a = b"), _comparison("q", "a > b")]) == []


def test_a_rater_does_not_confirm_themselves() -> None:
    """The same rater on the same answers in two tasks, a hidden repeat, says nothing about others."""
    assert leave_one_out([_comparison("p", "a > b"), _comparison("p", "a > b")]) == []
    assert pairwise_agreement([_comparison("p", "a > b"), _comparison("p", "a > b")]) is None
