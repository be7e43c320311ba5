"""The lean pass: it says what the modules say, with adapters, after updates, and in bfloat16 up to rounding."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_policies import VOCABULARY, make_policy

from assent.core.group import Group, TokenIds
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.generation.products import Product
from assent.models.groups import pack
from assent.models.policy import PolicyModel

LEAN = ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3"]
SAMPLING = Sampling(max_new_tokens=12)


def prompts_of(*lengths: int) -> list[TokenIds]:
    random = np.random.default_rng(2)
    return [random.integers(5, VOCABULARY, size=length) for length in lengths]


def gap(policy: PolicyModel, engine: LocalEngine) -> float:
    """Largest difference between the log-probabilities of drawn tokens and those that training computes."""
    prompts = prompts_of(11, 3, 25)
    drawn = engine.generate(prompts, num_samples=3, sampling=SAMPLING, seed=1)
    largest = 0.0
    for prompt, row in zip(prompts, drawn, strict=True):
        [batch] = pack([Group(prompt, tuple(a.tokens for a in row))], budget=10**6)
        with torch.no_grad():
            expected = policy.logps(batch).logps.numpy()
        largest = max(largest, float(np.abs(np.concatenate([a.logps for a in row]) - expected).max()))
    return largest


def move_adapters(policy: PolicyModel, size: float = 0.1) -> None:
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(3)
        for weight in policy.parameters().values():
            weight += size * torch.randn_like(weight)


@pytest.mark.parametrize("family", LEAN)
def test_drawn_log_probabilities_are_those_of_training_with_adapters_that_have_learned(family: str) -> None:
    policy = make_policy(family, lora=True)
    engine = LocalEngine(policy, max_live_rows=5)
    assert engine.rows.kind == "lean"
    assert gap(policy, engine) < 1e-4
    move_adapters(policy)
    assert gap(policy, engine) < 1e-4


def test_inside_reference_the_adapters_are_off() -> None:
    policy = make_policy("llama", lora=True)
    engine = LocalEngine(policy)
    before = engine.generate(prompts_of(8), num_samples=2, sampling=SAMPLING, seed=0)
    move_adapters(policy)
    with policy.reference():
        after = engine.generate(prompts_of(8), num_samples=2, sampling=SAMPLING, seed=0)
    with_adapters = engine.generate(prompts_of(8), num_samples=2, sampling=SAMPLING, seed=0)
    for a, b, c in zip(before[0], after[0], with_adapters[0], strict=True):
        assert np.array_equal(a.logps, b.logps)
        assert not np.array_equal(a.logps, c.logps)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_bfloat16_differs_from_training_by_its_rounding_and_no_more(family: str) -> None:
    policy = make_policy(family)
    exact, rounded = gap(policy, LocalEngine(policy)), gap(policy, LocalEngine(policy, dtype=torch.bfloat16))
    assert exact < 1e-4
    assert 1e-4 < rounded < 0.5


def test_small_steps_of_an_adapter_are_not_rounded_away_below_bfloat16_weights() -> None:
    layer = torch.nn.Linear(64, 32, bias=False, dtype=torch.bfloat16)
    settings = LoraConfig(r=1, lora_alpha=1, target_modules=["0"])
    adapter = get_peft_model(torch.nn.Sequential(layer), settings).base_model.model[0]
    with torch.no_grad():
        adapter.base_layer.weight.zero_()
        adapter.base_layer.weight[:, 0] = 1.0  # the next number of its type is 1 + 2⁻⁷
        adapter.lora_A["default"].weight.fill_(1.0)
        adapter.lora_B["default"].weight.fill_(2**-9)
        merged = adapter.base_layer.weight[0, 0] + torch.tensor(2**-9, dtype=torch.bfloat16)
        assert merged == 1.0, "merging would have changed nothing here"
        said = Product([adapter], torch.bfloat16)(torch.ones(1, 64, dtype=torch.bfloat16))
    assert said[0].tolist() == [1.0 + 64 * 2**-9] * 32


def test_a_family_without_a_lean_pass_says_that_it_draws_in_its_own_type(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        engine = LocalEngine(make_policy("gpt2"), dtype=torch.bfloat16)
    assert engine.rows.kind == "flat"
    assert "drawn in torch.float32, not in torch.bfloat16" in caplog.text


def test_layers_of_one_input_are_one_product_with_their_biases() -> None:
    torch.manual_seed(0)
    first, second = torch.nn.Linear(20, 7), torch.nn.Linear(20, 5, bias=False)
    states = torch.randn(3, 20)
    with torch.no_grad():
        expected = torch.cat([first(states), second(states)], -1)
        torch.testing.assert_close(Product([first, second], torch.float32)(states), expected, atol=1e-5, rtol=1e-5)
