"""Offsets of audiences: held-out raters and prompts, the permutation test, shrinkage, and the trial of both."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from assent.core import seeds
from assent.profiles.holdout import SHARE, Holdout, is_held_out
from assent.profiles.offset import own_head, pulls, raters_of, shrunken_offset
from assent.profiles.permutation import over_raters
from assent.profiles.trial import Poll, try_offset
from assent.training.head_fit import HeadVotes


def poll(seed: int, taste: float, *, raters: int = 60, votes: int = 40, size: int = 8) -> Poll:
    """A third of the raters belong; they have `taste` times a direction beside the head that all have."""
    random = seeds.stream(seed, "poll")
    head, extra = np.eye(size)[0], np.eye(size)[1]
    members = np.arange(raters) < raters // 3
    states, rater, prompt, first = [], [], [], []
    for i in range(raters):
        for asked in random.choice(200, votes, replace=False):
            gap, shown = random.normal(size=size), random.choice([-1.0, 1.0])
            z = 2 * gap @ (head + taste * members[i] * extra) + 0.3 * shown
            won = random.random() < 1 / (1 + np.exp(-z))
            states.append(gap if won else -gap)
            first.append(shown if won else -shown)
            rater.append(i)
            prompt.append(asked)
    n = len(rater)
    made = HeadVotes(np.array(states), np.zeros((n, 0)), np.array(first), np.ones(n), np.array(rater), np.array(prompt))
    return Poll(made, tuple(f"r{i}" for i in range(raters)), tuple(f"p{i}" for i in range(200)), members, head)


def test_learned_and_tested_votes_share_neither_raters_nor_prompts_and_the_hash_alone_decides() -> None:
    some = poll(0, 0.5)
    split, votes = some.split(), some.votes
    for which in (votes.rater, votes.prompt):
        assert not set(which[split.learn].tolist()) & set(which[split.test].tolist())
    assert split.learn.sum() > 600 and split.test.sum() > 200
    other = replace(some, votes=replace(votes, states=-votes.states), members=~some.members, head=-some.head)
    assert (other.split().test == split.test).all(), "who belongs, and what was said, changes nothing"
    share = np.mean([is_held_out("rater", f"somebody {i}") for i in range(4000)])
    assert abs(share - SHARE) < 0.03
    assert {is_held_out("rater", f"x{i}") == is_held_out("prompt", f"x{i}") for i in range(50)} == {True, False}


def test_what_the_frozen_reward_was_trained_on_is_no_test() -> None:
    held = [f"p{i}" for i in range(60) if is_held_out("prompt", f"p{i}")]
    raters = next([f"r{i}"] for i in range(60) if is_held_out("rater", f"r{i}")) * len(held)
    assert Holdout.of(raters, held).test.all()
    assert not Holdout.of(raters, held, seen=set(held)).test.any()


def test_few_raters_are_permuted_in_all_ways_and_the_share_of_as_large_is_counted() -> None:
    random = seeds.stream(1, "exact")
    scores, votes = random.normal(size=(7, 3)), random.integers(1, 9, 7).astype(float)
    members = np.array([1, 0, 1, 1, 0, 0, 0], bool)

    def slow(chosen: tuple[int, ...]) -> float:
        inside = sum(votes[i] for i in chosen)
        pull = sum(scores[i] for i in chosen) - inside / votes.sum() * sum(scores)
        return float(pull @ pull * votes.sum() / (inside * (votes.sum() - inside)))

    real = slow((0, 2, 3))
    every = [slow(one) for one in combinations(range(7), 3)]
    found = over_raters(scores, votes, members)
    assert found.is_exact and found.permutations == 35
    assert found.p == pytest.approx(np.mean([one >= real - 1e-12 for one in every]))


def test_many_votes_of_one_rater_are_one_piece_of_evidence() -> None:
    """One member with a strong taste, others without any: over votes that would be overwhelming, over raters not."""
    scores, votes = np.zeros((12, 2)), np.full(12, 500.0)
    scores[0] = 300.0
    members = np.arange(12) < 1
    found = over_raters(scores, votes, members)
    assert found.is_exact and found.p == pytest.approx(1 / 12)


def test_the_offset_is_the_ridge_maximum_at_the_spread_that_makes_the_votes_likeliest() -> None:
    some = poll(2, 1.0)
    own = some.members[some.votes.rater]
    known = raters_of(some.votes, some.head)
    votes, part = some.votes.without(~own), known.of(own)
    found = shrunken_offset(votes, part, np.eye(8))
    columns = part.sharpness[:, None] * votes.states
    ridge = np.mean((columns**2).sum(axis=1)) / found.spread**2

    def loss(c: np.ndarray) -> float:
        return float(np.logaddexp(0, -(part.logit + columns @ c)).sum() + 0.5 * ridge * c @ c)

    slow = minimize(loss, np.zeros(8), method="BFGS").x / part.scale
    assert np.allclose(found.direction, slow, atol=2e-3)
    assert found.direction[1] > 0.6 and np.abs(found.direction[2:]).max() < 0.2


def test_an_audience_without_a_taste_of_its_own_is_shrunk_to_little_and_pulls_like_anybody() -> None:
    spreads, values = [], []
    for seed in range(6):
        some = poll(100 + seed, 0.0)
        known = raters_of(some.votes, some.head)
        own = some.members[some.votes.rater]
        spreads.append(shrunken_offset(some.votes.without(~own), known.of(own), np.eye(8)).spread)
        scores, weight = pulls(some.votes, known, np.eye(8), len(some.raters))
        values.append(over_raters(scores, weight, some.members, seed=seed).p)
    assert max(spreads) < 0.5 and np.median(spreads) <= 0.2
    assert min(values) > 0.01 and np.mean(values) > 0.2


def test_a_planted_taste_passes_and_a_sham_of_the_same_raters_does_not() -> None:
    real = poll(4, 1.2)
    offset, found = try_offset(real, level="shared")
    assert found.passes and found.p is not None and found.p <= 0.001
    assert found.gain is not None and found.gain.low > 0 and offset.spread > 0.5
    assert found.parents_loss is not None
    passed = 0
    for sham in range(10):
        members = seeds.stream(sham, "sham").permutation(real.members)
        passed += try_offset(replace(real, members=members), level="shared", seed=sham)[1].passes
    assert passed <= 1


def test_an_own_head_is_fitted_to_the_audience_alone() -> None:
    some = poll(5, 1.2, raters=90, votes=100)
    known, own = raters_of(some.votes, some.head), some.members[some.votes.rater]
    head = some.head + own_head(some.votes.without(~own), some.head, known).direction
    assert 0.9 < head[1] / head[0] < 1.5, "the audience wants the second direction 1.2 times as much as the first"
    _, found = try_offset(some, level="own")
    assert found.passes


def test_many_labels_of_people_like_everybody_give_no_head_of_their_own() -> None:
    _, found = try_offset(poll(8, 0.0), level="own")
    assert found.spread is not None and found.spread < 0.5 and not found.passes


@pytest.mark.parametrize(("who", "said"), [("nobody", "of the audience"), ("everybody", "outside the audience")])
def test_nobody_to_learn_from_or_to_be_held_against_is_said(who: str, said: str) -> None:
    some = poll(6, 0.5, raters=12, votes=5)
    members = np.full(12, who == "everybody")
    _, found = try_offset(replace(some, members=members), level="shared")
    assert not found.passes and found.p is None and said in found.reasons[0]


def test_too_few_held_out_are_not_enough_however_clear_the_taste() -> None:
    some = poll(7, 3.0, raters=9, votes=8)
    _, found = try_offset(some, level="shared")
    assert not found.passes and any("gather more labels" in reason for reason in found.reasons)
