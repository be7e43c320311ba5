"""Models of real shapes with random weights made on the device, rows of random tokens, and the rates of the machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config

from assent.core.group import Group
from assent.models import load
from assent.models.config import LoraConfig, ModelConfig
from assent.models.dropout import said_without_dropout
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel, draw_head
from assent.models.shape import DecoderShape, of_config
from assent.models.tiny import tiny_tokenizer


@dataclass(frozen=True)
class Size:
    """A model to check, and how it is trained."""

    name: str
    config: PretrainedConfig
    is_lora: bool

    @property
    def shape(self) -> DecoderShape:
        found = of_config(self.config.to_dict())
        assert found is not None
        return found


def sizes(*, tiny: bool) -> list[Size]:
    """Shapes of Qwen2.5 0.5B and 1.5B, trained whole, and of Llama 3 8B under LoRA; or two toys."""
    if tiny:
        small: dict[str, Any] = {"vocab_size": 320, "hidden_size": 48, "intermediate_size": 96}
        small |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        return [
            Size("tiny", Qwen2Config(**small, tie_word_embeddings=True), False),
            Size("tiny LoRA", LlamaConfig(**small), True),
        ]
    half = Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    more = Qwen2Config(
        vocab_size=151_936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    large = LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    return [Size("0.5B", half, False), Size("1.5B", more, False), Size("8B LoRA", large, True)]


def model_config(size: Size, device: torch.device) -> ModelConfig:
    """bfloat16 under LoRA on a GPU, float32 elsewhere."""
    if not size.is_lora:
        # float32 weights and bfloat16 products on a GPU, held to float32 by the check at load time.
        narrow = device.type == "cuda" and "products" in ModelConfig.model_fields
        return ModelConfig(**({"products": "bfloat16"} if narrow else {}))
    dtype = "bfloat16" if device.type == "cuda" else "float32"
    return ModelConfig(lora=LoraConfig(rank=16), dtype=dtype)


def new_policy(size: Size, device: torch.device) -> PolicyModel:
    """A trainable policy; its tokenizer knows 320 of the words, which is enough for random rows."""
    config, tokenizer = model_config(size, device), tiny_tokenizer()
    hf = _random(size, config, device)
    load.fit_vocabulary(hf, tokenizer, where=size.name)
    return PolicyModel(hf.eval(), tokenizer, config=config, trainable=True)


def new_scalar(size: Size, device: torch.device, *, trainable: bool) -> ScalarModel:
    """A reward or value model of the same shape."""
    config, tokenizer = model_config(size, device), tiny_tokenizer()
    hf = load.under_score(_random(size, config, device), config, where=size.name)
    load.fit_vocabulary(hf, tokenizer, where=size.name)
    draw_head(hf, seed=0)
    return ScalarModel(hf, tokenizer, config=config, trainable=trainable)


def random_groups(count: int, answers: int, prompt: int, answer: int, *, vocabulary: int, seed: int) -> list[Group]:
    """Groups of random tokens; answers of a group are between half and all of `answer` tokens long."""
    rng = np.random.default_rng(seed)
    words = min(vocabulary, 32_000)

    def row(length: int) -> np.ndarray:
        return rng.integers(10, words, length, dtype=np.int64)

    lengths = rng.integers(max(1, answer // 2), answer + 1, (count, answers))
    return [Group(row(prompt), tuple(row(int(n)) for n in some)) for some in lengths]


def settle(device: torch.device) -> None:
    """Wait until everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def product_rate(device: torch.device, *, seconds: float, size: int, dtype: torch.dtype) -> float:
    """Operations a second of square products of one type: the best of several blocks."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    left @ right
    settle(device)
    best, ends = 0.0, time.perf_counter() + seconds
    while best == 0.0 or time.perf_counter() < ends:
        start = time.perf_counter()
        for _ in range(4):
            left @ right
        settle(device)
        best = max(best, 4 * 2 * size**3 / (time.perf_counter() - start))
    return best


def read_rate(device: torch.device, *, seconds: float, num_bytes: int) -> float:
    """Bytes a second that a copy reads and writes: the best of several."""
    source = torch.ones(num_bytes // 4, device=device)
    target = torch.empty_like(source)
    best, ends = 0.0, time.perf_counter() + seconds
    while best == 0.0 or time.perf_counter() < ends:
        start = time.perf_counter()
        target.copy_(source)
        settle(device)
        best = max(best, 2 * num_bytes / (time.perf_counter() - start))
    return best


def _random(size: Size, config: ModelConfig, device: torch.device) -> Any:
    settings = size.config
    said_without_dropout(settings)
    with torch.device(device), torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(settings, dtype=getattr(torch, config.dtype)).eval()
