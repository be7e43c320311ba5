"""A small model from nothing but a tokenizer and a seed."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assent.core import seeds
from assent.models.config import ScratchConfig


def new_model(tokenizer: PreTrainedTokenizerFast, shape: ScratchConfig, *, seed: int) -> LlamaForCausalLM:
    """A decoder with random weights from the seed; torch's global generator is left as it was."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.ffn_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads or shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tie_embeddings,
        # Small init (Nguyen & Salazar 2019, section 2.2). The usual 0.02 is for wide models: a narrow one that starts
        # with it is so flat that it hardly learns to attend, and does not come to copy words within a short run.
        initializer_range=(2 / (5 * shape.hidden)) ** 0.5,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(seed, "new model"))
        return LlamaForCausalLM(config).eval()
