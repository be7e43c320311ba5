"""Log-probabilities do not depend on how a batch is cut, and the waste ledger counts what was computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from assent.core import seeds
from assent.core.group import Group
from assent.models.attention import attend_with
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import FAMILIES

Folder = Callable[[str], Path]


@pytest.fixture
def policy(tiny_folder: Folder) -> PolicyModel:
    return PolicyModel.load(tiny_folder("llama"), config=ModelConfig(), trainable=True)


@pytest.fixture
def groups() -> list[Group]:
    random = seeds.stream(3, "groups")
    shapes = [(5, (4, 9, 2)), (20, (3,)), (2, (30, 1)), (8, (8,)), (1, (1, 1, 1, 1)), (3, (2,)), (40, (5, 6))]
    return [Group(random.integers(4, 300, p), tuple(random.integers(4, 300, n) for n in ns)) for p, ns in shapes]


def loss_and_gradient(policy: PolicyModel, groups: list[Group], budget: int) -> tuple[float, dict[str, Tensor], int]:
    batches = pack(groups, budget=budget)
    total = 0.0
    for batch in batches:
        loss = -policy.logps(batch).logps.sum() / 100
        loss.backward()
        total += loss.item()
    gradient = {name: p.grad.clone() for name, p in policy.parameters().items() if p.grad is not None}
    policy.hf.zero_grad()
    return total, gradient, len(batches)


def test_loss_and_gradient_do_not_depend_on_the_budget(policy: PolicyModel, groups: list[Group]) -> None:
    loss, gradient, count = loss_and_gradient(policy, groups, budget=10**6)
    assert count == 1
    for budget, batches in ((1, 7), (50, 4)):
        other_loss, other_gradient, other_count = loss_and_gradient(policy, groups, budget)
        assert other_count == batches
        assert other_loss == pytest.approx(loss, rel=1e-6)
        for name, expected in gradient.items():
            assert (other_gradient[name] - expected).norm() <= 1e-5 * expected.norm(), name


def test_the_same_batch_gives_the_same_bits_again(policy: PolicyModel, groups: list[Group]) -> None:
    (first_loss, first, _), (second_loss, second, _) = (loss_and_gradient(policy, groups, 60) for _ in range(2))
    assert first_loss == second_loss
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("family", FAMILIES)
def test_scoring_and_training_forward_give_the_same_bits(family: str, tiny_folder: Folder, groups: list[Group]) -> None:
    # The ratio of PPO is exactly 1 before the first update only if they do.
    policy = PolicyModel.load(tiny_folder(family), config=ModelConfig(), trainable=True)
    for batch in pack(groups, budget=60):
        with torch.no_grad():
            old = policy.logps(batch, temperature=0.7).logps
        new = policy.logps(batch, temperature=0.7).logps
        assert new.requires_grad
        assert torch.equal(new, old)


def test_probabilities_of_all_next_tokens_sum_to_one(policy: PolicyModel) -> None:
    everything = [Group(np.array([5, 6, 7]), tuple(np.array([t]) for t in range(320)))]
    (batch,) = pack(everything, budget=10**6)
    assert policy.logps(batch).logps.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_entropy_is_the_expected_surprise_at_the_same_temperature(policy: PolicyModel) -> None:
    (batch,) = pack([Group(np.array([5, 6, 7]), tuple(np.array([t]) for t in range(320)))], budget=10**6)
    scores = policy.logps(batch, temperature=2.0, with_entropy=True)
    surprise = -(scores.logps.exp() * scores.logps).sum().item()
    assert scores.entropy is not None
    assert scores.entropy[0].item() == pytest.approx(surprise, abs=1e-4)
    assert surprise < math.log(320)


def test_ledger_without_padding_shares_prompts_and_skips_the_head_on_them(policy: PolicyModel) -> None:
    # 4 + (3 + 2) and 2 + 6 tokens; one of the 6 is not scored.
    is_scored = (np.array([False, True, True, True, True, True]),)
    groups = [
        Group(np.arange(4), (np.arange(3), np.arange(2))),
        Group(np.arange(2), (np.arange(6),), is_scored),
    ]
    for batch in pack(groups, budget=10**6):
        policy.logps(batch)
    assert (policy.ledger.positions, policy.ledger.tokens) == (17, 17)
    assert (policy.ledger.head_rows, policy.ledger.scored) == (10, 10)
    assert policy.ledger.facts() == {"positions_per_token": 1.0, "head_rows_per_scored": 1.0}
    policy.ledger.clear()
    assert math.isnan(policy.ledger.facts()["positions_per_token"])


def test_ledger_of_padded_rows_counts_repeated_prompts_and_padding(tiny_folder: Folder) -> None:
    padded = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(attention="padded"), trainable=False)
    (batch,) = pack(
        [Group(np.arange(4), (np.arange(3), np.arange(2))), Group(np.arange(2), (np.arange(6),))], budget=99
    )
    padded.logps(batch)
    # Three rows of at most 8 tokens, 17 of them real and unique; the model's own head runs on all 24.
    assert (padded.ledger.positions, padded.ledger.tokens) == (24, 17)
    assert (padded.ledger.head_rows, padded.ledger.scored) == (24, 11)


def test_states_of_both_modes_agree_at_every_token(tiny_folder: Folder, groups: list[Group]) -> None:
    models = [
        PolicyModel.load(tiny_folder("qwen3"), config=ModelConfig(attention=mode), trainable=False)
        for mode in ("groups", "padded")
    ]
    for batch in pack(groups, budget=80):
        flat, padded = (model.hidden(batch) for model in models)
        assert flat.shape == (batch.num_tokens, 48)
        torch.testing.assert_close(flat, padded, atol=1e-4, rtol=1e-4)


def test_value_of_a_state_cannot_see_the_token_it_precedes(tiny_folder: Folder) -> None:
    model = ScalarModel.from_policy(tiny_folder("llama"), config=ModelConfig(), seed=0)
    (before,) = pack([Group(np.array([5, 6]), (np.array([7, 8, 9]),))], budget=9)
    (after,) = pack([Group(np.array([5, 6]), (np.array([7, 8, 200]),))], budget=9)
    assert torch.equal(model.at_scored(before), model.at_scored(after))
    assert not torch.equal(model.at_last(before), model.at_last(after))


def test_siblings_do_not_see_each_other(policy: PolicyModel) -> None:
    prompt, answer = np.array([5, 6, 7]), np.array([8, 9, 10])
    (with_one,) = pack([Group(prompt, (answer, np.array([20, 21])))], budget=99)
    (with_other,) = pack([Group(prompt, (answer, np.array([99, 98])))], budget=99)
    assert torch.equal(policy.logps(with_one).logps[:3], policy.logps(with_other).logps[:3])


def test_calling_the_model_outside_a_plan_is_an_error_not_a_wrong_number(policy: PolicyModel) -> None:
    with pytest.raises(RuntimeError, match="attend_with"):
        policy.hf(torch.tensor([[1, 2, 3]]))
    (batch,) = pack([Group(np.array([1, 2]), (np.array([3]),))], budget=9)
    with attend_with(batch.plan):
        assert policy.hf(batch.tokens[None], position_ids=batch.positions[None]).logits.shape == (1, 3, 320)


def test_frozen_model_trains_nothing(tiny_folder: Folder) -> None:
    frozen = PolicyModel.load(tiny_folder("llama"), config=ModelConfig(), trainable=False)
    assert frozen.parameters() == {}
    assert frozen.eos_ids == (2,)
    assert frozen.max_length == 256
