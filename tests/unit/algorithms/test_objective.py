"""Facts about sums and weights: dividing once makes the cut of a batch irrelevant."""

import pytest
import torch

from assent.algorithms.objective import Weighted, loss_of, means, merge_metrics, weighted


def test_a_batch_cut_in_unequal_parts_gives_the_mean_and_gradient_of_the_whole():
    values = torch.tensor([1.0, 2.0, 3.0, 10.0], dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([1.0, 1.0, 2.0, 4.0], dtype=torch.float64)
    whole = loss_of(values.square(), weight=weight, metrics={})
    parts = [loss_of(values[s].square(), weight=weight[s], metrics={}) for s in (slice(0, 1), slice(1, 4))]
    total_weight = sum(part.weight for part in parts)
    assert total_weight == whole.weight == 8
    assert sum(part.total for part in parts).item() / total_weight == (1 + 4 + 18 + 400) / 8
    (summed,) = torch.autograd.grad(sum(part.total / total_weight for part in parts), values)
    (at_once,) = torch.autograd.grad(whole.total / whole.weight, values)
    assert torch.allclose(summed, at_once)
    mean_of_means = sum(part.total.item() / part.weight for part in parts) / 2
    assert mean_of_means != pytest.approx(whole.total.item() / whole.weight)


def test_unweighted_terms_weigh_1_each_and_the_loss_is_reported_without_its_graph():
    loss = loss_of(torch.tensor([1.0, 5.0], requires_grad=True), metrics={"hits": Weighted(1.0, 2.0)})
    assert (loss.total.item(), loss.weight) == (6, 2)
    assert not loss.metrics["loss"].sum.requires_grad
    assert means(loss.metrics) == {"loss": 3.0, "hits": 0.5}


def test_metrics_merge_by_name_and_one_never_observed_has_no_mean():
    merged = merge_metrics(
        [
            {"accuracy": weighted(torch.tensor([True, False])), "length": (7.0, 1.0)},
            {"accuracy": weighted(torch.tensor([True, True, True])), "never": (0.0, 0.0)},
        ]
    )
    assert merged["accuracy"].weight == 5
    assert means(merged) == pytest.approx({"accuracy": 0.8, "length": 7.0})


def test_weighted_metrics_by_hand_and_the_order_of_merging():
    assert not weighted(torch.ones(2, requires_grad=True)).sum.requires_grad
    one = {"m": weighted(torch.tensor([1.0, 3.0]), torch.tensor([3.0, 1.0]))}
    two = {"m": weighted(torch.tensor([10.0]))}
    assert means(one) == {"m": 1.5}
    assert means(merge_metrics([one, two])) == means(merge_metrics([two, one])) == {"m": pytest.approx(16 / 5)}
    assert merge_metrics([]) == {}
