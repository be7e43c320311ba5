"""Facts about the likelihood of what raters say: by hand, its limits, and what must not matter."""

import itertools
import math

import pytest
import torch

from assent.algorithms.likelihoods import bradley_terry_loss, ranking_pairs, rao_kupper_loss
from assent.algorithms.rater_likelihood import (
    RaterTerms,
    Votes,
    bounds,
    joint_loss,
    ordinal_loss,
    ranking_votes,
    rater_logits,
)

SCORES = torch.tensor([0.3, -1.2, 0.9, 2.0], dtype=torch.float64)
STATES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]], dtype=torch.float64)
WORDS = [0.0, 1.0, 2.0, 0.5]


def votes(tiers, **more):
    made = ranking_votes(tiers, log_words=WORDS, **more)
    return Votes(*(v.double() if v.is_floating_point() else v for v in vars(made).values()))


def one_rater(*, a=1.0, p=0.0, l=0.0, cuts=(0.0, 1.0, 2.0, 3.0), group=-1, offsets=None):  # noqa: E741
    of = torch.float64
    return RaterTerms(
        sharpness=torch.tensor([a], dtype=of),
        position=torch.tensor([p], dtype=of),
        length=torch.tensor([l], dtype=of),
        cuts=torch.tensor([cuts], dtype=of),
        group=torch.tensor([group]),
        offsets=torch.zeros(0, 2, dtype=of) if offsets is None else torch.tensor(offsets, dtype=of),
    )


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_raters_who_do_not_differ_and_never_tie_are_bradley_and_terry_exactly():
    tiers = [[3], [0], [2], [1]]
    same = bradley_terry_loss(SCORES, ranking_pairs(tiers))
    joint = joint_loss(SCORES, None, votes(tiers), RaterTerms.alike(1, cuts=(0, 1, 2, 3), dtype=torch.float64))
    assert torch.equal(joint, same)


def test_ties_without_strengths_are_rao_and_kupper():
    tiers = [[3], [0, 2], [1]]
    same = rao_kupper_loss(SCORES, ranking_pairs(tiers), tie=torch.tensor(0.7, dtype=torch.float64))
    joint = joint_loss(SCORES, None, votes(tiers), one_rater(cuts=(0.7, 1, 2, 3)))
    assert joint.tolist() == pytest.approx(same.tolist())


def test_the_logit_by_hand():
    # 0 above 1: sharpness 2 on the gap 0.3 + 1.2 = 1.5 and the taste (3, 1)·((1, 0) - (0, 1)) = 2; shown first: + 0.5;
    # length 0.1 on log words 0 - 1: - 0.1.
    rater = one_rater(a=2.0, p=0.5, l=0.1, group=0, offsets=[[3.0, 1.0]])
    assert rater_logits(SCORES, STATES, votes([[0], [1]], first=0), rater).item() == pytest.approx(2 * 3.5 + 0.5 - 0.1)
    assert rater_logits(SCORES, STATES, votes([[0], [1]], first=1), rater).item() == pytest.approx(2 * 3.5 - 0.5 - 0.1)
    # Which was first is not known, or it was another one: no lean. No group: no taste.
    for first in (None, 2):
        assert rater_logits(SCORES, STATES, votes([[0], [1]], first=first), rater).item() == pytest.approx(6.9)
    lonely = one_rater(a=2.0, offsets=[[3.0, 1.0]])
    assert rater_logits(SCORES, STATES, votes([[0], [1]]), lonely).item() == pytest.approx(3.0)


def test_strengths_by_hand():
    # The gap of 3 over 0 is 1.7. "Better" (2) lies between the cut-points 1 and 2 of this rater.
    said = votes([[3], [0]], strengths=[2])
    assert joint_loss(SCORES, None, said, one_rater()).item() == pytest.approx(-math.log(sigmoid(0.3) - sigmoid(-0.7)))
    much = votes([[3], [0]], strengths=[4])
    assert joint_loss(SCORES, None, much, one_rater()).item() == pytest.approx(-math.log(sigmoid(1.7 - 3)))


def test_what_a_rater_may_say_has_probability_one():
    edges = [-math.inf, -3.5, -2, -1, -0.4, 0.4, 1, 2, 3.5, math.inf]
    for z in (-4.0, 0.0, 0.3, 6.0):
        said = [(low, high) for low, high in itertools.pairwise(edges)]
        # "Worse" is "better" of the other answer: only bounds that may be infinite upward are needed.
        total = 0.0
        for low, high in said:
            sign, ends = (1, (low, high)) if low > -math.inf else (-1, (-high, math.inf))
            args = (torch.tensor([v], dtype=torch.float64) for v in (sign * z, *ends))
            total += math.exp(-ordinal_loss(*args).item())
        assert total == pytest.approx(1.0)


def test_the_votes_of_a_ranking_by_hand():
    # 2 > 0 = 3 > 1, steps of strength 3 and not said; 3 was shown first.
    made = votes([[2], [0, 3], [1]], strengths=[3, None], first=3)
    rows = zip(made.better.tolist(), made.worse.tolist(), made.lower.tolist(), made.upper.tolist(), strict=True)
    assert list(rows) == [
        (2, 0, 3, 4),  # strength 3
        (2, 3, 3, 4),
        (2, 1, 3, 5),  # two tiers apart: at least 3
        (0, 3, 0, 1),  # a tie
        (0, 1, 1, 5),  # better, not said how much
        (3, 1, 1, 5),
    ]
    assert made.first.tolist() == [0, -1, 0, -1, 0, 1]
    assert made.words.tolist() == [2.0, 1.5, 1.0, -0.5, -1.0, -0.5]
    assert made.weight.tolist() == [0.5] * 6
    with pytest.raises(ValueError, match="3 tiers want 2 strengths"):
        votes([[0], [1], [2]], strengths=[1])


def test_an_inverted_rater_says_the_opposite_of_a_straight_one():
    for strengths in (None, [1], [4]):
        straight = joint_loss(SCORES, None, votes([[3], [1]], strengths=strengths), one_rater(a=0.8, p=0.2))
        inverted = joint_loss(SCORES, None, votes([[1], [3]], strengths=strengths), one_rater(a=-0.8, p=0.2))
        assert torch.equal(straight, inverted)


def test_of_a_tie_it_does_not_matter_which_answer_is_named_first():
    rater = one_rater(a=1.3, p=0.4, l=-0.2, cuts=(0.6, 1, 2, 3), group=0, offsets=[[0.5, -0.5]])
    one, other = (joint_loss(SCORES, STATES, votes([tier], first=2), rater).item() for tier in ([2, 1], [1, 2]))
    assert one == pytest.approx(other)


def test_a_rater_without_sharpness_pushes_no_score():
    scores = SCORES.clone().requires_grad_()
    joint_loss(
        scores, None, votes([[3], [0], [1, 2]], first=0), one_rater(a=0.0, p=1.0, cuts=(0.3, 1, 2, 3))
    ).sum().backward()
    assert scores.grad.tolist() == [0, 0, 0, 0]


def test_gradients_agree_with_finite_differences():
    rater = one_rater(a=-0.7, p=0.3, l=0.2, cuts=(0.4, 1, 2, 3), group=0, offsets=[[0.5, -1.0]])
    said = votes([[3], [0, 2], [1]], strengths=[2, None], first=0)
    inputs = (SCORES.clone().requires_grad_(), STATES.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda s, h: joint_loss(s, h, said, rater), inputs)


def test_scores_far_apart_lose_no_digits():
    far = torch.tensor([1000.0, 0.0, 0.0, 0.0], dtype=torch.float64).requires_grad_()
    loss = joint_loss(far, None, votes([[1], [0]], strengths=[1]), one_rater(cuts=(0.1, 1, 2, 3)))
    assert loss.item() == pytest.approx(1000.1 - math.log(-math.expm1(-0.9)))
    loss.sum().backward()
    assert far.grad.tolist() == [1, -1, 0, 0]


def test_bounds_are_symmetric_about_the_tie():
    assert bounds(torch.tensor([[0.5, 1.0, 2.0, 3.0]])).tolist() == [[-0.5, 0.5, 1.0, 2.0, 3.0, math.inf]]


def test_votes_join_and_groups_want_states():
    joined = Votes.join([votes([[0], [1]]), votes([[2], [3]])])
    assert joined.better.tolist() == [0, 2]
    with pytest.raises(ValueError, match="no votes"):
        Votes.join([])
    with pytest.raises(ValueError, match="want the states"):
        joint_loss(SCORES, None, joined, one_rater(group=0, offsets=[[1.0, 0.0]]))
