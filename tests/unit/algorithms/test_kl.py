"""Facts about KL estimators and the controllers of the KL penalty."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.algorithms.kl import AdaptiveKL, FixedKL, k1, k2, k3, kl_reward

POLICY = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
REFERENCE = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
TRUE_KL = sum(p * math.log(p / q) for p, q in zip([0.5, 0.3, 0.2], [0.2, 0.2, 0.6], strict=True))


def test_estimators_by_hand():
    # the policy is twice as likely as the reference: log-ratio log 2, r = 1/2
    logps, ref = torch.tensor([math.log(0.5)], dtype=torch.float64), torch.tensor([math.log(0.25)], dtype=torch.float64)
    assert k1(logps, ref).item() == pytest.approx(math.log(2))
    assert k2(logps, ref).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert k3(logps, ref).item() == pytest.approx(0.5 - 1 + math.log(2))
    assert kl_reward(logps, ref, coefficient=0.1).item() == pytest.approx(-0.1 * math.log(2))


@pytest.mark.parametrize("estimator", [k1, k3])
def test_k1_and_k3_are_unbiased(estimator):
    mean = (POLICY * estimator(POLICY.log(), REFERENCE.log())).sum().item()
    assert mean == pytest.approx(TRUE_KL, abs=1e-14)


def test_k2_is_biased_far_away_and_right_close_by():
    assert (POLICY * k2(POLICY.log(), REFERENCE.log())).sum().item() != pytest.approx(TRUE_KL, rel=0.01)
    near = POLICY + 1e-4 * torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64)
    exact = (POLICY * (POLICY / near).log()).sum().item()
    assert (POLICY * k2(POLICY.log(), near.log())).sum().item() == pytest.approx(exact, rel=1e-3)


def test_under_the_policy_the_gradient_of_k2_is_that_of_the_kl_and_k1_has_none():
    logits = POLICY.log().requires_grad_()

    def gradient(estimator):
        logps = logits.log_softmax(-1)
        return torch.autograd.grad((POLICY * estimator(logps, REFERENCE.log())).sum(), logits)[0]

    logps = logits.log_softmax(-1)
    exact = torch.autograd.grad((logps.exp() * (logps - REFERENCE.log())).sum(), logits)[0]
    assert torch.allclose(gradient(k2), exact, atol=1e-14)
    assert torch.allclose(gradient(k1), torch.zeros(3, dtype=torch.float64), atol=1e-14)
    assert not torch.allclose(gradient(k3), exact, atol=1e-2)


@given(st.floats(-30, 30, width=32), st.floats(-30, 30, width=32), st.floats(-(2**-10), 2**-10, width=32))
@settings(max_examples=200, deadline=None)
def test_k3_is_never_negative_and_zero_at_the_reference(a, b, close):
    logps = torch.tensor([a, a, a])
    ref = torch.tensor([b, a, a + close])
    assert (k3(logps, ref) >= 0).all()
    assert k3(logps, ref)[1] == 0


def test_a_shift_of_both_changes_no_estimate():
    for estimator in (k1, k2, k3):
        assert torch.allclose(
            estimator(POLICY.log(), REFERENCE.log()), estimator(POLICY.log() - 7, REFERENCE.log() - 7)
        )


def test_gradients_agree_with_finite_differences():
    logps = POLICY.log().requires_grad_()
    for estimator in (k1, k2, k3):
        assert torch.autograd.gradcheck(lambda x, e=estimator: e(x, REFERENCE.log()), (logps,))


def test_a_fixed_coefficient_stays():
    assert FixedKL(0.05).update(100.0, 64).coefficient == 0.05


def test_the_adaptive_coefficient_by_hand():
    # observed 6.6 of target 6: error 0.1; 1000 responses of horizon 10000: factor 1.01
    assert AdaptiveKL(0.2, target=6.0, horizon=10_000.0).update(6.6, 1000).coefficient == pytest.approx(0.2 * 1.01)
    # far off, the error is cut at 0.2 either way
    assert AdaptiveKL(0.2, target=6.0, horizon=10_000.0).update(60.0, 1000).coefficient == pytest.approx(0.2 * 1.02)
    assert AdaptiveKL(0.2, target=6.0, horizon=10_000.0).update(-60.0, 1000).coefficient == pytest.approx(0.2 * 0.98)


def test_at_its_target_the_adaptive_coefficient_stays_and_the_old_controller_is_untouched():
    controller = AdaptiveKL(0.2, target=6.0, horizon=10_000.0)
    assert controller.update(6.0, 512) == controller
    controller.update(12.0, 512)
    assert controller.coefficient == 0.2


def test_the_adaptive_coefficient_brings_a_yielding_policy_to_its_target():
    controller = AdaptiveKL(1.0, target=3.0, horizon=1000.0)
    for _ in range(2000):
        controller = controller.update(1 / controller.coefficient, 100)  # this policy's KL is 1 / coefficient
    assert 1 / controller.coefficient == pytest.approx(3, rel=1e-3)


def test_what_cannot_work_is_refused():
    with pytest.raises(ValueError, match="target"):
        AdaptiveKL(0.2, target=0.0, horizon=100.0)
    with pytest.raises(ValueError, match="too many"):
        AdaptiveKL(0.2, target=6.0, horizon=100.0).update(0.0, 500)
