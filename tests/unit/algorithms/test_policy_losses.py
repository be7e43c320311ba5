"""Facts about the clipped losses of PPO and the numbers that watch over them."""

import math

import pytest
import torch

from assent.algorithms.policy import (
    approx_kl,
    clipped_policy_loss,
    clipped_value_loss,
    explained_variance,
    is_clipped,
    is_value_clipped,
    policy_ratio,
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


# five tokens: ratios 1.5, 1.5, 0.5, 0.5, 1.1 with advantages +2, -2, +2, -2, +2
RATIOS, ADVANTAGES = tensor(1.5, 1.5, 0.5, 0.5, 1.1), tensor(2, -2, 2, -2, 2)
OLD = tensor(-1, -2, -3, -4, -5)
NEW = OLD + RATIOS.log()


def test_policy_loss_by_hand():
    # good and more likely: capped at 1.2; bad and more likely: paid in full; good and less likely: in full;
    # bad and less likely: capped at 0.8; inside the clip: as it is
    got = clipped_policy_loss(NEW, OLD, ADVANTAGES, clip=0.2)
    assert got.tolist() == pytest.approx([-1.2 * 2, 1.5 * 2, -0.5 * 2, 0.8 * 2, -1.1 * 2])
    assert policy_ratio(NEW, OLD).tolist() == pytest.approx(RATIOS.tolist())


def test_policy_loss_in_plain_python():
    for ratio in (0.1, 0.79, 0.81, 1.0, 1.19, 1.21, 4.0):
        for advantage in (-3.0, 0.0, 2.0):
            for high in (None, 0.5):
                upper = 1.2 if high is None else 1.5
                surrogate = min(ratio * advantage, min(max(ratio, 0.8), upper) * advantage)
                got = clipped_policy_loss(
                    tensor(math.log(ratio)), tensor(0), tensor(advantage), clip=0.2, clip_high=high
                )
                assert got.item() == pytest.approx(-surrogate)


def test_the_gradient_is_zero_exactly_where_clipped():
    logps = NEW.clone().requires_grad_()
    clipped_policy_loss(logps, OLD, ADVANTAGES, clip=0.2).sum().backward()
    expected = -RATIOS * ADVANTAGES
    expected[[0, 3]] = 0
    assert logps.grad.tolist() == pytest.approx(expected.tolist())
    assert is_clipped(NEW, OLD, ADVANTAGES, clip=0.2).tolist() == [True, False, False, True, False]
    assert torch.autograd.gradcheck(lambda x: clipped_policy_loss(x, OLD, ADVANTAGES, clip=0.2), (logps,))


def test_before_the_first_update_the_loss_is_minus_the_advantage_with_the_policy_gradient():
    logps = OLD.clone().requires_grad_()
    loss = clipped_policy_loss(logps, OLD, ADVANTAGES, clip=0.2)
    assert torch.equal(loss, -ADVANTAGES)
    loss.sum().backward()
    assert torch.equal(logps.grad, -ADVANTAGES)
    assert not is_clipped(OLD, OLD, ADVANTAGES, clip=0.2).any()
    assert torch.equal(policy_ratio(OLD, OLD), torch.ones_like(OLD))


def test_clip_high_moves_the_upper_bound_alone():
    # Ratios 1.35, 1.45, 0.75, 0.75, advantages +2, +2, +2, -2. Upper bound 1.4, lower still 0.8: the first is inside
    # now, the second capped at 1.4, the third paid in full, the fourth capped at 0.8 as without clip_high.
    ratios, advantages, old = tensor(1.35, 1.45, 0.75, 0.75), tensor(2, 2, 2, -2), tensor(-1, -2, -3, -4)
    logps = (old + ratios.log()).requires_grad_()
    loss = clipped_policy_loss(logps, old, advantages, clip=0.2, clip_high=0.4)
    assert loss.tolist() == pytest.approx([-2.7, -2.8, -1.5, 1.6])
    loss.sum().backward()
    assert logps.grad.tolist() == pytest.approx([-2.7, 0, -1.5, 0])
    clipped = is_clipped(logps.detach(), old, advantages, clip=0.2, clip_high=0.4)
    assert clipped.tolist() == [False, True, False, True]
    assert is_clipped(logps.detach(), old, advantages, clip=0.2).tolist() == [True, True, False, True]


def test_the_gradient_vanishes_exactly_beyond_the_upper_bound():
    # 1.375 and its neighbours are exact in binary; only what is beyond the bound loses its gradient.
    for ratio, expected in ((1.375 - 1e-9, -1.375), (1.375 + 1e-9, 0.0)):
        logps = tensor(math.log(ratio)).requires_grad_()
        clipped_policy_loss(logps, tensor(0), tensor(1), clip=0.25, clip_high=0.375).sum().backward()
        assert logps.grad.item() == pytest.approx(expected)


def test_without_clip_high_both_bounds_are_the_plain_clip():
    plain = clipped_policy_loss(NEW, OLD, ADVANTAGES, clip=0.2)
    assert torch.equal(plain, clipped_policy_loss(NEW, OLD, ADVANTAGES, clip=0.2, clip_high=None))
    assert torch.equal(plain, clipped_policy_loss(NEW, OLD, ADVANTAGES, clip=0.2, clip_high=0.2))
    same = is_clipped(NEW, OLD, ADVANTAGES, clip=0.2, clip_high=None)
    assert torch.equal(same, is_clipped(NEW, OLD, ADVANTAGES, clip=0.2))


def test_only_the_difference_of_logps_counts_and_a_wide_clip_is_no_clip():
    shifted = clipped_policy_loss(NEW - 3, OLD - 3, ADVANTAGES, clip=0.2)
    assert torch.allclose(shifted, clipped_policy_loss(NEW, OLD, ADVANTAGES, clip=0.2))
    assert torch.allclose(clipped_policy_loss(NEW, OLD, ADVANTAGES, clip=math.inf), -RATIOS * ADVANTAGES)


def test_approx_kl_is_unbiased_under_the_old_policy_and_zero_before_the_first_update():
    old, new = tensor(0.5, 0.3, 0.2), tensor(0.2, 0.2, 0.6)
    exact = sum(p * math.log(p / q) for p, q in zip(old.tolist(), new.tolist(), strict=True))
    assert (old * approx_kl(new.log(), old.log())).sum().item() == pytest.approx(exact)
    assert (approx_kl(new.log(), old.log()) >= 0).all()
    assert approx_kl(old.log(), old.log()).tolist() == [0, 0, 0]


# five values: moved past the clip towards the return, away from it, within the clip, and past the return, both ways
VALUES, OLD_VALUES, RETURNS = tensor(1.0, -1.0, 0.1, 3.0, -3.0), tensor(0, 0, 0, 0, 0), tensor(2, 2, 2, 2, -2)


def test_value_loss_by_hand():
    # towards: the clipped value 0.2 is further off, 0.5 * 1.8^2; away: -1 is further off, 0.5 * 3^2;
    # within: 0.5 * 1.9^2; past the return: 3 is 1 off but 0.2 is 1.8 off; and its mirror image
    got = clipped_value_loss(VALUES, OLD_VALUES, RETURNS, clip=0.2)
    assert got.tolist() == pytest.approx([1.62, 4.5, 1.805, 1.62, 1.62])


def test_the_value_gradient_is_zero_exactly_where_clipped():
    values = VALUES.clone().requires_grad_()
    clipped_value_loss(values, OLD_VALUES, RETURNS, clip=0.2).sum().backward()
    assert values.grad.tolist() == pytest.approx([0, -3, -1.9, 0, 0])
    assert is_value_clipped(VALUES, OLD_VALUES, RETURNS, clip=0.2).tolist() == [True, False, False, True, True]
    assert torch.autograd.gradcheck(lambda v: clipped_value_loss(v, OLD_VALUES, RETURNS, clip=0.2), (values,))


def test_value_loss_in_plain_python_and_with_an_infinite_clip():
    for value, old, target in zip(VALUES.tolist(), (0.5, -0.5, 0.0, 2.9, 1.0), RETURNS.tolist(), strict=True):
        near = min(max(value, old - 0.2), old + 0.2)
        expected = 0.5 * max((value - target) ** 2, (near - target) ** 2)
        got = clipped_value_loss(tensor(value), tensor(old), tensor(target), clip=0.2)
        assert got.item() == pytest.approx(expected)
    free = clipped_value_loss(VALUES, OLD_VALUES, RETURNS, clip=math.inf)
    assert torch.allclose(free, 0.5 * (VALUES - RETURNS) ** 2)
    shifted = clipped_value_loss(VALUES + 9, OLD_VALUES + 9, RETURNS + 9, clip=0.2)
    assert torch.allclose(shifted, clipped_value_loss(VALUES, OLD_VALUES, RETURNS, clip=0.2))


def test_explained_variance_by_hand_and_at_its_limits():
    returns = tensor(1, 2, 3, 4)
    # errors 0 0 1 1 have variance 1/4, returns 5/4
    assert explained_variance(tensor(1, 2, 2, 3), returns).item() == pytest.approx(1 - 0.25 / 1.25)
    assert explained_variance(returns - 7, returns).item() == 1
    assert explained_variance(tensor(5, 5, 5, 5), returns).item() == 0
    assert explained_variance(-returns, returns).item() == pytest.approx(-3)
    assert explained_variance(returns, tensor(2, 2, 2, 2)).isnan()
