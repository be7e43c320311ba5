"""Models that several processes open together, and what they say, against those that one opens alone.

    python parallel_opening.py FOLDER

Writes FOLDER/rank.safetensors (by case: outputs) and FOLDER/rank.json (by case: elements that lay whole before models
were parted, and the largest number that lies here afterwards); and the same of one process in FOLDER/alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GPTNeoConfig, GraniteConfig

from assent.core.group import Group
from assent.learner import peers, sharding
from assent.learner.config import OptimizerConfig
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny, tiny_tokenizer
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.pipeline.learners import policy_learner, policy_scorer, row_scorer
from assent.training.sft import next_token_loss

LORA = ModelConfig(lora=LoraConfig(rank=4, alpha=8))
Opened = PolicyModel | ScalarModel


def cases(folder: Path) -> dict[str, Callable[[], Opened]]:
    """How each model is opened."""

    def known(model: ModelConfig, frozen: str) -> Backends:
        return Backends(model, ComputeConfig.model_validate({"threads": 1, "device": "cpu", "frozen": frozen}))

    plain, parted = known(ModelConfig(), "replicated"), known(ModelConfig(), "sharded")
    narrow = known(ModelConfig(products="bfloat16"), "replicated")
    llama, gpt2, granite, neo = (folder / name for name in ("llama", "gpt2", "granite", "neo"))
    return {
        "trained": lambda: plain.policy(llama, trainable=True),
        "trained, tied": lambda: plain.policy(gpt2, trainable=True),
        "trained, narrow": lambda: narrow.policy(llama, trainable=True),
        "only asked": lambda: parted.policy(llama, trainable=False),
        "adapters on parts": lambda: known(LORA, "sharded").policy(llama, trainable=True),
        "a new reward model": lambda: plain.new_reward_model(llama, seed=3, criteria=("clear",)),
        "a reward model": lambda: parted.reward_model(folder / "reward", trainable=True),
        "a head of our own": lambda: plain.new_reward_model(granite, seed=3),
        "layers with masks of their own": lambda: plain.policy(neo, trainable=True),
        "whole on all": lambda: plain.policy(llama, trainable=False),
    }


def save_others(folder: Path) -> None:
    """A model of which transformers has no form with a score head, and whose words have a matrix of their own.

    And one whose layers have numbers beside their weights.
    """
    tokenizer = tiny_tokenizer()
    ids = {"vocab_size": len(tokenizer), "max_position_embeddings": 128, "pad_token_id": 0}
    kinds: Any = [["global", "local"], 1]
    neo = GPTNeoConfig(**ids, hidden_size=32, num_layers=2, num_heads=4, attention_types=[kinds])
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    for name, config in (("granite", GraniteConfig(**shape, **ids, tie_word_embeddings=False)), ("neo", neo)):
        AutoModelForCausalLM.from_config(config).save_pretrained(str(folder / name))
        tokenizer.save_pretrained(str(folder / name))


def groups() -> list[Group]:
    rng = np.random.default_rng(5)
    return [Group(rng.integers(10, 300, p), tuple(rng.integers(10, 300, 4) for _ in range(2))) for p in (5, 3, 7)]


def said(model: Opened) -> dict[str, Tensor]:
    """What it says of all answers, and the gradient that it learns from where it is a policy that does."""
    batches = pack(groups(), budget=25)
    if isinstance(model, ScalarModel):
        return {str(n): one for n, one in enumerate(row_scorer(model).score(batches))}
    found = {str(n): one.logps for n, one in enumerate(policy_scorer(model).score(batches))}
    if model.parameters():
        learner: Any = policy_learner(model, OptimizerConfig())
        learner.forward_backward(batches, next_token_loss, weight=24.0)
        found |= {f"gradient {k}": sharding.whole(p.grad) for k, p in learner.parameters.items() if p.grad is not None}
    return found


def elements(hf: nn.Module) -> int:
    """Numbers of a model that are in this process."""
    local = [
        one.to_local() if hasattr(one, "to_local") else one for one in {id(p): p for p in hf.parameters()}.values()
    ]
    return sum(one.numel() for one in local if not one.is_meta)


def opened(folder: Path, out: Path, rank: int) -> None:
    """Open all models, and write what came of it."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, dict[str, int]] = {}
    shard = sharding.shard
    before: list[int] = []

    def watched(hf: Any, **how: Any) -> None:
        before.append(elements(hf))
        shard(hf, **how)

    sharding.shard = watched
    for name, open_one in cases(folder).items():
        before.clear()
        model = open_one()
        facts[name] = {
            "before": sum(before),
            "here": elements(model.hf),
            "all": sum(p.numel() for p in model.hf.parameters()),
        }
        tensors |= {f"{name}/{key}": value.contiguous() for key, value in said(model).items()}
    save_file(tensors, out / f"{rank}.safetensors")
    (out / f"{rank}.json").write_text(json.dumps(facts), encoding="utf-8")


def joined(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    peers.join("gloo", f"file://{folder}/init", rank=rank, count=2)
    opened(folder, folder, rank)
    peers.leave()


def main() -> None:
    folder = Path(sys.argv[1])
    for family in ("llama", "gpt2"):
        save_tiny(folder / family, family)
    save_others(folder)
    ScalarModel.from_policy(folder / "llama", config=ModelConfig(), seed=1).save(folder / "reward")
    (folder / "alone").mkdir()
    opened(folder, folder / "alone", 0)
    # By fork, so that what takes long to load is loaded once.
    torch.multiprocessing.start_processes(joined, args=(folder,), nprocs=2, start_method="fork")


if __name__ == "__main__":
    main()
