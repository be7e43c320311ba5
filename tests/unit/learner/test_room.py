"""Where memory ends a micro-batch is cut and computed again: the same gradient, the same outputs, and it is said."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from assent.core.group import Group
from assent.learner.config import OptimizerConfig
from assent.learner.local import LocalLearner
from assent.learner.room import METRIC
from assent.learner.scorer import LocalScorer
from assent.models.config import ModelConfig
from assent.models.cutting import cut
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel, TokenScores
from assent.models.tiny import save_tiny
from assent.training.sft import next_token_loss

RNG = np.random.default_rng(5)


def group(prompt: int, *answers: int, masked: bool = False) -> Group:
    rows = tuple(RNG.integers(10, 300, n) for n in answers)
    masks = tuple(RNG.random(n) < 0.5 for n in answers) if masked else ()
    return Group(RNG.integers(10, 300, prompt), rows, masks)


GROUPS = [group(5, 4, 6, 3), group(4, 9), group(2, 7, masked=True), group(6, 2, 2), group(3, 8, 8, masked=True)]
ALL = sum(one.num_tokens for one in GROUPS)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> PolicyModel:
    folder = save_tiny(Path(tmp_path_factory.mktemp("room")) / "llama", "llama")
    return PolicyModel.load(folder, config=ModelConfig(), trainable=True)


def short_of_memory(policy: PolicyModel, holds: int, *, in_backward: bool = False) -> Callable[[GroupBatch], Any]:
    """The policy on a device that holds so many tokens; where they are more, forward or backward ends as torch's do."""

    def outputs(batch: GroupBatch) -> TokenScores:
        scores = policy.logps(batch)
        if batch.num_tokens <= holds:
            return scores
        if not in_backward or not torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        weight = policy.core.model.norm.weight  # the last layer: others have no gradient yet when it ends
        handle = policy.core.model.layers[0].self_attn.q_proj.weight.register_hook(lambda gradient: _end(weight))
        scores.logps.register_hook(lambda gradient: gradient)
        handles.append(handle)
        return scores

    handles: list[Any] = []

    def _end(weight: Tensor) -> None:
        for handle in handles:
            handle.remove()
        handles.clear()
        assert weight.grad is not None  # part of the gradient has been added already
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")

    return outputs


def learned(policy: PolicyModel, outputs: Callable[[GroupBatch], Any], passes: Sequence[Sequence[Group]]) -> Any:
    learner = LocalLearner(policy.parameters(), outputs, OptimizerConfig())
    found = [learner.forward_backward(pack(some, budget=10**6), next_token_loss, weight=float(ALL)) for some in passes]
    gradient = {name: p.grad.clone() for name, p in policy.parameters().items() if p.grad is not None}
    learner.drop_gradients()
    return found, gradient, learner


@pytest.mark.parametrize("in_backward", [False, True])
@pytest.mark.parametrize("passes", [[GROUPS], [GROUPS[:2], GROUPS[2:]]])
def test_the_gradient_and_what_was_said_are_those_of_enough_memory(
    policy: PolicyModel, in_backward: bool, passes: list[list[Group]], caplog: pytest.LogCaptureFixture
) -> None:
    expected, wanted, _ = learned(policy, policy.logps, passes)
    with caplog.at_level(logging.WARNING):
        found, gradient, learner = learned(policy, short_of_memory(policy, 24, in_backward=in_backward), passes)
    assert learner.room.halvings >= 1 and "out of memory with" in caplog.text and "at most" in caplog.text
    for one, other in zip(found, expected, strict=True):
        assert len(one.outputs) == len(other.outputs) == 1
        torch.testing.assert_close(one.outputs[0].logps, other.outputs[0].logps, rtol=1e-4, atol=1e-5)
        assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], rel=1e-5)
    assert sum(one.metrics.get(METRIC, 0) for one in found) >= 1
    for name, gradient_of in wanted.items():
        torch.testing.assert_close(gradient[name], gradient_of, rtol=1e-3, atol=1e-6)


def test_scores_come_in_one_piece_too(policy: PolicyModel) -> None:
    [batch] = pack(GROUPS, budget=10**6)
    [expected] = LocalScorer(policy.logps).score([batch])
    scorer = LocalScorer(short_of_memory(policy, 24))
    for _ in range(2):  # the second time it knows
        [found] = scorer.score([batch])
        torch.testing.assert_close(found.logps, expected.logps, rtol=1e-4, atol=1e-5)


def test_a_single_group_that_has_no_room_ends_with_the_error_of_the_device(policy: PolicyModel) -> None:
    learner = LocalLearner(policy.parameters(), short_of_memory(policy, 4), OptimizerConfig())
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        learner.forward_backward(pack(GROUPS[:1], budget=10**6), next_token_loss, weight=1.0)


def test_another_error_is_none_of_memory(policy: PolicyModel) -> None:
    def broken(batch: GroupBatch) -> TokenScores:
        raise RuntimeError("shapes do not match")

    learner = LocalLearner(policy.parameters(), broken, OptimizerConfig())
    with pytest.raises(RuntimeError, match="shapes do not match"):
        learner.forward_backward(pack(GROUPS, budget=10**6), next_token_loss, weight=1.0)
    assert learner.room.halvings == 0


@pytest.mark.parametrize("most", [10, 20, 30])
def test_parts_of_a_batch_laid_end_to_end_are_the_batch(most: int) -> None:
    [whole] = pack(GROUPS, budget=10**6)
    parts = cut(whole, most)
    assert len(parts) > 1
    assert all(part.num_tokens <= most or len(set(part.group_of_row)) == 1 for part in parts)
    assert torch.equal(torch.cat([part.tokens for part in parts]), whole.tokens)
    assert torch.equal(torch.cat([part.positions for part in parts]), whole.positions)
    assert torch.equal(torch.cat([part.targets for part in parts]), whole.targets)
    assert [row for part in parts for row in part.rows] == list(whole.rows)
    assert [g for part in parts for g in part.group_of_row] == list(whole.group_of_row)
    assert [n for part in parts for n in part.row_lengths] == list(whole.row_lengths)
    offsets = np.cumsum([0, *(part.num_tokens for part in parts)])
    for name in ("scored", "last"):
        flat = torch.cat([getattr(part, name) + int(at) for part, at in zip(parts, offsets[:-1], strict=True)])
        assert torch.equal(flat, getattr(whole, name)), name
