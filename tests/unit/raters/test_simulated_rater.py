"""Simulated people do what their equation says: chances, leans, faults, in any order of asking."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest

from assent.core.types import Completion, Judgment, Prompt, Rater, Task
from assent.lab.people import ideal_reply
from assent.lab.world import World
from assent.raters.simulated import SimulatedRater, Traits, lab_utility


def _by_text(prompt: Prompt, text: str, group: str) -> float:
    """The first word of an answer is its utility."""
    return float(text.split()[0])


def _tasks(count: int, *texts: str, purpose: str = "reward") -> list[Task]:
    prompt = Prompt.of("which?")
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=f"c{i}") for i, text in enumerate(texts))
    return [Task(id=f"t{i}", prompt=prompt, completions=answers, purpose=purpose) for i in range(count)]  # type: ignore[arg-type]


def _rater(seed: int = 0, **traits: object) -> SimulatedRater:
    return SimulatedRater(Rater(id="someone", kind="simulated"), Traits(**traits), _by_text, seed)  # type: ignore[arg-type]


def _wins(judgments: Sequence[Judgment], name: str = "c0") -> int:
    return sum(j.ranking.tiers[0] == (name,) for j in judgments if j.ranking)


def _fits(wins: int, count: int, chance: float) -> bool:
    return binomtest(wins, count, chance).pvalue > 1e-3


@pytest.mark.parametrize(("sharpness", "gap"), [(1.0, 0.5), (2.0, 0.5), (0.7, 2.0), (3.0, 0.0)])
def test_the_better_answer_wins_with_the_logistic_chance(sharpness: float, gap: float) -> None:
    judgments = _rater(sharpness=sharpness).judge(_tasks(1200, f"{gap}", "0"))
    assert _fits(_wins(judgments), 1200, expit(sharpness * gap))


def test_whole_orders_follow_plackett_and_luce() -> None:
    """Utilities log 3, log 2, 0: the order 0 > 1 > 2 has chance 3/6 * 2/3."""
    judgments = _rater().judge(_tasks(1200, f"{math.log(3)}", f"{math.log(2)}", "0"))
    right = sum(j.ranking.ids == ("c0", "c1", "c2") for j in judgments if j.ranking)
    assert _fits(right, 1200, 1 / 3)


def test_ties_follow_rao_and_kupper() -> None:
    """With threshold t: P(first) = sigmoid(gap - t), P(second) = sigmoid(-gap - t), ties the rest."""
    judgments = _rater(tie_threshold=0.8).judge(_tasks(1200, "0.5", "0"))
    assert _fits(_wins(judgments, "c0"), 1200, expit(0.5 - 0.8))
    assert _fits(_wins(judgments, "c1"), 1200, expit(-0.5 - 0.8))


def test_an_inverted_rater_prefers_the_worse() -> None:
    judgments = _rater(sharpness=-2.0).judge(_tasks(1000, "1", "0"))
    assert _fits(_wins(judgments), 1000, expit(-2.0))


def test_a_careless_rater_is_a_coin() -> None:
    judgments = _rater(sharpness=9.0, careless=1.0, position_lean=5.0, length_lean=5.0).judge(
        _tasks(1000, "9 a b c", "0")
    )
    assert _fits(_wins(judgments), 1000, 0.5)
    half = _rater(sharpness=50.0, careless=0.5).judge(_tasks(1000, "9", "0"))
    assert _fits(_wins(half), 1000, 0.75)


def test_a_position_lean_moves_only_what_is_shown_first() -> None:
    judgments = _rater(position_lean=1.0).judge(_tasks(1200, "0", "0", "0"))
    first = sum(j.ranking.ids[0] == j.order_shown[0] for j in judgments if j.ranking)
    assert _fits(first, 1200, math.e / (math.e + 2))
    second_over_third = sum(
        j.ranking.rank()[j.order_shown[1]] < j.ranking.rank()[j.order_shown[2]] for j in judgments if j.ranking
    )
    assert _fits(second_over_third, 1200, 0.5)


def test_a_length_lean_is_per_log_word() -> None:
    judgments = _rater(length_lean=1.0).judge(_tasks(1200, "0 a b c", "0"))
    assert _fits(_wins(judgments), 1200, 4 / 5)


def test_fatigue_lowers_accuracy_and_its_absence_does_not() -> None:
    tasks = _tasks(1200, "1", "0")
    fresh, tired = _rater(sharpness=3.0).judge(tasks), _rater(sharpness=3.0, fatigue=3.0).judge(tasks)
    assert _fits(_wins(fresh), 1200, expit(3.0))
    # Sharpness falls from 3 to 3/e³ over the sitting: the chance is the mean over its 40 places.
    places = np.arange(40) / 40
    assert _fits(_wins(tired), 1200, float(expit(3 * np.exp(-3 * places)).mean()))
    assert _wins(tired) < _wins(fresh) - 120


def test_groups_may_differ_in_taste() -> None:
    tasks = _tasks(1, "x", "y")
    warm, plain = (
        SimulatedRater(
            Rater(id="r", kind="simulated"),
            Traits(group=group, sharpness=100),
            lambda _, text, group: float((text == "x") == (group == "warm")),
        )
        for group in ("warm", "plain")
    )
    assert warm.judge(tasks)[0].ranking.sentence() == "c0 > c1"  # type: ignore[union-attr]
    assert plain.judge(tasks)[0].ranking.sentence() == "c1 > c0"  # type: ignore[union-attr]


def test_what_is_said_does_not_depend_on_the_order_of_asking() -> None:
    rater = _rater(careless=0.3, position_lean=1.0, fatigue=1.0, tie_threshold=0.5)
    tasks = _tasks(50, "1 a", "0", "0.5 b c")
    together = rater.judge(tasks)
    assert [j for task in reversed(tasks) for j in rater.judge([task])] == together[::-1]
    assert _rater(1, careless=0.3).judge(tasks) != together


def test_the_order_a_task_lists_its_answers_in_says_nothing() -> None:
    forward = _tasks(200, "0.3", "0", "0.1")
    backward = [t.model_copy(update={"completions": t.completions[::-1]}) for t in forward]
    rater = _rater(tie_threshold=0.2)
    assert [j.ranking for j in rater.judge(forward)] == [j.ranking for j in rater.judge(backward)]


def test_answers_are_shown_shuffled_and_the_order_is_kept() -> None:
    judgments = _rater().judge(_tasks(600, "0", "0", "0"))
    orders = {j.order_shown for j in judgments}
    assert len(orders) == 6
    assert _fits(sum(j.order_shown[0] == "c2" for j in judgments), 600, 1 / 3)


def test_an_evaluation_is_shown_in_its_own_order() -> None:
    """It asks every pair in both orders, with one task for each."""
    assert {j.order_shown for j in _rater().judge(_tasks(20, "0", "0", purpose="evaluation"))} == {("c0", "c1")}


def test_strength_grows_with_the_gap_by_the_raters_own_cuts() -> None:
    tasks = _tasks(300, "1", "0")
    strengths = {
        cuts: np.mean([j.ranking.strengths[0] for j in _rater(strength_cuts=cuts).judge(tasks) if j.ranking])  # type: ignore[index]
        for cuts in ((1.0, 2.0, 3.5), (0.5, 1.0, 1.5), (90.0, 91.0, 92.0))
    }
    assert strengths[90.0, 91.0, 92.0] == 1
    assert 1 < strengths[1.0, 2.0, 3.5] < strengths[0.5, 1.0, 1.5] <= 4


def test_reading_more_takes_longer_and_the_careless_skim() -> None:
    short, long = _tasks(100, "0", "0"), _tasks(100, "0 " + "word " * 200, "0")

    def seconds(rater: SimulatedRater, tasks: list[Task]) -> float:
        return float(np.mean([j.seconds for j in rater.judge(tasks) if j.seconds is not None]))

    assert seconds(_rater(), long) > 3 * seconds(_rater(), short)
    assert seconds(_rater(careless=1.0), long) < 0.3 * seconds(_rater(), long)


def test_the_labs_people_know_a_good_reply() -> None:
    prompt = World().prompts("reward", 1)[0]
    utility = lab_utility()
    good = ideal_reply(prompt, group="warm")
    assert utility(prompt, good, "warm") > utility(prompt, "No.", "warm")
    assert utility(prompt, good, "warm") != utility(prompt, good, "plain")


def test_scores_follow_the_truth_and_each_person_has_a_level_of_their_own() -> None:
    """Half true is 3 points; half a point of severity makes 3.5, at the top of the scale it is cut off."""
    tasks = _tasks(400, "0.5", "1.0")

    def scored(careless: float = 0.0, **severity: float) -> dict[str, float]:
        traits = Traits(careless=careless, severity=severity)
        rater = SimulatedRater(_rater().record, traits, _by_text, 0, truth=lambda prompt, text: {"true": float(text)})
        said = rater.judge(tasks)
        assert [j.ranking for j in said] == [j.ranking for j in _rater(careless=careless).judge(tasks)], (
            "the same ranks"
        )
        points = [[j.scores[c.id]["true"] for c in t.completions] for j, t in zip(said, tasks, strict=True)]
        assert {p for row in points for p in row} <= {1.0, 2.0, 3.0, 4.0, 5.0}
        return dict(zip(("half", "whole"), np.mean(points, axis=0).tolist(), strict=True))

    assert scored(true=0.0)["half"] == pytest.approx(3.0, abs=0.1)
    strict, mild = scored(true=-0.5), scored(true=0.5)
    assert (strict["half"], mild["half"]) == (pytest.approx(2.5, abs=0.1), pytest.approx(3.5, abs=0.1))
    assert 4.7 < mild["whole"] <= 5.0
    assert scored(careless=1.0, true=0.5) == pytest.approx({"half": 3.0, "whole": 3.0}, abs=0.25)
    assert all(not judgment.scores for judgment in _rater().judge(tasks[:3])), "nothing asked for, nothing scored"
