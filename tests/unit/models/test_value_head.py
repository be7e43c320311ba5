"""A value head on the policy's states: one pass says what two said, in plain transformers' numbers too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from assent.core.errors import ModelError
from assent.core.group import Group
from assent.models.config import LoraConfig, ModelConfig
from assent.models.decoder import body, plainly
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.value_head import ValueHead

Folder = Callable[[str], Path]
RNG = np.random.default_rng(3)
GROUPS = [
    Group(RNG.integers(10, 300, 5), tuple(RNG.integers(10, 300, n) for n in (4, 7))),
    Group(RNG.integers(10, 300, 3), (RNG.integers(10, 300, 6),), (np.array([True, False, True, True, False, True]),)),
]


def drawn(policy: PolicyModel) -> ValueHead:
    """A head that is not zero."""
    head, draw = policy.new_value_head(), torch.Generator().manual_seed(4)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=draw))
        head.bias.fill_(0.5)
    return head


def packed() -> GroupBatch:
    (batch,) = pack(GROUPS, budget=10**6)
    return batch


def row_by_row(policy: PolicyModel, head: ValueHead) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities and values of each row alone, from plain transformers and a loop over tokens."""
    logps, values = [], []
    for group in GROUPS:
        for number, answer in enumerate(group.continuations):
            row = torch.from_numpy(np.concatenate([group.prompt, answer]))[None]
            with torch.no_grad():
                states = plainly(body(policy.core), row).last_hidden_state[0].float()
                said = plainly(policy.core, row).logits[0].float().log_softmax(-1)
            counts = group.is_scored[number]
            at = [len(group.prompt) + k for k in range(len(answer)) if counts[k]]
            logps.append(torch.stack([said[i - 1, row[0, i]] for i in at]))
            values.append(torch.stack([states[i - 1] @ head.weight[0] + head.bias[0] for i in at]).detach())
    return logps, values


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "gpt2"])
def test_one_pass_says_what_separate_passes_say_and_plain_transformers(family: str, tiny_folder: Folder) -> None:
    policy = PolicyModel.load(tiny_folder(family), config=ModelConfig(), trainable=True)
    head, batch = drawn(policy), packed()
    both = policy.logps(batch, value_head=head)
    assert both.values is not None and both.values.requires_grad and both.logps.requires_grad
    assert torch.equal(both.logps, policy.logps(batch).logps)
    torch.testing.assert_close(both.values, policy.values(batch, head), atol=1e-6, rtol=1e-6)
    plain = PolicyModel.load(tiny_folder(family), config=ModelConfig(attention="padded"), trainable=False)
    for found, expected in zip((both.logps, both.values), row_by_row(plain, head), strict=True):
        rows = batch.scatter(found.detach())
        for number, one in enumerate(expected):
            torch.testing.assert_close(rows[number], one, atol=2e-5, rtol=2e-5)


def test_values_are_at_the_states_where_a_value_model_has_them(tiny_folder: Folder) -> None:
    policy = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(), trainable=True)
    scalar = ScalarModel.from_policy(tiny_folder("llama"), config=ModelConfig(), seed=0)
    head = policy.new_value_head()
    with torch.no_grad():
        head.weight[0] = scalar.head
    found, expected = policy.values(packed(), head), scalar.at_scored(packed())
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_a_new_head_says_zero_and_its_values_alone_give_the_policy_no_gradient(tiny_folder: Folder) -> None:
    policy = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(), trainable=True)
    assert not policy.new_value_head()(torch.ones(3, 48)).any()
    head = drawn(policy)
    policy.values(packed(), head).sum().backward()
    assert head.weight.grad is not None and head.weight.grad.any()
    assert all(p.grad is None for p in policy.parameters().values())
    both = policy.logps(packed(), value_head=head)
    assert both.values is not None
    both.values.sum().backward()
    assert all(p.grad is not None for n, p in policy.parameters().items() if "layers.0" in n)


def test_it_is_no_part_of_the_policy(tiny_folder: Folder, tmp_path: Path) -> None:
    adapters = ModelConfig(lora=LoraConfig(rank=2))
    policy = PolicyModel.load(tiny_folder("llama"), config=adapters, trainable=True)
    before = {*policy.parameters()}
    head = drawn(policy)
    assert policy.logps(packed(), value_head=head).values is not None
    assert {*policy.parameters()} == before
    policy.save(tmp_path / "merged", merged=True)
    again = PolicyModel.load(tmp_path / "merged", config=ModelConfig(), trainable=False)
    assert not [name for name, _ in again.hf.named_parameters() if "value" in name]


def test_padded_rows_are_refused(tiny_folder: Folder) -> None:
    policy = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(attention="padded"), trainable=True)
    for ask in (
        lambda: policy.new_value_head(),
        lambda: policy.logps(packed(), value_head=ValueHead(48)),
        lambda: policy.values(packed(), ValueHead(48)),
    ):
        with pytest.raises(ModelError, match=r"padded rows \(model.attention is padded\).* optimize.value: own_model"):
            ask()
