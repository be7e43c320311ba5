"""Facts about token rewards, generalized advantage estimation and group-relative advantages."""

import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.algorithms.advantages import (
    dr_grpo_advantages,
    gae,
    grpo_advantages,
    overlong_penalty,
    rloo_advantages,
    token_rewards,
)
from assent.algorithms.masked import row_sum

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def draw(num, seed):
    return torch.randn(num, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_token_rewards_by_hand():
    row = torch.tensor([0, 0, 1])
    logps, ref = torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-1.5, -1.0, -3.0])
    got = token_rewards(torch.tensor([10.0, 20.0]), logps, ref, row, kl_coefficient=0.1)
    assert got.tolist() == pytest.approx([-0.05, 10 + 0.1, 20])


def test_the_rewards_of_a_row_sum_to_its_score_less_its_kl():
    row, logps, ref, scores = torch.tensor([0, 0, 0, 1, 1]), draw(5, 0), draw(5, 1), draw(2, 2)
    got = token_rewards(scores, logps, ref, row, kl_coefficient=0.3)
    assert torch.allclose(row_sum(got, row, 2), scores - 0.3 * row_sum(logps - ref, row, 2))
    free = token_rewards(scores, logps, ref, row, kl_coefficient=0.0)
    assert free.tolist() == [0, 0, scores[0], 0, scores[1]]


def test_gae_by_hand():
    # one row, rewards 0 1, values 0.5 0.25, gamma 1, lambda 0.5:
    # delta_1 = 1 - 0.25 = 0.75, delta_0 = 0 + 0.25 - 0.5 = -0.25, A_0 = -0.25 + 0.5 * 0.75 = 0.125
    # the second row is one token: A = 2 - 3, and must not leak into the first
    rewards, values = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.5, 0.25, 3.0])
    got = gae(rewards, values, (2, 1), gamma=1.0, lam=0.5)
    assert got.advantages.tolist() == [0.125, 0.75, -1.0]
    assert got.returns.tolist() == [0.625, 1.0, 2.0]


@given(lengths=LENGTHS, gamma=st.sampled_from([0.0, 0.9, 1.0]), lam=st.sampled_from([0.0, 0.5, 0.95, 1.0]))
@settings(max_examples=40, deadline=None)
def test_gae_agrees_with_a_loop(lengths, gamma, lam):
    rewards, values = draw(sum(lengths), 0), draw(sum(lengths), 1)
    expected, start = [], 0
    for length in lengths:
        r, v = rewards[start : start + length].tolist(), [*values[start : start + length].tolist(), 0.0]
        deltas = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        # the sum of eq. 16, written out, with no recursion
        expected += [sum((gamma * lam) ** (u - t) * deltas[u] for u in range(t, length)) for t in range(length)]
        start += length
    got = gae(rewards, values, lengths, gamma=gamma, lam=lam)
    assert got.advantages.tolist() == pytest.approx(expected, abs=1e-12)
    assert torch.allclose(got.returns, got.advantages + values)


def test_with_lambda_1_advantages_are_returns_to_come_less_values_and_with_lambda_0_one_step_errors():
    rewards, values = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.1, 0.2, 0.3])
    assert gae(rewards, values, (3,), gamma=1.0, lam=1.0).returns.tolist() == pytest.approx([6, 5, 3])
    one_step = gae(rewards, values, (3,), gamma=1.0, lam=0.0).advantages
    assert one_step.tolist() == pytest.approx([1 + 0.2 - 0.1, 2 + 0.3 - 0.2, 3 - 0.3])


def test_a_perfect_value_function_leaves_no_advantage():
    rewards = torch.tensor([1.0, 2.0, 3.0, 5.0])
    perfect = torch.tensor([6.0, 5.0, 3.0, 5.0])
    assert gae(rewards, perfect, (3, 1), gamma=1.0, lam=0.95).advantages.abs().max() < 1e-6


def test_rows_do_not_change_when_other_rows_join_them():
    rewards, values = draw(6, 0), draw(6, 1)
    together = gae(rewards, values, (2, 0, 4), gamma=0.9, lam=0.8).advantages
    alone = [gae(rewards[a:b], values[a:b], (b - a,), gamma=0.9, lam=0.8).advantages for a, b in ((0, 2), (2, 6))]
    assert torch.equal(together, torch.cat(alone))


def test_the_gradient_of_an_advantage_by_a_later_reward_is_gamma_lambda_to_their_distance():
    rewards = draw(4, 0).requires_grad_()
    values = draw(4, 1)
    gae(rewards, values, (4,), gamma=0.9, lam=0.5).advantages[0].backward()
    assert rewards.grad.tolist() == pytest.approx([1, 0.45, 0.45**2, 0.45**3])


def test_row_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="sum to 3"):
        gae(torch.zeros(4), torch.zeros(4), (2, 1), gamma=1.0, lam=1.0)


GROUP = torch.tensor([1, 0, 0, 1, 1, 0])  # answers of a group need not lie together
REWARDS = torch.tensor([3.0, 1.0, 2.0, 6.0, 0.0, 9.0], dtype=torch.float64)


def test_group_relative_advantages_by_hand():
    # group 0: 1 2 9, mean 4; group 1: 3 6 0, mean 3, population deviation sqrt((0 + 9 + 9) / 3) = sqrt 6
    assert dr_grpo_advantages(REWARDS, GROUP, 2).tolist() == [0, -3, -2, 3, -3, 5]
    # leave one out: 1 - (2 + 9) / 2 = -4.5 and so on
    assert rloo_advantages(REWARDS, GROUP, 2).tolist() == [0, -4.5, -3, 4.5, -4.5, 7.5]
    grpo = grpo_advantages(REWARDS, GROUP, 2, epsilon=0.0)
    assert grpo[3].item() == pytest.approx(3 / 6**0.5)


def test_group_relative_advantages_agree_with_loops():
    for g in (0, 1):
        members = [i for i in range(6) if GROUP[i] == g]
        rewards = [REWARDS[i].item() for i in members]
        for i in members:
            mine = REWARDS[i].item()
            others = [REWARDS[j].item() for j in members if j != i]
            assert rloo_advantages(REWARDS, GROUP, 2)[i].item() == pytest.approx(mine - statistics.mean(others))
            z = (mine - statistics.mean(rewards)) / (statistics.pstdev(rewards) + 1e-4)
            assert grpo_advantages(REWARDS, GROUP, 2, epsilon=1e-4)[i].item() == pytest.approx(z)


def test_leave_one_out_is_k_over_k_minus_1_times_the_distance_from_the_mean():
    assert torch.allclose(rloo_advantages(REWARDS, GROUP, 2), 1.5 * dr_grpo_advantages(REWARDS, GROUP, 2))


def test_group_relative_advantages_sum_to_zero_and_ignore_a_shift_per_group():
    shift = torch.tensor([100.0, -50.0], dtype=torch.float64)[GROUP]
    for advantages in (
        lambda r: grpo_advantages(r, GROUP, 2, epsilon=1e-6),
        lambda r: dr_grpo_advantages(r, GROUP, 2),
        lambda r: rloo_advantages(r, GROUP, 2),
    ):
        assert torch.allclose(row_sum(advantages(REWARDS), GROUP, 2), torch.zeros(2, dtype=torch.float64), atol=1e-12)
        assert torch.allclose(advantages(REWARDS), advantages(REWARDS + shift), atol=1e-12)


def test_equal_rewards_teach_nothing_and_a_group_of_one_has_no_others():
    equal, group = torch.full((3,), 0.1), torch.zeros(3, dtype=torch.long)
    assert grpo_advantages(equal, group, 1, epsilon=1e-4).abs().max() < 1e-3
    assert grpo_advantages(equal[:1], group[:1], 1, epsilon=1e-4).item() == 0
    with pytest.raises(ValueError, match="at least 2"):
        rloo_advantages(equal[:1], group[:1], 1)


def test_overlong_answers_lose_in_a_straight_line_up_to_one_at_the_limit():
    lengths = torch.tensor([1, 6, 7, 8, 10, 12])
    assert overlong_penalty(lengths, longest=10, buffer=4).tolist() == pytest.approx([0, 0, -0.25, -0.5, -1, -1])
    assert overlong_penalty(lengths, longest=10, buffer=0).tolist() == [0] * 6
    with pytest.raises(ValueError, match="got 11"):
        overlong_penalty(lengths, longest=10, buffer=11)
