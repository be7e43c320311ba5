"""The last layer computed only where it is read gives the numbers and gradients of the whole one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from assent.core import seeds
from assent.core.group import Group
from assent.models.attention import AttentionCall
from assent.models.config import ModelConfig
from assent.models.groups import GroupBatch, pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel

lengths = st.integers(1, 12)
shapes = st.lists(st.tuples(lengths, st.lists(lengths, min_size=1, max_size=4)), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(shapes, st.sampled_from([None, 1, 3, 8]), st.sampled_from(["scored", "last"]))
def test_tokens_that_are_read_get_the_attention_of_the_whole_batch(
    shape: list[tuple[int, list[int]]], window: int | None, place: Literal["scored", "last"]
) -> None:
    (batch,) = pack([Group(np.arange(p), tuple(np.arange(n) for n in ns)) for p, ns in shape], budget=10**6)
    generator = torch.Generator().manual_seed(batch.num_tokens)
    query, key, value = torch.randn(3, 2, batch.num_tokens, 3, generator=generator, dtype=torch.float64)
    whole = batch.plan.attend(AttentionCall(0, query, key, value, 0.5, window, None))
    read = sorted(set((batch.scored if place == "scored" else batch.last).tolist()))
    order = [*(t for t in range(batch.num_tokens) if t not in read), *read]
    reading = batch.reading(place)
    found = reading.plan.attend(AttentionCall(0, query[:, read], key[:, order], value[:, order], 0.5, window, None))
    torch.testing.assert_close(found, whole[read])
    assert reading.num_unread == batch.num_tokens - len(read)
    wanted = batch.take_scored if place == "scored" else batch.take_last
    assert torch.equal(reading.take(torch.tensor(read)), wanted(torch.arange(batch.num_tokens)))


def some_batch() -> GroupBatch:
    random = seeds.stream(7, "last layer")
    shape = [(40, (20, 3)), (2, (30,)), (11, (5, 5, 9))]
    (batch,) = pack(
        [Group(random.integers(4, 300, p), tuple(random.integers(4, 300, n) for n in ns)) for p, ns in shape],
        budget=10**6,
    )
    return batch


def with_gradient(model: PolicyModel | ScalarModel, ask: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    model.hf.zero_grad()
    said = ask()
    (said * torch.linspace(0.5, 1.5, len(said))).sum().backward()
    return said.detach(), torch.cat([p.grad.flatten() for p in model.parameters().values() if p.grad is not None])


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "gpt_neox"])
def test_log_probabilities_values_and_scores_are_those_of_the_whole_last_layer(
    family: str, tiny_folder: Callable[[str], Path]
) -> None:
    batch = some_batch()
    policy = PolicyModel.load(tiny_folder(family), config=ModelConfig(), trainable=True)
    scalar = ScalarModel.from_policy(tiny_folder(family), config=ModelConfig(), seed=0)
    questions: list[tuple[PolicyModel | ScalarModel, Callable[[], Tensor]]] = [
        (policy, lambda: policy.logps(batch).logps),
        (scalar, lambda: scalar.at_scored(batch)),
        (scalar, lambda: scalar.at_last(batch)),
    ]
    for model, ask in questions:
        assert model.way.reads
        rows = rows_of_the_last_feed_forward(model, ask)
        found = with_gradient(model, ask)
        model.way, reads = replace(model.way, reads=False), model.way
        assert rows_of_the_last_feed_forward(model, ask) == batch.num_tokens
        expected = with_gradient(model, ask)
        model.way = reads
        assert rows < batch.num_tokens
        torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
        assert (found[1] - expected[1]).norm() <= 1e-5 * expected[1].norm()


def rows_of_the_last_feed_forward(model: PolicyModel | ScalarModel, ask: Callable[[], Tensor]) -> int:
    """How many tokens the feed-forward part of the last layer is computed for."""
    seen: list[int] = []
    part = next(m for name, m in reversed(list(model.hf.named_modules())) if name.endswith(".mlp"))
    handle = part.register_forward_hook(lambda _, given, __: seen.append(given[0].numel() // given[0].shape[-1]))
    with torch.no_grad():
        ask()
    handle.remove()
    return sum(seen)


def test_a_layer_that_wants_all_tokens_is_computed_for_all(tiny_folder: Callable[[str], Path]) -> None:
    # GPT-2 gives its result the shape of its input, which is that of all tokens.
    policy = PolicyModel.load(tiny_folder("gpt2"), config=ModelConfig(), trainable=True)
    assert (policy.mode, policy.way.reads) == ("groups", False)
    assert rows_of_the_last_feed_forward(policy, lambda: policy.logps(some_batch()).logps) == some_batch().num_tokens
