"""What speaks against taking a comparison of two policies as it is."""

from __future__ import annotations

import pytest

from assent.evaluation.doubts import doubts
from assent.evaluation.report import EvaluationReport, Judge
from assent.evaluation.winrate import WinRate
from assent.stats.estimate import Estimate


def near(value: float, half: float) -> Estimate:
    return Estimate(estimate=value, low=value - half, high=value + half)


WINS = WinRate(
    win_rate=near(0.83, 0.05),
    length_controlled=near(0.8, 0.05),
    over_raters=near(0.83, 0.1),
    ties=0.0,
    first_shown=near(0.5, 0.05),
    swap_consistency=None,
    new_is_longer=0.5,
    new_length=10.0,
    baseline_length=10.0,
    prompts=40,
    raters=6,
    verdicts=80,
)
SOUND = EvaluationReport(
    judge=Judge(kind="people", is_independent=True), win_rate=WINS, kl_per_response=near(3.0, 0.5), weights_moved=0.02
)


def test_a_sound_comparison_leaves_no_doubt() -> None:
    assert doubts(SOUND, accuracy=near(0.7, 0.05), longer_wins=near(0.5, 0.05)) == ()


@pytest.mark.parametrize(
    ("kl", "weights"), [(near(0.0, 0.001), 1e-6), (near(-0.004, 0.01), None), (near(2.0, 0.5), 0.0)]
)
def test_a_policy_that_has_not_moved_is_a_doubt(kl: Estimate, weights: float | None) -> None:
    found = doubts(SOUND.model_copy(update={"kl_per_response": kl, "weights_moved": weights}))
    assert len(found) == 1 and "moved" in found[0]


def test_a_small_and_uncertain_distance_is_none() -> None:
    assert not doubts(SOUND.model_copy(update={"kl_per_response": near(0.04, 0.1)}))


def test_a_judge_that_was_optimized_for_is_a_doubt() -> None:
    own = SOUND.model_copy(update={"judge": Judge(kind="reward_model", is_independent=False)})
    assert any("optimized for" in one for one in doubts(own))
    assert not doubts(own.model_copy(update={"win_rate": None})), "where nobody compared, nobody is said to have"


@pytest.mark.parametrize(
    ("accuracy", "longer", "said"),
    [
        (near(0.17, 0.1), None, ["no better than chance"]),
        (near(0.55, 0.1), None, ["not surely better than chance"]),
        (near(0.6, 0.02), near(0.66, 0.02), ["longer answer"]),
        (near(0.48, 0.02), near(0.66, 0.02), ["no better than chance", "longer answer"]),
    ],
)
def test_a_reward_model_that_knows_nothing_is_a_doubt(
    accuracy: Estimate, longer: Estimate | None, said: list[str]
) -> None:
    found = doubts(SOUND, accuracy=accuracy, longer_wins=longer)
    assert len(found) == len(said)
    assert all(word in one for word, one in zip(said, found, strict=True))
