"""Facts about segment operations on flat rows, and about whitening."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.algorithms import masked

VALUES = torch.tensor([1.0, 2.0, 6.0, 4.0, 8.0, 5.0], dtype=torch.float64)
ROW = torch.tensor([0, 0, 0, 1, 1, 2])


def test_rows_by_hand():
    assert masked.row_sum(VALUES, ROW, 3).tolist() == [9, 12, 5]
    assert masked.row_mean(VALUES, ROW, 3).tolist() == [3, 6, 5]
    assert masked.row_count(ROW, 3).tolist() == [3, 2, 1]
    assert masked.last_of_row(ROW, 3).tolist() == [2, 4, 5]


def test_a_row_without_values_sums_to_zero_has_no_mean_and_no_ends():
    row = torch.tensor([0, 0, 0, 2, 2, 2])
    assert masked.row_sum(VALUES, row, 4).tolist() == [9, 0, 17, 0]
    assert masked.row_mean(VALUES, row, 4).isnan().tolist() == [False, True, False, True]
    with pytest.raises(ValueError, match=r"rows \[1, 3\]"):
        masked.last_of_row(row, 4)


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_flat_rows_agree_with_lists(lengths):
    rows = [[float(10 * r + t) for t in range(n)] for r, n in enumerate(lengths)]
    flat = torch.tensor([x for row in rows for x in row], dtype=torch.float64)
    row = torch.repeat_interleave(torch.tensor(lengths))
    assert masked.row_sum(flat, row, len(rows)).tolist() == [sum(r) for r in rows]
    assert flat[masked.last_of_row(row, len(rows))].tolist() == [r[-1] for r in rows]


def test_the_gradient_of_a_row_mean_is_shared_evenly_inside_its_row():
    values = VALUES.clone().requires_grad_()
    masked.row_mean(values, ROW, 3)[0].backward()
    assert values.grad.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0, 0])
    assert torch.autograd.gradcheck(lambda v: masked.row_mean(v, ROW, 3), (values,))


def test_whitening_by_hand():
    # mean 3, population variance (4 + 0 + 4) / 3, so the ends lie at -+ 2 / sqrt(8 / 3) = -+ sqrt(3 / 2)
    values = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
    side = math.sqrt(1.5)
    assert masked.whiten(values, keep_mean=False).tolist() == pytest.approx([-side, 0, side])
    assert masked.whiten(values, keep_mean=True).tolist() == pytest.approx([3 - side, 3, 3 + side])


def test_whitening_moves_the_mean_to_zero_exactly_when_it_is_not_kept():
    values = 5.05 + torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for keep_mean, mean in ((False, 0.0), (True, values.mean().item())):
        white = masked.whiten(values, keep_mean=keep_mean)
        assert white.mean().item() == pytest.approx(mean, abs=1e-9)
        assert white.std(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_whitening_is_over_the_whole_batch_and_blind_to_scale_and_shift():
    values = torch.tensor([0.0, 1.0, 10.0, 11.0], dtype=torch.float64)
    whole = masked.whiten(values, keep_mean=False)
    halves = torch.cat([masked.whiten(half, keep_mean=False) for half in values.chunk(2)])
    assert not torch.allclose(whole, halves)
    assert torch.allclose(whole, masked.whiten(7 * values - 100, keep_mean=False), atol=1e-7)


def test_a_constant_whitens_to_zero_and_not_to_nan():
    constant = torch.full((4,), 3.0)
    assert masked.whiten(constant, keep_mean=False).tolist() == [0, 0, 0, 0]
    assert masked.whiten(constant, keep_mean=True).tolist() == [3, 3, 3, 3]
