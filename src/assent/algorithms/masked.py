"""Sums, means and ends of rows that lie one after another in a flat tensor, with no padding between them.

values  [a0 a1 a2 | b0 b1 | c0]      all scored tokens of all rows, S = 6
row     [ 0  0  0 |  1  1 |  2]      contiguous and nondecreasing, B = 3
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def row_sum(values: Float[Tensor, " S"], row: Int[Tensor, " S"], num_rows: int) -> Float[Tensor, " B"]:
    """Sum of the values of each row; 0 for a row without any. Also works for rows in any order (groups)."""
    return values.new_zeros(num_rows).index_add(0, row, values)


def row_count(row: Int[Tensor, " S"], num_rows: int) -> Int[Tensor, " B"]:
    """Number of values in each row."""
    return torch.zeros(num_rows, dtype=torch.long, device=row.device).index_add(0, row, torch.ones_like(row).long())


def row_mean(values: Float[Tensor, " S"], row: Int[Tensor, " S"], num_rows: int) -> Float[Tensor, " B"]:
    """Mean of the values of each row; NaN for a row without any, since it has no mean."""
    return row_sum(values, row, num_rows) / row_count(row, num_rows).to(values.dtype)


def last_of_row(row: Int[Tensor, " S"], num_rows: int) -> Int[Tensor, " B"]:
    """Index into S of each row's last value. Raises ValueError if a row has none."""
    count = row_count(row, num_rows)
    if bool((count == 0).any()):
        empty = (count == 0).nonzero().flatten().tolist()
        raise ValueError(f"rows {empty} have no scored token, so they have no last one")
    return count.cumsum(0) - 1


def whiten(values: Float[Tensor, " N"], *, keep_mean: bool) -> Float[Tensor, " N"]:
    """Scale to variance 1 over the whole tensor, moved to mean 0 unless `keep_mean` (Huang et al. 2022, detail 7).

    Advantages lose their mean, rewards keep theirs. Give it the whole batch: whitened by micro-batch, results would
    depend on how the batch was cut. The variance is the population's (over N); a constant becomes 0 (or stays put).
    """
    mean = values.mean()
    centred = (values - mean) * torch.rsqrt(values.var(correction=0) + _VARIANCE_FLOOR)
    return centred + mean if keep_mean else centred


_VARIANCE_FLOOR = 1e-8
