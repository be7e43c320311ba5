"""What two learners do where the memory of one of them ends, where it does not, and where products are rounded.

    python parallel_memory.py OUT

Writes OUT/rank.safetensors (by case: gradients, outputs) and OUT/rank.json (by case: halvings, metrics, errors).
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from assent.core.group import Group
from assent.learner import peers
from assent.learner.config import OptimizerConfig
from assent.learner.sharding import shard, whole
from assent.models.config import LoraConfig, ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.tiny import save_tiny
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.training.sft import next_token_loss

SIZES = ((5, 4, 6, 3), (4, 9), (2, 7), (6, 2, 2), (3, 8, 8), (2, 5, 5), (3, 6, 4))
"""Tokens of each prompt and of its answers. The first are the first pass, in which one process only keeps step."""
BUDGET = 30
"""The others are 13, 19, 22 and 22 tokens at once, of which each process has two, and one of 22."""
HOLDS = 20
"""Tokens at once for which there is memory."""


@dataclass
class Short:
    """A process whose memory ends in the first layer where more tokens are computed at once than it holds."""

    where: Literal["forward", "backward", "again"]
    """Forward, backward when part of the layer's gradient is there, or where the layer is computed a second time."""
    rank: int
    holds: int = HOLDS
    large: int = field(default=0)

    def __call__(self, module: Any, given: Any, output: Tensor) -> None:
        if output.numel() // output.shape[-1] <= self.holds or peers.rank() != self.rank:
            return
        self.large += 1
        if self.where == "backward" and output.requires_grad:
            output.register_hook(end)
        elif self.where == "forward" or self.large == 2:
            end()


def end(*gradient: Tensor) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@contextlib.contextmanager
def short(policy: PolicyModel, shortage: Short | None) -> Iterator[None]:
    if shortage is None:
        yield
        return
    handle = policy.core.model.layers[0].self_attn.o_proj.register_forward_hook(shortage)
    try:
        yield
    finally:
        handle.remove()


CASES: dict[str, Short | None] = {
    "enough": None,
    "forward on the first": Short("forward", 0),
    "forward on the second": Short("forward", 1),
    "backward on the first": Short("backward", 0),
    "backward on the second": Short("backward", 1),
    "again on the second": Short("again", 1),
}


def groups() -> list[Group]:
    rng = np.random.default_rng(5)
    return [Group(rng.integers(10, 300, p), tuple(rng.integers(10, 300, n) for n in rows)) for p, *rows in SIZES]


def learned(policy: PolicyModel, name: str, shortage: Short | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Two passes of one step: the gradient, what was said, and how it went."""
    config = OptimizerConfig(checkpointing="on" if shortage and shortage.where == "again" else "off")
    learner: Any = policy_learner(policy, config)
    weight = float(sum(sum(rows) for _, *rows in SIZES))
    found: dict[str, Tensor] = {}
    metrics = []
    with short(policy, shortage):
        for number, some in enumerate((groups()[:1], groups()[1:])):
            passed = learner.forward_backward(pack(some, budget=BUDGET), next_token_loss, weight=weight)
            metrics.append(passed.metrics)
            found |= {f"said {number} {n}": one.logps for n, one in enumerate(passed.outputs)}
    for key, parameter in learner.parameters.items():
        assert parameter.grad is not None
        found[f"gradient {key}"] = whole(parameter.grad)
    learner.drop_gradients()
    return found, {"halvings": learner.room.halvings, "most": learner.room.most, "metrics": metrics}


def scored(policy: PolicyModel, shortage: Short | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    scorer: Any = policy_scorer(policy)
    with short(policy, shortage):
        found = scorer.score(pack(groups()[1:], budget=BUDGET))
    return {f"said {n}": one.logps for n, one in enumerate(found)}, {"halvings": scorer._room.halvings}


def of_a_single_group(policy: PolicyModel) -> str:
    """What is raised where there is no room for one group."""
    learner: Any = policy_learner(policy, OptimizerConfig())
    try:
        with short(policy, Short("forward", 0, holds=10)):
            learner.forward_backward(pack(groups(), budget=BUDGET), next_token_loss, weight=1.0)
    except torch.OutOfMemoryError as error:
        return str(error)
    return "nothing"


ROUNDED = {
    "all weights": ModelConfig(products="bfloat16"),
    "adapters": ModelConfig(products="bfloat16", lora=LoraConfig(rank=4, alpha=8)),
}
"""Products in bfloat16 of float32 weights."""


def rounded(model: Path, name: str) -> dict[str, Tensor]:
    """The gradient of a step whose products are rounded, of this process alone or of those that it has joined."""
    torch.manual_seed(0)  # adapters are drawn from torch's own generator
    policy = PolicyModel.load(model, config=ROUNDED[name], trainable=True)
    if peers.is_joined():
        shard(policy.hf)
    learner: Any = policy_learner(policy, OptimizerConfig())
    learner.forward_backward(pack(groups(), budget=BUDGET), next_token_loss, weight=50.0)
    kinds = {type(one).__name__ for one in policy.hf.modules()}
    assert ("GatheredLinear" in kinds) == peers.is_joined() and ("NarrowLinear" in kinds) != peers.is_joined()
    return {key: whole(one.grad) for key, one in learner.parameters.items() if one.grad is not None}


def run(model: Path, out: Path, rank: int, alone: dict[str, dict[str, Tensor]]) -> None:
    policy = PolicyModel.load(model, config=ModelConfig(), trainable=True)
    tensors: dict[str, Tensor] = {}
    for name, gradients in alone.items():
        tensors |= {f"{name} alone/{key}": one.contiguous() for key, one in gradients.items()}
        tensors |= {f"{name} together/{key}": one.contiguous() for key, one in rounded(model, name).items()}
    said: dict[str, Any] = {}
    for name, shortage in CASES.items():
        found, said[name] = learned(policy, name, shortage)
        tensors |= {f"{name}/{key}": one.contiguous() for key, one in found.items()}
    for name, shortage in (("scores", None), ("scores of a short one", Short("forward", 1))):
        found, said[name] = scored(policy, shortage)
        tensors |= {f"{name}/{key}": one.contiguous() for key, one in found.items()}
    said["single group"] = of_a_single_group(policy)
    save_file(tensors, out / f"{rank}.safetensors")
    (out / f"{rank}.json").write_text(json.dumps(said), encoding="utf-8")


def process(rank: int, out: Path) -> None:
    torch.set_num_threads(1)
    alone = {name: rounded(out / "llama", name) for name in ROUNDED}
    peers.join("gloo", f"file://{out}/init", rank=rank, count=2)
    run(out / "llama", out, rank, alone)
    peers.leave()


def main() -> None:
    out = Path(sys.argv[1])
    save_tiny(out / "llama", "llama")
    # By fork, so that what takes long to load is loaded once.
    torch.multiprocessing.start_processes(process, args=(out,), nprocs=2, start_method="fork")


if __name__ == "__main__":
    main()
