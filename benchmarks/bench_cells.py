"""What `bench` times, as data: one cell is one stage on one shape, with the same work on both sides."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One comparison. `rows` are demonstrations, pairs, or rows of rollouts of all steps together."""

    name: str
    title: str
    stage: str
    shape: str
    rows: int
    batch: int
    """Rows, pairs or rollouts of one optimizer step or batch of rollouts."""
    target: float | None = None
    """TRL's best time divided by ours that the project wants."""
    lora: int = 0
    """Rank of adapters; 0: all weights are trained."""
    samples: int = 1
    """Answers to one prompt."""
    answers: int = 2
    """Ranked answers of one comparison."""
    new_tokens: int = 64
    epochs: int = 4
    """Passes of PPO over a batch."""
    lengths: str = "natural"
    """natural; equal: all rows cut or chosen to one length; double: rows of twice the tokens; prompts: long prompts;
    fixed: nobody ends while sampling."""
    learning_rate: float = 1e-4
    ours: dict[str, Any] = field(default_factory=dict)
    """Further settings of our side: `model` (ModelConfig), `optimizer`, `shared_base`."""
    growth: str | None = None
    """The name of the cell that this one has grown from."""
    both: bool = True
    """Whether the other program can do the same."""
    note: str = ""

    @property
    def updates(self) -> int:
        """Optimizer steps, or batches of rollouts where the stage samples."""
        return -(-self.rows // self.batch)

    @property
    def is_online(self) -> bool:
        return self.stage in ("grpo", "rloo", "ppo")

    @property
    def mark(self) -> str:
        """Of everything in it that changes a time: what was measured of another cell of the name is not used."""
        facts = {name: value for name, value in asdict(self).items() if name not in ("title", "target", "note")}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def quick(self) -> Cell:
        """The same in so few rows that it takes a second."""
        facts = asdict(self) | {"rows": 4 if self.is_online else 8, "batch": 4, "new_tokens": 4, "shape": "tiny"}
        facts |= {"samples": min(self.samples, 2), "epochs": min(self.epochs, 2), "lora": min(self.lora, 4)}
        return Cell(**facts)


def _cells() -> list[Cell]:
    small: dict[str, Any] = {"shape": "5m", "batch": 16}
    drawn: dict[str, Any] = {"shape": "5m", "batch": 64, "rows": 256, "samples": 8}
    large: dict[str, Any] = {"shape": "135m", "batch": 8, "rows": 16}
    slow: dict[str, Any] = {**large, "learning_rate": 1e-5}
    lora: dict[str, Any] = {"shape": "135m", "lora": 16, "new_tokens": 32}
    group: dict[str, Any] = {**lora, "rows": 64, "batch": 32, "samples": 8}
    asked: dict[str, Any] = {"rows": 64, "batch": 64, "samples": 4}
    base: dict[str, Any] = {"lora": 16, "ours": {"shared_base": "always"}, "target": 12, "note": ONE_BASE}
    grown: dict[str, Any] = {**small, "growth": "grow-5m"}
    wider: dict[str, Any] = {"rows": 128, "batch": 64, "samples": 8, "new_tokens": 32, "growth": "grow-k2-5m"}
    return [
        Cell("sft-5m", "SFT, all weights", "sft", rows=256, target=5, **small),
        Cell("sft-equal-5m", "SFT, rows of one length", "sft", rows=256, lengths="equal", **small),
        Cell("rm-5m", "reward model, all weights", "reward", rows=256, target=4, **small),
        Cell("dpo-5m", "DPO, all weights", "dpo", rows=128, target=8, **small),
        Cell("grpo-5m", "GRPO, K = 8", "grpo", target=8, **drawn),
        Cell("rloo-5m", "RLOO, K = 8", "rloo", target=8, **drawn),
        Cell("ppo-5m", "PPO, separate value model, E = 4", "ppo", rows=64, target=4, **small),
        Cell("ppo-one-base-5m", "PPO, four roles on one base, LoRA 16", "ppo", rows=64, **small, **base),
        Cell("sample-5m", "sampling, 64 rows", "sample", target=5, lengths="fixed", shape="5m", **asked),
        Cell("sample-ends-5m", "sampling, 64 rows that end by themselves", "sample", shape="5m", **asked),
        Cell("sft-135m", "SFT, all weights", "sft", target=4, **slow),
        Cell("sft-equal-135m", "SFT, rows of one length", "sft", lengths="equal", **slow),
        Cell("rm-135m", "reward model, all weights", "reward", target=6, **slow),
        Cell("rm-lora-135m", "reward model, LoRA 16", "reward", target=6, lora=16, **large),
        Cell("dpo-lora-135m", "DPO, LoRA 16", "dpo", target=8, lora=16, **large),
        Cell("grpo-lora-135m", "GRPO, K = 8, LoRA 16", "grpo", target=8, **group),
        Cell("rloo-lora-135m", "RLOO, K = 8, LoRA 16", "rloo", target=8, **group),
        Cell("ppo-135m", "PPO, separate value model, E = 4", "ppo", target=5, new_tokens=32, **slow),
        Cell("ppo-one-base-135m", "PPO, four roles on one base, LoRA 16", "ppo", new_tokens=32, **large, **base),
        Cell("sample-135m", "sampling, 64 rows", "sample", target=8, lengths="fixed", shape="135m", **asked),
        Cell("grow-5m", "reward model, 64 pairs", "reward", rows=64, **small),
        Cell("grow-tokens-5m", "the same, twice the pairs", "reward", rows=128, **grown),
        Cell("grow-prompts-5m", "the same, prompts four times as long", "reward", rows=64, lengths="prompts", **grown),
        Cell("grow-k-5m", "the same, K = 8 answers", "reward", rows=64, answers=8, both=False, note=PAIRS, **grown),
        Cell("grow-k2-5m", "GRPO, 16 prompts, K = 2", "grpo", rows=32, samples=2, new_tokens=32, **small),
        Cell("grow-k8-5m", "the same, K = 8", "grpo", shape="5m", **wider),
    ]


ONE_BASE = "another algorithm: policy, start, reward and value model are adapters on one base; TRL holds copies"
PAIRS = "TRL's reward model takes pairs only"
CELLS = {cell.name: cell for cell in _cells()}


@dataclass(frozen=True)
class Variant:
    """One way to set the other program for the same update."""

    accumulate: int = 1
    bf16: bool = False
    packing: bool = False
    precompute: bool = False

    @property
    def title(self) -> str:
        said = [f"accumulation {self.accumulate}"]
        said += [name for name in ("bf16", "packing", "precompute") if getattr(self, name)]
        return ", ".join(said)


ACCUMULATE = (8, 4, 2, 1)
"""Small micro-batches first: they take the least memory."""


def further(cell: Cell, best: Variant) -> list[Variant]:
    """What is tried once the best micro-batch is known."""
    found = [Variant(best.accumulate, bf16=True)]
    if cell.stage == "sft":
        found.append(Variant(best.accumulate, packing=True))
    if cell.stage == "dpo":
        found.append(Variant(best.accumulate, precompute=True))
    return found
