"""Small random models of every proven architecture, for tests and demonstrations that must be quick.

Weights are drawn wide on purpose: with the usual 0.02 a tiny model hardly attends to anything, and a wrong mask would
not show in its numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from assent.core import seeds
from assent.models.byte_pairs import train_tokenizer

CONTEXT = 256
"""Longest row of the tiny models."""

_GQA = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.15,
}
_GEMMA = _GQA | {
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention"],
}

FAMILIES: dict[str, tuple[type[PretrainedConfig], dict[str, Any]]] = {
    "llama": (LlamaConfig, _GQA),
    "qwen2": (Qwen2Config, _GQA),
    "qwen3": (Qwen3Config, _GQA | {"head_dim": 16}),
    "mistral": (MistralConfig, _GQA | {"sliding_window": 8}),
    "gemma2": (Gemma2Config, _GEMMA | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}),
    "gemma3": (Gemma3TextConfig, _GEMMA),
    "gpt2": (GPT2Config, {"n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT, "initializer_range": 0.15}),
    "gpt_neox": (
        GPTNeoXConfig,
        {
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": CONTEXT,
            "initializer_range": 0.15,
        },
    ),
}
"""Architectures by name. Windows are shorter than the rows of the tests; soft caps are low enough to bend."""

_TEXTS = (
    "The parcel has not arrived yet and I would like my money back, please.",
    "I am sorry that your order is late. I have sent you a refund today.",
    "How do I change my password? Open the settings, choose security, then follow the link.",
    "We cannot share the data of another customer. Is there anything else I can help with?",
)


def tiny_tokenizer(vocab_size: int = 320) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of a few sentences."""
    # transformers reads any tokenizer beside a Qwen 2 model as Qwen's, and that one wants <|endoftext|>.
    return train_tokenizer(_TEXTS, vocab_size=vocab_size, special_tokens=["<|endoftext|>"], context=CONTEXT)


def tiny_model(family: str, *, seed: int = 0, tokenizer: PreTrainedTokenizerFast | None = None) -> PreTrainedModel:
    """A causal language model of one of FAMILIES with random weights from the seed."""
    tokenizer = tokenizer or tiny_tokenizer()
    kind, settings = FAMILIES[family]
    config = kind(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(seed, "tiny", family))
        return AutoModelForCausalLM.from_config(config).eval()


def save_tiny(folder: Path, family: str, *, seed: int = 0) -> Path:
    """Write a tiny model and its tokenizer as a Hugging Face folder."""
    tokenizer = tiny_tokenizer()
    tiny_model(family, seed=seed, tokenizer=tokenizer).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder
