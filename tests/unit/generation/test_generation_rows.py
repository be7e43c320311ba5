"""Recurrent, hybrid and odd models sample rightly too: with their own state where that can be, else from whole rows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny_policies import TOKENIZER, VOCABULARY, make_policy
from transformers import (
    AutoModelForCausalLM,
    DiffLlamaConfig,
    JambaConfig,
    MambaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3_5TextConfig,
    RwkvConfig,
)

from assent.core.group import TokenIds
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.generation.rows import choose_rows
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import FAMILIES

IDS = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.15}
SMALL = IDS | {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
HYBRID = {"head_dim": 8, "num_key_value_heads": 2, "layer_types": ["linear_attention", "full_attention"]}
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
ODD: dict[str, tuple[PretrainedConfig, str, str]] = {
    "mamba": (MambaConfig(**IDS, hidden_size=32, num_hidden_layers=2, state_size=8), "padded", "stateful"),
    "qwen3.5": (Qwen3_5TextConfig(**SMALL, **HYBRID, **LINEAR), "padded", "stateful"),
    "jamba": (
        JambaConfig(**SMALL, num_key_value_heads=2, attn_layer_period=2, attn_layer_offset=1, num_experts=2),
        "padded",
        "stateful",
    ),
    "rwkv": (RwkvConfig(**IDS, hidden_size=32, num_hidden_layers=2, context_length=128), "padded", "uncached"),
    "diffllama": (DiffLlamaConfig(**SMALL, num_key_value_heads=2), "groups", "uncached"),
}
"""By name: a config, how it is trained, how it is sampled."""


def plain_of(config: PretrainedConfig) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(copy.deepcopy(config)).eval()


def policy_of(config: PretrainedConfig) -> PolicyModel:
    policy = PolicyModel(plain_of(config), TOKENIZER, config=ModelConfig(), trainable=False)
    policy.eos_ids = tuple(range(5, VOCABULARY, 20))  # answers end at different lengths
    return policy


@torch.no_grad()
def plain_logps(plain: PreTrainedModel, row: TokenIds) -> torch.Tensor:
    """Log-probabilities [T, V] of all words after each token of one row."""
    return plain(torch.from_numpy(row)[None], use_cache=False).logits[0].log_softmax(-1)


def prompts_of(*lengths: int) -> list[TokenIds]:
    random = np.random.default_rng(4)
    return [random.integers(5, VOCABULARY, size=length) for length in lengths]


@pytest.mark.parametrize("name", ODD)
def test_sampled_and_greedy_answers_are_those_of_whole_rows(name: str) -> None:
    config, mode, kind = ODD[name]
    policy = policy_of(config)
    engine = LocalEngine(policy, max_live_rows=4)
    assert (policy.mode, engine.rows.kind) == (mode, kind)
    assert engine.rows.reason
    prompts = prompts_of(17, 3, 17, 30)
    drawn = engine.generate(prompts, num_samples=2, sampling=Sampling(max_new_tokens=9), seed=0)
    plain = plain_of(config)
    lengths = set()
    for prompt, answers in zip(prompts, drawn, strict=True):
        for answer in answers:
            logps = plain_logps(plain, np.concatenate([prompt, answer.tokens]))[len(prompt) - 1 : -1]
            expected = logps.gather(-1, torch.from_numpy(answer.tokens)[:, None])[:, 0]
            np.testing.assert_allclose(answer.logps, expected, atol=2e-4)
            lengths.add(len(answer.tokens))
    assert len(lengths) > 1
    greedy = engine.generate(prompts, num_samples=1, sampling=Sampling(temperature=0.0, max_new_tokens=5), seed=0)
    for prompt, [answer] in zip(prompts, greedy, strict=True):
        for place, token in enumerate(answer.tokens):
            assert token == plain_logps(plain, np.concatenate([prompt, answer.tokens[:place]]))[-1].argmax()


@pytest.mark.parametrize("name", ["qwen3.5", "diffllama"])
def test_answers_do_not_depend_on_how_many_live_together(name: str) -> None:
    policy = policy_of(ODD[name][0])
    prompts = prompts_of(17, 3, 17, 30)
    sampling = Sampling(max_new_tokens=7)
    one, many = (
        LocalEngine(policy, max_live_rows=rows).generate(prompts, num_samples=2, sampling=sampling, seed=3)
        for rows in (1, 8)
    )
    for few, more in zip(one, many, strict=True):
        for a, b in zip(few, more, strict=True):
            np.testing.assert_array_equal(a.tokens, b.tokens)


@pytest.mark.parametrize("mode", ["groups", "padded"])
@pytest.mark.parametrize("family", FAMILIES)
def test_proven_families_keep_the_fast_way(family: str, mode: str) -> None:
    chosen = choose_rows(make_policy(family, mode=mode))
    unpadded = "flat" if family in ("gpt2", "gpt_neox") else "lean"
    assert (chosen.kind, chosen.reason) == (unpadded if mode == "groups" else "padded", "")
