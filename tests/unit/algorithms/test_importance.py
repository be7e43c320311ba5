"""Facts about the weights of tokens that another program drew."""

import math

import pytest
import torch

from assent.algorithms.importance import effective_share, is_near, truncated_weight


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_truncated_weights_by_hand():
    ratios = tensor(0.25, 1.0, 1.5, 2.0, 5.0)
    assert truncated_weight(ratios.log(), cap=2.0).tolist() == pytest.approx([0.25, 1.0, 1.5, 2.0, 2.0])
    assert truncated_weight(ratios.log(), cap=math.inf).tolist() == pytest.approx(ratios.tolist())
    assert truncated_weight(tensor(0.0, 1000.0), cap=1.0).tolist() == [1.0, 1.0]  # exp(1000) is infinite


def test_no_gradient_goes_through_a_weight():
    logps = tensor(-1.0, -2.0).requires_grad_()
    assert not truncated_weight(logps - tensor(-1.5, -1.5), cap=2.0).requires_grad


def test_a_mean_over_the_draws_of_another_is_right_without_a_cap_and_wrong_by_what_the_cap_takes_away():
    # Four tokens; the learner thinks p, the engine drew from q, and f is what a token is worth.
    p, q, worth = tensor(0.5, 0.3, 0.15, 0.05), tensor(0.1, 0.4, 0.3, 0.2), tensor(1.0, -2.0, 4.0, 10.0)
    ratio = (p / q).log()

    def expected(cap: float) -> float:
        return float((q * truncated_weight(ratio, cap=cap) * worth).sum())

    assert expected(math.inf) == pytest.approx(float((p * worth).sum()))  # 1.0: unbiased
    # Only the first token's ratio, 5, is above 2: what is lost is q (5 - 2) f = 0.1 · 3 · 1.
    assert expected(2.0) == pytest.approx(1.0 - 0.3)
    # Not weighed at all, the mean is that of q: 0.1 - 0.8 + 1.2 + 2.0.
    assert float((q * worth).sum()) == pytest.approx(2.5)


def test_draws_agree_with_the_expectation():
    generator = torch.Generator().manual_seed(0)
    p, q, worth = tensor(0.5, 0.3, 0.15, 0.05), tensor(0.1, 0.4, 0.3, 0.2), tensor(1.0, -2.0, 4.0, 10.0)
    drawn = torch.multinomial(q, 200_000, replacement=True, generator=generator)
    values = truncated_weight((p / q).log()[drawn], cap=math.inf) * worth[drawn]
    error = values.std() / len(values) ** 0.5
    assert abs(values.mean() - 1.0) < 4 * error
    assert abs(worth[drawn].mean() - 1.0) > 100 * error


def test_an_answer_is_near_where_its_geometric_mean_ratio_is_within_the_bound_on_both_sides():
    means = tensor(1.2, 1 / 1.2, 1.04, 1 / 1.04, 1.0).log()
    assert is_near(means, bound=1.05).tolist() == [False, False, True, True, True]


def test_effective_share_by_hand():
    assert effective_share(tensor(2.0, 2.0, 2.0)).item() == pytest.approx(1.0)
    assert effective_share(tensor(0.0, 0.0, 0.0, 3.0)).item() == pytest.approx(0.25)
    assert effective_share(tensor(1.0, 2.0)).item() == pytest.approx(9 / 10)  # (1 + 2)² / (2 · 5)
    assert math.isnan(effective_share(tensor(0.0, 0.0)).item())
