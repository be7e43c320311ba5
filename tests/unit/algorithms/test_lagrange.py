"""The price of a cost: numbers by hand, its bounds, and what is left of a reward."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from assent.algorithms.lagrange import PIDMultiplier, priced

PID = PIDMultiplier(limit=0.2, proportional=1.0, integral=0.5, derivative=2.0, most=20.0)


def after(controller: PIDMultiplier, *costs: float) -> PIDMultiplier:
    for cost in costs:
        controller = controller.update(cost)
    return controller


def test_the_price_by_hand() -> None:
    """Costs 0.5, 0.6, 0.1 with limit 0.2: excess 0.3, 0.4, -0.1; summed 0.3, 0.7, 0.6; rises 0 (the first), 0.1, 0.

    Prices 0.3 + 0.15, then 0.4 + 0.35 + 0.2, then -0.1 + 0.3.
    """
    assert after(PID, 0.5).value == pytest.approx(0.45)
    assert after(PID, 0.5, 0.6).value == pytest.approx(0.95)
    assert after(PID, 0.5, 0.6, 0.1).value == pytest.approx(0.2)


def test_a_cost_below_its_limit_is_free_and_saves_nothing_up() -> None:
    """However long it was below, the first excess is priced as if it were the first step."""
    quiet = after(PID, *[0.0] * 50)
    assert (quiet.value, quiet.sum) == (0.0, 0.0)
    assert after(quiet, 0.3).value == pytest.approx(0.1 + 0.05 + 2.0 * 0.3)


def test_an_excess_that_stays_is_priced_higher_and_higher_up_to_the_most() -> None:
    prices = [after(replace(PID, derivative=0.0), *[0.4] * n).value for n in range(1, 30)]
    assert all(later > earlier for earlier, later in pairwise(prices))
    bounded = after(replace(PID, most=3.0), *[0.4] * 1000)
    assert bounded.value == 3.0 and bounded.sum == pytest.approx(6.0)
    # It did not wind up: without an excess the price falls as from the bound.
    assert after(bounded, 0.2).value == pytest.approx(3.0)
    assert after(bounded, 0.1).value == pytest.approx(-0.1 + 0.5 * 5.9)


def test_only_the_integral_part_is_gradient_ascent_on_the_multiplier() -> None:
    """Its step is the rate times the excess, which is the slope of λ · (cost - limit) by λ."""
    ascent = replace(PID, proportional=0.0, derivative=0.0)
    value = 0.0
    for cost in (0.9, 0.4, 0.1, 0.35):
        value = max(0.0, value + 0.5 * (cost - 0.2))
        ascent = ascent.update(cost)
        assert ascent.value == pytest.approx(value)


def test_a_reward_after_its_costs_by_hand() -> None:
    """(2 - 1·1 - 0.5·4) / 2.5 and (1 - 0 - 0) / 2.5."""
    rewards = torch.tensor([2.0, 1.0])
    costs = torch.tensor([[1.0, 0.0], [4.0, 0.0]])
    assert priced(rewards, costs, [1.0, 0.5]).tolist() == pytest.approx([-0.4, 0.4])
    assert torch.equal(priced(rewards, costs, [0.0, 0.0]), rewards)


def test_at_a_high_price_the_costs_alone_decide_and_a_shift_of_a_cost_moves_all_answers_alike() -> None:
    rewards, costs = torch.tensor([2.0, 1.0, 0.0]), torch.tensor([[1.0, 0.0, 3.0]])
    assert priced(rewards, costs, [1e6]).tolist() == pytest.approx([-1.0, 0.0, -3.0], abs=1e-4)
    moved = priced(rewards, costs + 5.0, [2.0]) - priced(rewards, costs, [2.0])
    assert moved.tolist() == pytest.approx([-10 / 3] * 3)
