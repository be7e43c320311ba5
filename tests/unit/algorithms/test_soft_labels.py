"""Facts about soft labels: what several votes on a pair say together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from assent.algorithms.rater_likelihood import RaterTerms, Votes, ranking_votes
from assent.algorithms.soft_labels import rater_labels, share_labels

WORDS = (0.0, 0.0, 0.0)
NEVER_TIES = (0.0, 0.7, 1.4, 2.1)


def votes(*tiers: tuple[tuple[int, ...], ...], **told: object) -> Votes:
    """One ranking each, by raters 0, 1, 2, …"""
    return Votes.join(ranking_votes(t, log_words=WORDS, rater=n, **told) for n, t in enumerate(tiers))


FOR, AGAINST = ((0,), (1,)), ((1,), (0,))


def alike(raters: int, cuts: tuple[float, ...] = NEVER_TIES) -> RaterTerms:
    return RaterTerms.alike(raters, cuts=cuts)


def test_three_of_five_is_not_five_of_five_nor_one_of_one() -> None:
    found = [
        share_labels(votes(*said), prior=1.0).chance.item()
        for said in ([FOR, FOR, FOR, AGAINST, AGAINST], [FOR] * 5, [FOR])
    ]
    assert found == pytest.approx([4 / 7, 6 / 7, 2 / 3])


def test_the_likelier_answer_is_the_better_one_and_a_tie_is_half_a_vote_each_way() -> None:
    found = share_labels(votes(AGAINST, AGAINST, ((0, 1),)), prior=0.0)
    assert (found.better.item(), found.worse.item()) == (1, 0)
    assert found.chance.item() == pytest.approx(2.5 / 3)
    assert found.weight.item() == 1.0  # three votes are one pair


def test_every_pair_of_rankings_of_three_is_told_once() -> None:
    found = share_labels(votes(((0,), (1,), (2,)), ((2,), (1,), (0,))), prior=1.0)
    assert sorted(zip(found.better.tolist(), found.worse.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2)]
    assert found.chance.tolist() == [0.5] * 3


def test_a_vote_of_less_weight_says_less_by_either_way_and_nothing_at_weight_zero() -> None:
    def chance(weight: float, *, by_raters: bool) -> float:
        said = votes(FOR, AGAINST)
        said = Votes(**{**vars(said), "weight": torch.tensor([1.0, weight])})
        found = rater_labels(said, alike(2), spread=1.0) if by_raters else share_labels(said, prior=1.0)
        return found.chance.item()

    assert [chance(w, by_raters=False) for w in (0.0, 0.5, 1.0)] == pytest.approx([2 / 3, 2 / 3.5, 0.5])
    alone = rater_labels(votes(FOR), alike(1), spread=1.0).chance.item()
    assert chance(0.0, by_raters=True) == pytest.approx(alone)
    assert alone > chance(0.5, by_raters=True) > chance(1.0, by_raters=True) == pytest.approx(0.5)
    light = Votes(**{**vars(votes(FOR)), "weight": torch.tensor([0.3])})
    assert share_labels(light, prior=1.0).weight.item() == pytest.approx(0.3)


def slow(said: list[tuple[float, float, float]], spread: float) -> float:
    """P(0 better) by quadrature: votes as (sharpness, direction, lean), raters without ties."""

    def density(d: float) -> float:
        likely = [1 / (1 + math.exp(-direction * (a * d) - lean)) for a, direction, lean in said]
        return math.exp(-0.5 * (d / spread) ** 2) * float(np.prod(likely))

    whole = quad(density, -12, 12)[0]
    return quad(lambda d: density(d) / (1 + math.exp(-d)), -12, 12)[0] / whole


def test_labels_of_the_rater_model_agree_with_quadrature() -> None:
    terms = RaterTerms(
        sharpness=torch.tensor([2.0, 0.5, -1.0]),
        position=torch.tensor([0.0, 0.8, 0.0]),
        length=torch.zeros(3),
        cuts=torch.tensor([NEVER_TIES] * 3),
        group=torch.full((3,), -1),
        offsets=torch.zeros(0, 0),
    )
    said = votes(FOR, FOR, AGAINST, first=0)
    expected = slow([(2.0, 1, 0.0), (0.5, 1, 0.8), (-1.0, -1, 0.0)], 1.3)
    found = rater_labels(said, terms, spread=1.3)
    assert found.better.item() == 0 and found.chance.item() == pytest.approx(expected, abs=1e-4)


def test_who_answers_at_random_says_nothing_and_who_reads_the_scale_backwards_the_opposite() -> None:
    def by(sharpness: float) -> float:
        one = alike(1)
        terms = RaterTerms(torch.tensor([sharpness]), one.position, one.length, one.cuts, one.group, one.offsets)
        found = rater_labels(votes(FOR), terms, spread=1.0)
        return found.chance.item() if found.better.item() == 0 else 1 - found.chance.item()

    assert by(0.0) == pytest.approx(0.5) and by(1.0) > 0.55
    assert by(-1.0) == pytest.approx(1 - by(1.0), abs=1e-5)


def test_a_wider_prior_and_more_votes_are_surer_and_a_tie_says_equal() -> None:
    one = rater_labels(votes(FOR), alike(1), spread=1.0).chance.item()
    five = rater_labels(votes(*[FOR] * 5), alike(5), spread=1.0).chance.item()
    wide = rater_labels(votes(FOR), alike(1), spread=3.0).chance.item()
    assert 0.5 < one < five and one < wide
    tie = rater_labels(votes(((0, 1),)), alike(1, (0.5, 0.7, 1.4, 2.1)), spread=1.0)
    assert tie.chance.item() == pytest.approx(0.5, abs=1e-5)


def test_a_tie_says_equal_too_where_the_raters_were_fitted_to_judgments_without_any() -> None:
    never = alike(1, (0.0, 0.7, 1.4, 2.1))
    alone = rater_labels(votes(((0, 1),)), never, spread=1.0)
    assert alone.chance.item() == pytest.approx(0.5, abs=1e-5)
    # Beside a vote it draws toward even: its likelihood is that of a narrow tie, σ(d) σ(-d), however narrow.
    both = rater_labels(votes(FOR, ((0, 1),)), alike(2, (0.0, 0.7, 1.4, 2.1)), spread=1.0).chance.item()
    narrow = rater_labels(votes(FOR, ((0, 1),)), alike(2, (1e-3, 0.7, 1.4, 2.1)), spread=1.0).chance.item()
    assert both == pytest.approx(narrow, abs=1e-3) and 0.5 < both < rater_labels(votes(FOR), never, spread=1.0).chance


def test_much_better_says_more_than_slightly_better() -> None:
    slightly, much = (rater_labels(votes(FOR, strengths=(s,)), alike(1), spread=1.5).chance.item() for s in (1, 4))
    assert slightly < much
