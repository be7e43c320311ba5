"""Facts about DPO and its kin."""

import math

import pytest
import torch

from assent.algorithms.likelihoods import davidson_luce_loss, plackett_luce_loss
from assent.algorithms.preference import (
    answer_logps,
    cdpo_loss,
    dpo_loss,
    implicit_reward,
    ipo_loss,
    kto_loss,
    kto_reference_point,
    odds_ratio_loss,
    robust_dpo_loss,
    simpo_loss,
    soft_dpo_loss,
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


CHOSEN, REJECTED = tensor(-10, -12, -30), tensor(-11, -9, -25)
REF_CHOSEN, REF_REJECTED = tensor(-12, -12, -20), tensor(-10, -10, -40)
GAPS = (3.0, -1.0, -25.0)  # (-10 + 12) - (-11 + 10) = 3 and so on
LOGPS = (CHOSEN, REJECTED, REF_CHOSEN, REF_REJECTED)

LOSSES = {
    "dpo": lambda *a: dpo_loss(*a, beta=0.1),
    "cdpo": lambda *a: cdpo_loss(*a, beta=0.1, label_smoothing=0.2),
    "robust": lambda *a: robust_dpo_loss(*a, beta=0.1, label_smoothing=0.2),
    "ipo": lambda *a: ipo_loss(*a, beta=0.1),
    "soft": lambda *a: soft_dpo_loss(*a, beta=0.1, chance=tensor(0.9, 0.6, 0.5)),
}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_losses_in_plain_python():
    for i, gap in enumerate(GAPS):
        right, wrong = -math.log(sigmoid(0.1 * gap)), -math.log(sigmoid(-0.1 * gap))
        assert LOSSES["dpo"](*LOGPS)[i].item() == pytest.approx(right)
        assert LOSSES["cdpo"](*LOGPS)[i].item() == pytest.approx(0.8 * right + 0.2 * wrong)
        assert LOSSES["robust"](*LOGPS)[i].item() == pytest.approx((0.8 * right - 0.2 * wrong) / 0.6)
        assert LOSSES["ipo"](*LOGPS)[i].item() == pytest.approx((gap - 5) ** 2)


def test_where_policy_is_reference_dpo_is_log_2_and_ipo_its_squared_target():
    same = (CHOSEN, REJECTED, CHOSEN, REJECTED)
    for name in ("dpo", "cdpo", "robust"):
        assert LOSSES[name](*same).tolist() == pytest.approx([math.log(2)] * 3)
    assert LOSSES["ipo"](*same).tolist() == pytest.approx([25.0] * 3)


def test_without_smoothing_the_variants_are_dpo():
    for variant in (cdpo_loss, robust_dpo_loss):
        assert torch.allclose(variant(*LOGPS, beta=0.3, label_smoothing=0.0), dpo_loss(*LOGPS, beta=0.3))


def test_robust_dpo_is_unbiased_under_flipped_labels():
    flipped = (REJECTED, CHOSEN, REF_REJECTED, REF_CHOSEN)
    mean = 0.8 * LOSSES["robust"](*LOGPS) + 0.2 * LOSSES["robust"](*flipped)
    assert torch.allclose(mean, LOSSES["dpo"](*LOGPS))


@pytest.mark.parametrize("name", LOSSES)
def test_a_prompt_constant_changes_nothing(name):
    assert torch.allclose(LOSSES[name](CHOSEN - 3, REJECTED - 3, REF_CHOSEN, REF_REJECTED), LOSSES[name](*LOGPS))
    assert torch.allclose(LOSSES[name](CHOSEN, REJECTED, REF_CHOSEN + 4, REF_REJECTED + 4), LOSSES[name](*LOGPS))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_agree_with_finite_differences(name):
    assert torch.autograd.gradcheck(LOSSES[name], tuple(x.clone().requires_grad_() for x in LOGPS))


def test_dpo_pushes_chosen_up_and_rejected_down_harder_where_it_is_wrong():
    chosen, rejected = CHOSEN.clone().requires_grad_(), REJECTED.clone().requires_grad_()
    dpo_loss(chosen, rejected, REF_CHOSEN, REF_REJECTED, beta=0.1).sum().backward()
    assert chosen.grad.tolist() == pytest.approx([-0.1 * sigmoid(-0.1 * gap) for gap in GAPS])
    assert torch.allclose(rejected.grad, -chosen.grad)


def stationary_gap(loss, start):
    gap = tensor(start).requires_grad_()
    zero = tensor(0)
    for _ in range(500):
        (gradient,) = torch.autograd.grad(loss(gap, zero, zero, zero).sum(), gap)
        gap = (gap - 0.5 * gradient).detach().requires_grad_()
    return gap.item()


def test_cdpo_stops_at_its_label_noise_and_ipo_at_half_over_beta():
    conservative = stationary_gap(lambda *a: cdpo_loss(*a, beta=1.0, label_smoothing=0.2), 0.0)
    assert sigmoid(conservative) == pytest.approx(0.8, abs=1e-6)
    assert stationary_gap(lambda *a: ipo_loss(*a, beta=0.25), 0.0) == pytest.approx(2.0)


def test_an_extreme_gap_stays_finite():
    far = (tensor(-10_000), tensor(0), tensor(0), tensor(0))
    assert dpo_loss(*far, beta=1.0).item() == 10_000


def test_dpo_is_bradley_terry_on_implicit_rewards():
    lead = implicit_reward(CHOSEN, REF_CHOSEN, beta=0.1) - implicit_reward(REJECTED, REF_REJECTED, beta=0.1)
    assert lead.tolist() == pytest.approx([0.1 * gap for gap in GAPS])
    assert torch.allclose(dpo_loss(*LOGPS, beta=0.1), (1 + (-lead).exp()).log())


def test_labels_wrong_half_the_time_are_refused():
    for variant in (cdpo_loss, robust_dpo_loss):
        with pytest.raises(ValueError, match=r"0\.5"):
            variant(*LOGPS, beta=0.1, label_smoothing=0.5)


def test_a_soft_label_is_the_mean_of_both_hard_ones():
    other_way = (REJECTED, CHOSEN, REF_REJECTED, REF_CHOSEN)
    mean = 0.6 * LOSSES["dpo"](*LOGPS) + 0.4 * LOSSES["dpo"](*other_way)
    found = soft_dpo_loss(*LOGPS, beta=0.1, chance=tensor(0.6, 0.6, 0.6))
    assert torch.allclose(found, mean)


def test_length_normalized_dpo_does_not_see_length_and_is_dpo_of_beta_over_length_at_equal_lengths():
    # Answers of 2 and 4 tokens whose every token gained 0.5 nats, beside ones that lost 0.25: the same loss.
    def loss(tokens, **kind):
        row = torch.repeat_interleave(torch.tensor([0, 1]), tokens)
        gained = answer_logps(tensor(0.5, -0.25)[row] - 3, row, 2, normalized=True)
        start = answer_logps(torch.full((2 * tokens,), -3.0, dtype=torch.float64), row, 2, normalized=True)
        return dpo_loss(gained[:1], gained[1:], start[:1], start[1:], beta=2.0).item()

    assert loss(2) == pytest.approx(loss(4)) == pytest.approx(-math.log(sigmoid(1.5)))
    sums = answer_logps(tensor(1, 2, 3, 5), torch.tensor([0, 0, 1, 1]), 2, normalized=False)
    means = answer_logps(tensor(1, 2, 3, 5), torch.tensor([0, 0, 1, 1]), 2, normalized=True)
    assert sums.tolist() == [3, 8] and means.tolist() == [1.5, 4]


def test_odds_ratio_and_simpo_in_plain_python():
    chosen, rejected = tensor(-0.5, -2.0), tensor(-1.0, -0.1)
    for i, (c, r) in enumerate(((-0.5, -1.0), (-2.0, -0.1))):
        p, q = math.exp(c), math.exp(r)
        ratio = (p / (1 - p)) / (q / (1 - q))
        assert odds_ratio_loss(chosen, rejected)[i].item() == pytest.approx(-math.log(ratio / (1 + ratio)))
        expected = -math.log(sigmoid(2.0 * (c - r) - 0.4))
        assert simpo_loss(chosen, rejected, beta=2.0, margin=0.4)[i].item() == pytest.approx(expected)


def test_equal_answers_cost_log_two_in_orpo_and_simpo_more_by_its_margin():
    same = tensor(-0.7)
    assert odds_ratio_loss(same, same).item() == pytest.approx(math.log(2))
    assert simpo_loss(same, same, beta=2.0, margin=0.0).item() == pytest.approx(math.log(2))
    assert simpo_loss(same, same, beta=2.0, margin=1.0).item() == pytest.approx(math.log(1 + math.e))


def test_rare_answers_have_odds_like_their_probability_and_sure_ones_stay_finite():
    # For p -> 0 the odds are p, so the term is DPO without a reference, beta 1.
    rare = odds_ratio_loss(tensor(-30.0), tensor(-31.0)).item()
    assert rare == pytest.approx(-math.log(sigmoid(1.0)), abs=1e-9)
    sure = tensor(0.0).requires_grad_()
    loss = odds_ratio_loss(sure, tensor(-1.0))
    loss.sum().backward()
    assert math.isfinite(loss.item()) and math.isfinite(sure.grad.item())


def test_orpo_and_simpo_gradients_agree_with_finite_differences():
    pair = (tensor(-0.5, -2.0).requires_grad_(), tensor(-1.0, -0.1).requires_grad_())
    assert torch.autograd.gradcheck(odds_ratio_loss, pair)
    assert torch.autograd.gradcheck(lambda *a: simpo_loss(*a, beta=2.0, margin=0.4), pair)


GOOD = torch.tensor([True, False, True])


def test_kto_in_plain_python():
    found = kto_loss(CHOSEN, REF_CHOSEN, GOOD, reference_point=tensor(1)[0], beta=0.1)
    gains = (2.0, 0.0, -10.0)  # -10 + 12 and so on
    expected = [1 - sigmoid(s * 0.1 * (g - 1.0)) for g, s in zip(gains, (1, -1, 1), strict=True)]
    assert found.tolist() == pytest.approx(expected)


def test_kto_is_half_at_its_reference_point_and_saturates_on_both_sides():
    at = kto_loss(tensor(3, 3), tensor(0, 0), torch.tensor([True, False]), reference_point=tensor(3)[0], beta=0.5)
    assert at.tolist() == [0.5, 0.5]
    logps = tensor(80, -80, 0.1).requires_grad_()
    kto_loss(
        logps, tensor(0, 0, 0), torch.tensor([True, True, True]), reference_point=tensor(0)[0], beta=1.0
    ).sum().backward()
    assert logps.grad[:2].abs().max() < 1e-20 and logps.grad[2] < -0.2


def test_a_good_answer_is_pushed_up_and_a_bad_one_down_by_beta_times_the_slope():
    logps = tensor(1.0, 1.0).requires_grad_()
    kto_loss(logps, tensor(0, 0), torch.tensor([True, False]), reference_point=tensor(0)[0], beta=0.2).sum().backward()
    slope = 0.2 * sigmoid(0.2) * sigmoid(-0.2)
    assert logps.grad.tolist() == pytest.approx([-slope, slope])


def test_the_reference_point_is_the_mean_gain_never_below_zero_and_has_no_gradient():
    logps = tensor(-1.0, -3.0).requires_grad_()
    assert kto_reference_point(logps, tensor(-2.0, -5.0)).item() == 1.5
    assert kto_reference_point(logps, tensor(0.0, 0.0)).item() == 0.0
    assert not kto_reference_point(logps, tensor(-2.0, -5.0)).requires_grad


def test_plackett_luce_dpo_of_two_answers_is_dpo_and_knows_no_prompt_constant():
    # K-wise DPO (Rafailov et al. 2023, appendix A.3) is Plackett-Luce on implicit rewards.
    logps, start = torch.stack([CHOSEN, REJECTED], 1), torch.stack([REF_CHOSEN, REF_REJECTED], 1)
    for i in range(3):
        rewards = implicit_reward(logps[i], start[i], beta=0.1)
        found = plackett_luce_loss(rewards, torch.tensor([[0, 1]]))
        assert found.item() == pytest.approx(LOSSES["dpo"](*LOGPS)[i].item())
        moved = implicit_reward(logps[i] + 7, start[i], beta=0.1)
        assert plackett_luce_loss(moved, torch.tensor([[0, 1]])).item() == pytest.approx(found.item())


def test_a_tie_of_two_pulls_implicit_rewards_together():
    gap = tensor(2.0, 0.0).requires_grad_()
    rewards = implicit_reward(gap, tensor(0.0, 0.0), beta=0.5)
    davidson_luce_loss(rewards, torch.tensor([[0, 1]]), [2], tie=tensor(1.0)).sum().backward()
    assert gap.grad[0] > 0 > gap.grad[1]


def trained(loss, *, answers=4, steps=4000, rate=0.5):
    """Logits of a policy over some answers, after gradient descent on a loss of its log-probs, and its start."""
    start = tensor(0.3, -0.4, 0.9, 0.0)[:answers].log_softmax(0)
    logits = start.clone().requires_grad_()
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(logits.log_softmax(0), start), logits)
        logits = (logits - rate * gradient).detach().requires_grad_()
    return logits.log_softmax(0).detach(), start


REWARDS = tensor(1.0, 0.2, -0.5, 0.0)
EVERY = torch.tensor([[i, j] for i in range(4) for j in range(4) if i < j])


def gains_of(loss, **how):
    logps, start = trained(loss, **how)
    gain = logps - start
    return gain - gain.mean()


@pytest.mark.slow
def test_where_labels_follow_a_reward_dpo_ends_at_log_ratio_equal_reward_over_beta():
    """The known optimum (Rafailov 2023, eq. 5), for pairs with soft labels, and for whole rankings."""
    better, worse = EVERY.T
    chance = (REWARDS[better] - REWARDS[worse]).sigmoid()
    expected = (REWARDS - REWARDS.mean()) / 0.5
    pairs = gains_of(
        lambda p, s: soft_dpo_loss(p[better], p[worse], s[better], s[worse], beta=0.5, chance=chance).mean()
    )
    assert torch.allclose(pairs, expected, atol=1e-4)
    orders = torch.tensor([[i, j, k] for i in range(3) for j in range(3) for k in range(3) if len({i, j, k}) == 3])
    likely = (-plackett_luce_loss(REWARDS, orders)).exp()  # of all orders of the first three answers
    listwise = gains_of(
        lambda p, s: (likely * plackett_luce_loss(implicit_reward(p, s, beta=0.5), orders)).sum(), answers=3
    )
    assert torch.allclose(listwise, (REWARDS[:3] - REWARDS[:3].mean()) / 0.5, atol=1e-4)


def test_kto_ends_at_the_reward_of_its_labels_only_in_sign_simpo_at_the_ratio_of_mean_logps():
    """KTO: a share g of good labels above one half sends an answer up for ever, below it down (its proposition 4.1);
    SimPO with soft labels: its gap ends at logit(p)/β + γ/β, whatever the reference."""
    ahead = tensor(0.0, 0.0).requires_grad_()
    good = tensor(0.7, 0.3)
    zero, yes, no = tensor(0, 0), torch.tensor([True, True]), torch.tensor([False, False])
    loss = good * kto_loss(ahead, zero, yes, reference_point=tensor(0)[0], beta=1.0) + (1 - good) * kto_loss(
        ahead, zero, no, reference_point=tensor(0)[0], beta=1.0
    )
    (gradient,) = torch.autograd.grad(loss.sum(), ahead)
    assert gradient[0] < 0 < gradient[1] and gradient.sum().item() == pytest.approx(0.0)

    gap = stationary(
        lambda d: 0.8 * simpo_loss(d, 0 * d, beta=2.0, margin=0.0) + 0.2 * simpo_loss(0 * d, d, beta=2.0, margin=0.0)
    )
    assert gap == pytest.approx(math.log(4) / 2, abs=1e-5)
    odds = stationary(lambda d: 0.8 * odds_ratio_loss(d - 1, 0 * d - 1) + 0.2 * odds_ratio_loss(0 * d - 1, d - 1))
    ratio = math.exp(odds - 1) / (1 - math.exp(odds - 1)) / (math.exp(-1) / (1 - math.exp(-1)))
    assert ratio == pytest.approx(4.0, abs=1e-4)


def stationary(loss):
    at = tensor(0.0).requires_grad_()
    for _ in range(3000):
        (gradient,) = torch.autograd.grad(loss(at).sum(), at)
        at = (at - 0.2 * gradient).detach().requires_grad_()
    return at.item()
