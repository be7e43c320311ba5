"""What a task is worth to a goal: ties to a reward model, clear pairs to DPO, none more than another at random."""

from __future__ import annotations

import math

import pytest

from assent.core.errors import DataError
from assent.feedback.queue.priorities import Predicted, clearness, information, information_share, priorities

TIE, CLOSE, FAR = Predicted((1.0, 1.0), "p1"), Predicted((0.0, math.log(3)), "p2"), Predicted((9.0, -9.0), "p3")


def test_the_information_of_a_pair_is_its_variance_over_that_of_a_tie() -> None:
    assert information((1.0, 1.0)) == 1.0
    assert information((0.0, math.log(3))) == pytest.approx(4 * 0.75 * 0.25)
    assert information((0.0, math.log(3), math.log(9))) == pytest.approx((0.75 + 0.75 + 4 * 0.9 * 0.1) / 3)


def test_only_differences_count_and_their_sign_does_not() -> None:
    assert information((5.0, 3.0, 4.0)) == pytest.approx(information((-5.0, -3.0, -4.0)))
    assert clearness((5.0, 3.0, 4.0)) == pytest.approx(clearness((0.0, 1.0, 2.0))) == pytest.approx(math.tanh(1))


def test_near_ties_and_large_gaps_are_opposite_orders() -> None:
    tasks = {"far": FAR, "close": CLOSE, "tie": TIE}
    near, large = priorities(tasks, "near_ties"), priorities(tasks, "large_gaps")
    assert sorted(near, key=near.__getitem__) == ["far", "close", "tie"]
    assert sorted(large, key=large.__getitem__) == ["tie", "close", "far"]
    assert (near["tie"], large["tie"]) == (1.0, 0.0)


def test_at_random_no_task_comes_before_another() -> None:
    assert priorities({"tie": TIE, "far": FAR}, "random") == {"tie": 0.0, "far": 0.0}


def test_tasks_of_one_prompt_take_turns_with_those_of_others() -> None:
    same = {f"same{i}": Predicted((0.0, 0.01 * i), "p1") for i in range(3)}
    wanted = priorities({**same, "other": CLOSE}, "near_ties")
    assert sorted(wanted, key=wanted.__getitem__, reverse=True) == ["same0", "other", "same1", "same2"]


def test_huge_gaps_are_worth_nothing_and_overflow_nothing() -> None:
    assert information((0.0, 1e6)) == 0.0
    assert clearness((0.0, 1e6)) == 1.0


def test_a_single_answer_is_worth_nothing_to_either() -> None:
    one = {"t": Predicted((3.0,), "p")}
    assert priorities(one, "near_ties") == priorities(one, "large_gaps") == {"t": 0.0}


def test_scores_that_are_no_numbers_are_refused_with_the_task() -> None:
    with pytest.raises(DataError, match="'t'"):
        priorities({"t": Predicted((float("nan"), 0.0), "p")}, "near_ties")


def test_what_ties_could_save_is_told_before_anybody_rates() -> None:
    assert information_share({"a": TIE, "b": FAR}) == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(DataError, match="no predictions"):
        information_share({"t": Predicted((3.0,), "p")})
