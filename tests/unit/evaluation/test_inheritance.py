"""Inherited bias: a lean of one group of raters is found, traced to it, and nothing is found where there is none."""

from __future__ import annotations

import numpy as np

from assent.evaluation.inheritance import Inheritance, inheritance
from assent.training.head_fit import Answers, HeadVotes

RATERS = [f"r{i}" for i in range(18)]
ATTRIBUTES = {name: {"group": "abc"[i % 3], "only": name} for i, name in enumerate(RATERS)}


def found(lean: float, seed: int = 0) -> Inheritance:
    """18 raters of three groups judge 600 pairs by quality; those of group b also like the feature."""
    random = np.random.default_rng(seed)
    count, votes = 600, 3
    states = random.normal(size=(2 * count, 5))
    feature = (random.random(2 * count) < 0.5).astype(float)
    states[:, 1] += 2 * feature
    answers = Answers(states, feature[:, None], np.repeat(np.arange(count), 2))
    pair = np.repeat(np.arange(count), votes)
    rater = random.integers(len(RATERS), size=count * votes)
    a, b = 2 * pair, 2 * pair + 1
    lead = 1.5 * (states[a, 0] - states[b, 0]) + lean * (rater % 3 == 1) * (feature[a] - feature[b])
    flip = random.random(len(pair)) > 1 / (1 + np.exp(-lead))
    up, down = np.where(flip, b, a), np.where(flip, a, b)
    said = HeadVotes(
        states[up] - states[down], (feature[up] - feature[down])[:, None], 0.0 * pair, 1.0 + 0 * pair, rater, pair
    )
    return inheritance(said, answers, ["kind"], RATERS, ATTRIBUTES)


def test_a_lean_of_one_group_is_alarming_and_its_influence_on_the_reward_is_told() -> None:
    told = found(1.5)
    by_name = {one.group: one for one in told.groups}
    assert [alarm.split(" like ")[0] for alarm in told.alarms] == ["the 6 raters of group 'b'"]
    assert by_name["b"].leans["kind"].low < 1.5 < by_name["b"].leans["kind"].high
    influence = by_name["b"].influence["kind"]
    assert influence.low > 0 and told.leans["kind"].low > 0
    assert influence.estimate == max(abs(one.influence["kind"].estimate) for one in told.groups)


def test_raters_without_a_lean_give_no_alarm() -> None:
    assert all(not found(0.0, seed).alarms for seed in range(4))


def test_an_attribute_that_names_persons_makes_no_groups() -> None:
    assert {one.attribute for one in found(0.0).groups} == {"group"}


def test_too_few_votes_tell_nothing() -> None:
    few = HeadVotes(np.ones((3, 2)), np.ones((3, 1)), np.zeros(3), np.ones(3), np.zeros(3, int), np.arange(3))
    answers = Answers(np.ones((6, 2)), np.ones((6, 1)), np.repeat(np.arange(3), 2))
    assert inheritance(few, answers, ["kind"], ["r"], {}) == Inheritance()
