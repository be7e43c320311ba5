"""Gradient checkpointing: the same gradient to the bit, dropout included, and less kept on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from assent.algorithms.objective import loss_of
from assent.core.errors import ModelError
from assent.core.group import Group
from assent.learner.config import OptimizerConfig
from assent.models.checkpointing import checkpointed, decoder_layers
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import policy_learner, value_learner
from assent.training.sft import next_token_loss

RNG = np.random.default_rng(3)
GROUPS = [
    Group(RNG.integers(10, 300, 9), (RNG.integers(10, 300, 7), RNG.integers(10, 300, 12))),
    Group(RNG.integers(10, 300, 4), (RNG.integers(10, 300, 15),)),
]
DROPPING = ModelConfig(lora=LoraConfig(rank=4, dropout=0.3))


def gradients(folder: Path, config: ModelConfig, checkpointing: str) -> dict[str, Tensor]:
    """Of the second step, so that the dropout of a later seed and moved adapters are in it."""
    policy = PolicyModel.load(folder, config=config, trainable=True)
    settings: Any = {"learning_rate": 1e-2, "checkpointing": checkpointing}
    learner = policy_learner(policy, OptimizerConfig(**settings), seed=7)
    batches = pack(GROUPS, budget=30)
    learner.forward_backward(batches, next_token_loss, weight=34.0)
    learner.step(learning_rate=1e-2)
    learner.forward_backward(batches, next_token_loss, weight=34.0)
    return {name: p.grad.clone() for name, p in policy.parameters().items() if p.grad is not None}


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("llama", ModelConfig()),
        ("llama", DROPPING),
        ("gemma2", ModelConfig()),
        ("gpt2", ModelConfig(attention="padded")),
        ("qwen3", DROPPING.model_copy(update={"attention": "padded"})),
    ],
)
def test_the_gradient_is_the_same_to_the_bit(
    tiny_folder: Callable[[str], Path], family: str, config: ModelConfig
) -> None:
    plain, again = (gradients(tiny_folder(family), config, how) for how in ("off", "on"))
    assert plain.keys() == again.keys() and plain
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_dropout_has_its_say_in_these_gradients(tiny_folder: Callable[[str], Path]) -> None:
    # Without this the test above could not tell whether layers are computed again with the same inputs left out.
    without = ModelConfig(lora=LoraConfig(rank=4))
    dropped, whole = (gradients(tiny_folder("llama"), config, "on") for config in (DROPPING, without))
    assert any(not torch.allclose(dropped[name], whole[name], rtol=1e-2) for name in whole)


def test_less_is_kept_and_nothing_stays_in_the_model(tiny_folder: Callable[[str], Path]) -> None:
    policy = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(), trainable=True)
    [batch] = pack(GROUPS, budget=1000)

    def kept() -> int:
        seen: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            policy.hidden(batch)
        return sum(seen.values())

    before = kept()
    with checkpointed(policy.core):
        fewer = kept()
    assert fewer < before / 2
    assert kept() == before
    assert not any("forward" in vars(layer) for layer in decoder_layers(policy.core))


def test_a_value_model_learns_so_too(tiny_folder: Callable[[str], Path]) -> None:
    found = []
    for how in ("off", "on"):
        critic = ScalarModel.from_policy(tiny_folder("llama"), config=ModelConfig(), seed=0)
        settings: Any = {"checkpointing": how}
        learner = value_learner(critic, OptimizerConfig(**settings))
        learner.forward_backward(
            pack(GROUPS, budget=30), lambda values, batch: loss_of(values.square(), metrics={}), weight=34.0
        )
        found.append([p.grad for p in critic.parameters().values() if p.grad is not None])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_decoder_without_a_list_of_layers_is_refused_in_one_line(tiny_folder: Callable[[str], Path]) -> None:
    policy = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(), trainable=True)
    policy.core.config.num_hidden_layers = 5
    with pytest.raises(ModelError, match="its 5 layers are not found.*set checkpointing to off"):
        decoder_layers(policy.core)
