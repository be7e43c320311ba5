"""Facts about DPO and its kin."""

import math

import pytest
import torch

from assent.algorithms.preference import cdpo_loss, dpo_loss, implicit_reward, ipo_loss, robust_dpo_loss


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
