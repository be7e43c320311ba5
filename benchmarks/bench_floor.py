"""The floor of a cell: its floating-point operations at the rate that products were measured at, in the same run.

`python benchmarks/bench_floor.py JOB.json` measures the machine: products of float32 and of bfloat16 numbers at the
sizes of a shape's layers and head, for a training batch and for a decode step of 64 rows, and copies of memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROWS = {"train": 1024, "decode": 64}
SECONDS, COPIED = 0.5, 128 * 2**20


def main() -> None:
    import torch

    job = json.loads(Path(sys.argv[1]).read_text())
    spent = 0.01 if job["cell"]["shape"] == "tiny" else SECONDS
    torch.set_num_threads(job["threads"])
    shape = Shape.of(json.loads((Path(job["folder"]) / "model" / "config.json").read_text()))
    rates: dict[str, Any] = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        for what, rows in ROWS.items():
            for part, outer in (("", shape.wide), (" head", shape.vocabulary)):
                left, right = torch.randn(rows, shape.hidden).to(dtype), torch.randn(outer, shape.hidden).to(dtype)
                taken = _seconds(partial(torch.nn.functional.linear, left, right), spent)
                rates[f"{name} {what}{part}"] = 2 * rows * shape.hidden * outer / taken
    here, there = torch.ones(COPIED // 4), torch.empty(COPIED // 4)
    rates["copy"] = 2 * COPIED / _seconds(lambda: there.copy_(here), spent)
    Path(job["out"]).write_text(json.dumps({"seconds": 0.0, "rates": rates}))


def _seconds(work: Callable[[], object], spent: float) -> float:
    """Median seconds of one call, after two that are not counted."""
    for _ in range(2):
        work()
    times, end = [], time.perf_counter() + spent
    while time.perf_counter() < end or len(times) < 5:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


@dataclass(frozen=True)
class Shape:
    """What of a decoder's shape decides its operations."""

    layers: int
    hidden: int
    wide: int
    heads: int
    kv_width: int
    vocabulary: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Of a Llama's config.json."""
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        kv_width = (config.get("num_key_value_heads") or heads) * (hidden // heads)
        wide, layers = config["intermediate_size"], config["num_hidden_layers"]
        return cls(layers, hidden, wide, heads, kv_width, config["vocab_size"])

    @property
    def body(self) -> float:
        """Weights of the layers' matrices."""
        each = 2 * self.hidden * self.hidden + 2 * self.hidden * self.kv_width + 3 * self.hidden * self.wide
        return float(self.layers * each)

    @property
    def head(self) -> float:
        """Weights of the matrix that gives logits."""
        return float(self.hidden * self.vocabulary)


def operations(cell: Mapping[str, Any], shape: Shape, tokens: Mapping[str, float]) -> float:
    """Least operations of a cell's work, attention left out: 2 for each weight and token forward, twice that backward.

    Under LoRA the backward pass needs no gradient of frozen weights; the adapters' own products are left out. A prompt
    counts once for all its answers. Sampling: every prompt token once, every answer token through layers and head.
    """
    body, head, real, scored = shape.body, shape.head, tokens["real"], tokens["scored"]
    passes = 2 if cell["lora"] else 3
    forward, learned = 2 * (body * real + head * scored), 2 * passes * (body * real + head * scored)
    match cell["stage"]:
        case "sft":
            return learned
        case "reward":
            return 2 * passes * body * real
        case "dpo":
            return learned + forward
        case "sample":
            return forward
        case "grpo" | "rloo":
            return forward + forward + learned  # sampled; under the start; learned: old log-probs come with the sample
        case "ppo":
            alone = 2 * body * real
            # Sampled; under the start; rewarded; valued; and each epoch policy and value model.
            return 2 * forward + 2 * alone + cell["epochs"] * (learned + 2 * passes * body * real)
    raise ValueError(f"no cost model for stage {cell['stage']}")


def floor_seconds(
    cell: Mapping[str, Any], shape: Shape, tokens: Mapping[str, float], rates: Mapping[str, float]
) -> float:
    """Seconds at the measured float32 rates: a decode step at those of 64 rows, everything else at those of 1024."""
    if cell["stage"] != "sample":
        if cell["stage"] not in ("grpo", "rloo", "ppo"):
            return operations(cell, shape, tokens) / rates["fp32 train"]
        drawn = operations({**cell, "stage": "sample"}, shape, {"real": tokens["new"], "scored": tokens["new"]})
        rest = operations(cell, shape, tokens) - drawn
        return drawn / rates["fp32 decode"] + rest / rates["fp32 train"]
    new = tokens["new"]
    prompts = 2 * shape.body * (tokens["real"] - new)
    layers, head = 2 * shape.body * new, 2 * shape.head * new
    return prompts / rates["fp32 train"] + layers / rates["fp32 decode"] + head / rates["fp32 decode head"]


if __name__ == "__main__":
    main()
