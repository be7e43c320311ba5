"""Small random policies of each family."""

from __future__ import annotations

from assent.models import tiny
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel

TOKENIZER = tiny.tiny_tokenizer()
VOCABULARY = len(TOKENIZER)


def make_policy(
    family: str, *, mode: str = "groups", eos_ids: tuple[int, ...] = (), seed: int = 0, lora: bool = False
) -> PolicyModel:
    """A policy with random weights that stops at `eos_ids`."""
    hf = tiny.tiny_model(family, seed=seed, tokenizer=TOKENIZER)
    config = ModelConfig(attention=mode, lora=LoraConfig(rank=4) if lora else None)
    policy = PolicyModel(hf, TOKENIZER, config=config, trainable=lora)
    policy.eos_ids = eos_ids
    return policy
