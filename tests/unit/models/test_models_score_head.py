"""Decoders without a sequence classifier in transformers get a score head of our own, which survives saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CTRLConfig,
    GraniteConfig,
    MambaConfig,
    ModernBertDecoderConfig,
    PretrainedConfig,
    XGLMConfig,
)

from assent.core.errors import ModelError
from assent.models import score_head
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel
from assent.models.probe import long_groups
from assent.models.scalar import ScalarModel
from assent.models.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
IDS = {"vocab_size": len(TOKENIZER), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4} | IDS
HEADLESS: dict[str, PretrainedConfig] = {
    "granite": GraniteConfig(**SMALL, max_position_embeddings=128, tie_word_embeddings=False),
    "mamba": MambaConfig(**IDS, hidden_size=32, num_hidden_layers=2, state_size=8),
    "xglm": XGLMConfig(**IDS, d_model=32, ffn_dim=64, num_layers=2, attention_heads=4),
    "modernbert": ModernBertDecoderConfig(**SMALL, max_position_embeddings=128, local_attention=24),
    "ctrl": CTRLConfig(**IDS, n_embd=32, dff=64, n_layer=2, n_head=4, n_positions=128),
}


def saved(folder: Path, config: PretrainedConfig) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(str(folder))
    TOKENIZER.save_pretrained(str(folder))
    return folder


def opened(folder: Path, **settings: Any) -> ScalarModel:
    return ScalarModel.load(folder, config=ModelConfig(**settings), trainable=False)


@pytest.mark.parametrize("name", HEADLESS)
def test_a_trained_score_head_is_the_same_after_saving(name: str, tmp_path: Path) -> None:
    model = ScalarModel.from_policy(saved(tmp_path / "policy", HEADLESS[name]), config=ModelConfig(), seed=1)
    batch = long_groups(model.core, context=100)
    model.at_last(batch).square().sum().backward()
    with torch.no_grad():
        for parameter in model.parameters().values():
            assert parameter.grad is not None
            parameter -= 0.1 * parameter.grad
        model.score_mean, model.score_std = 0.25, 2.0
        expected = model.at_last(batch)
        model.save(tmp_path / "reward")
        again = opened(tmp_path / "reward")
        torch.testing.assert_close(again.at_last(batch), expected, atol=1e-5, rtol=1e-5)
    assert (again.score_mean, again.score_std) == (0.25, 2.0)
    # The score of a row is its last state, as the language model's own head reads it, times the saved weight.
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "reward")
    weight = again.core.score.weight
    with torch.no_grad():
        for row, score in zip(batch.listed(), expected, strict=True):
            state = plain.base_model(torch.tensor([row["tokens"]]), use_cache=False).last_hidden_state[0, -1]
            torch.testing.assert_close((weight @ state)[0], score, atol=1e-4, rtol=1e-4)


def test_an_adapter_brings_its_head(tmp_path: Path) -> None:
    policy = saved(tmp_path / "policy", HEADLESS["granite"])
    model = ScalarModel.from_policy(policy, config=ModelConfig(lora=LoraConfig(rank=2)), seed=1)
    batch = long_groups(model.core, context=100)
    with torch.no_grad():
        for parameter in model.parameters().values():
            parameter += 0.02
        expected = model.at_last(batch)
        model.save(tmp_path / "adapter")
        model.save(tmp_path / "merged", merged=True)
        for folder in ("adapter", "merged"):
            torch.testing.assert_close(opened(tmp_path / folder).at_last(batch), expected, atol=1e-5, rtol=1e-5)


def test_it_is_no_policy_and_a_lost_head_is_named(tmp_path: Path) -> None:
    policy = saved(tmp_path / "policy", HEADLESS["granite"])
    ScalarModel.from_policy(policy, config=ModelConfig(), seed=1).save(tmp_path / "reward")
    with pytest.raises(ModelError, match="holds a reward model"):
        PolicyModel.load(tmp_path / "reward", config=ModelConfig(), trainable=False)
    with pytest.raises(ModelError, match="not a decoder with a score"):
        opened(policy)
    (tmp_path / "reward" / score_head.FILE).unlink()
    with pytest.raises(ModelError, match="score_head.safetensors cannot be read"):
        opened(tmp_path / "reward")
