"""Facts about the learner of one process: what it does with numbers that are not finite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from assent.algorithms.objective import Loss
from assent.artifacts.stage import SPOILED, Runner, StageContext, stage
from assent.core.config import Config
from assent.core.errors import NonFiniteError
from assent.core.group import Group
from assent.learner.config import OptimizerConfig
from assent.learner.local import LocalLearner
from assent.models.groups import GroupBatch, pack

GROUPS = [
    Group(np.array([7, 8]), (np.array([1, 2]), np.array([3]))),
    Group(np.array([9]), (np.array([4, 5]),)),
]


def learner() -> tuple[LocalLearner[Tensor], nn.Parameter]:
    weight = nn.Parameter(torch.ones(10, 1))
    return LocalLearner({"weight": weight}, lambda b: weight[b.tokens, 0], OptimizerConfig()), weight


def summed(factor: float):
    def objective(output: Tensor, batch: GroupBatch) -> Loss:
        return Loss((output * factor).sum(), float(batch.num_rows), {})

    return objective


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # 12 steps, 2 of them warm-up: half the peak, the peak; then step 2 is the peak, step 7 half way, 12 the end.
        ("constant", {0: 0.05, 1: 0.1, 2: 0.1, 7: 0.1, 12: 0.1}),
        ("linear", {0: 0.05, 1: 0.1, 2: 0.1, 7: 0.06, 11: 0.1 * (1 - 0.8 * 0.9), 12: 0.02}),
        ("cosine", {0: 0.05, 1: 0.1, 2: 0.1, 7: 0.06, 12: 0.02}),
    ],
)
def test_the_rate_of_a_step_is_the_peak_times_its_schedule(schedule: Any, expected: dict[int, float]) -> None:
    config = OptimizerConfig(learning_rate=0.1, warmup=2 / 12, floor=0.2, schedule=schedule)
    assert {step: config.rate_at(step, 12) for step in expected} == pytest.approx(expected)


def test_a_step_moves_at_the_rate_it_is_told_and_says_so() -> None:
    # Adam's first step moves every weight that has a gradient by the rate, but for epsilon: 1 / (1 + 1e-5).
    own, weight = learner()
    own.forward_backward(pack(GROUPS, budget=100), summed(1.0), weight=1.0)
    report = own.step(learning_rate=0.25)
    assert report.learning_rate == 0.25 and own.num_steps == 1
    assert weight[1].item() == pytest.approx(0.75, abs=1e-5) and weight[0].item() == 1.0


def test_rows_of_a_batch_are_listed_with_their_prompts_as_the_caller_numbered_them() -> None:
    (batch,) = pack(GROUPS, budget=100)
    listed = {row["row"]: row["tokens"] for row in batch.listed()}
    assert listed == {0: [7, 8, 1, 2], 1: [7, 8, 3], 2: [9, 4, 5]}


def test_a_loss_that_is_not_finite_moves_nothing_and_names_its_micro_batch() -> None:
    own, weight = learner()
    with pytest.raises(NonFiniteError, match="the loss is nan at optimizer step 0") as caught:
        own.forward_backward(pack(GROUPS, budget=4), summed(float("nan")), weight=3.0)
    assert [row["tokens"] for row in caught.value.batch] in ([[7, 8, 1, 2], [7, 8, 3]], [[9, 4, 5]])
    assert torch.equal(weight, torch.ones(10, 1)) and weight.grad is None and own.num_steps == 0


def test_a_gradient_that_is_not_finite_moves_nothing_and_names_all_of_its_step() -> None:
    own, weight = learner()
    own.forward_backward(pack(GROUPS[:1], budget=100), summed(1.0), weight=3.0)
    own.forward_backward(pack(GROUPS[1:], budget=100), summed(1.0), weight=3.0)
    assert weight.grad is not None
    weight.grad[0] = float("inf")
    with pytest.raises(NonFiniteError, match="the gradient norm is") as caught:
        own.step(learning_rate=1e-5)
    assert [row["tokens"] for row in caught.value.batch] == [[7, 8, 1, 2], [7, 8, 3], [9, 4, 5]]
    assert torch.equal(weight, torch.ones(10, 1))


def test_a_stage_that_meets_one_keeps_the_rows_beside_its_log(tmp_path: Path) -> None:
    @stage(name="spoiled", version=1, kind="policy")
    def spoiled(ctx: StageContext, config: Config) -> None:
        own, _ = learner()
        own.forward_backward(pack(GROUPS, budget=100), summed(float("inf")), weight=3.0)

    with Runner(tmp_path, seed=0) as run, pytest.raises(NonFiniteError, match=SPOILED):
        run(spoiled, Config())
    (kept,) = tmp_path.rglob(SPOILED)
    assert {row["row"] for row in json.loads(kept.read_text())["rows"]} == {0, 1, 2}
