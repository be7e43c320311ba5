"""Tiny policies that vLLM can compute on a CPU."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from assent.core import seeds
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
CONTEXT = 96


def tiny_llama(seed: int = 0) -> PreTrainedModel:
    """A random Llama of a head width that vLLM computes on a CPU."""
    config = LlamaConfig(
        vocab_size=len(TOKENIZER),
        pad_token_id=TOKENIZER.pad_token_id,
        bos_token_id=TOKENIZER.bos_token_id,
        eos_token_id=TOKENIZER.eos_token_id,
        hidden_size=64,
        head_dim=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        initializer_range=0.15,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(seed, "vllm"))
        return AutoModelForCausalLM.from_config(config).eval()


def make_policy(
    seed: int = 0, *, lora: LoraConfig | None = None, eos_ids: tuple[int, ...] | None = None
) -> PolicyModel:
    """A trainable policy with random weights; its adapter, if any, is random too and so does something."""
    policy = PolicyModel(tiny_llama(seed), TOKENIZER, config=ModelConfig(lora=lora), trainable=True)
    if eos_ids is not None:
        policy.eos_ids = eos_ids
    if lora is not None:
        shake(policy, seed)
    return policy


def shake(policy: PolicyModel, seed: int) -> None:
    """Give an adapter weights that matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters().values():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
