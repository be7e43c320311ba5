"""Sums with their weights: what an objective returns, so that dividing happens once, by the weight of the whole batch.

The mean of means of micro-batches depends on how the batch was cut; a sum over everything, divided once, does not.
An objective returns sums and weights; the learner divides once by the global weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


class Weighted(NamedTuple):
    """A sum, and the weight to divide it by to get a mean. A tensor carries no gradient and may lie on any device."""

    sum: Tensor | float
    weight: float


class Loss(NamedTuple):
    """The loss of one micro-batch, not yet divided by anything, and what to report."""

    total: Float[Tensor, ""]
    """Sum of weighted terms; carries the gradient."""
    weight: float
    """Sum of the weights: tokens, pairs, answers. The learner adds it over the whole batch, then divides once."""
    metrics: dict[str, Weighted]


def weighted(values: Shaped[Tensor, "*shape"], weight: Float[Tensor, "*shape"] | None = None) -> Weighted:
    """The weighted sum of a metric, without its gradient; every value weighs 1 unless told. True is 1, False 0."""
    plain = values.detach()
    plain = plain if plain.is_floating_point() else plain.to(torch.float32)
    if weight is None:
        return Weighted(plain.sum(), float(plain.numel()))
    return Weighted((plain * weight).sum(), float(weight.sum()))


def loss_of(
    terms: Float[Tensor, " N"], *, weight: Float[Tensor, " N"] | None = None, metrics: Mapping[str, Weighted]
) -> Loss:
    """A loss from its terms, each of weight 1 unless weighted. The loss itself is reported as the metric "loss"."""
    total = terms.sum() if weight is None else (terms * weight).sum()
    weight_sum = float(len(terms)) if weight is None else float(weight.sum())
    return Loss(total, weight_sum, {"loss": Weighted(total.detach(), weight_sum), **metrics})


def merge_metrics(parts: Iterable[Mapping[str, tuple[Tensor | float, float]]]) -> dict[str, Weighted]:
    """Add the metrics of micro-batches name by name; a name may be missing from some of them."""
    merged: dict[str, Weighted] = {}
    for part in parts:
        for name, (more, weight) in part.items():
            before = merged.get(name, Weighted(0.0, 0.0))
            merged[name] = Weighted(before.sum + more, before.weight + weight)
    return merged


def means(metrics: Mapping[str, tuple[Tensor | float, float]]) -> dict[str, float]:
    """The mean of each metric. One of weight 0 was never observed, has no mean, and is left out."""
    return {name: float(total) / weight for name, (total, weight) in metrics.items() if weight > 0}
