"""What `gpu_check` looks at beside training: the machine, parity, attention, decoding."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gpu_check_models import Size, new_policy, product_rate, random_groups, read_rate, settle

from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.generation.rows import ChosenRows
from assent.models import flops
from assent.models.attention import AttentionCall
from assent.models.attention_cuda import FlexPlan, works
from assent.models.config import ModelConfig
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.models.tiny import FAMILIES, tiny_model, tiny_tokenizer

Facts = dict[str, Any]


@dataclass
class Bench:
    """The device, how large everything is, and what earlier cells found out about it."""

    device: torch.device
    tiny: bool
    rates: Facts = field(default_factory=dict)
    """Measured: operations and bytes a second."""

    @property
    def prompt(self) -> int:
        return 16 if self.tiny else 256

    @property
    def answer(self) -> int:
        return 16 if self.tiny else 256

    @property
    def budget(self) -> int:
        """Real tokens of a micro-batch."""
        return 256 if self.tiny else 16_384

    @property
    def rows(self) -> int:
        """Answers in one optimizer step."""
        return 16 if self.tiny else 64

    def peak(self) -> int | None:
        """Most bytes in use on the GPU since `fresh`; None on a CPU."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None

    def held(self) -> int:
        """Bytes in use on the GPU now; 0 on a CPU."""
        return torch.cuda.memory_allocated(self.device) if self.device.type == "cuda" else 0

    def now(self) -> float:
        """Seconds on a clock, once all work is done."""
        settle(self.device)
        return time.perf_counter()

    def fresh(self) -> None:
        """Forget what earlier cells left in memory."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    @property
    def product_rate(self) -> float:
        """The measured rate of products in the type that is computed in: bfloat16 on a GPU, float32 elsewhere."""
        return float(self.rates["bf16" if self.device.type == "cuda" else "fp32"])

    def share(self, operations: float, seconds: float) -> float:
        """Of the measured rate of products."""
        return operations / seconds / self.product_rate


@dataclass(frozen=True)
class Cell:
    """One thing to look at, and the seconds that it may take on a GPU."""

    name: str
    seconds: float
    run: Callable[[Bench], Facts]


def machine(bench: Bench) -> Facts:
    """What the device is and what it does at best: products, bytes."""
    large, seconds = (256, 0.1) if bench.tiny else (8192, 1.5)
    num_bytes = 1 << (22 if bench.tiny else 30)
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        bench.rates[name] = product_rate(bench.device, seconds=seconds, size=large, dtype=dtype)
    bench.rates["bytes"] = read_rate(bench.device, seconds=seconds, num_bytes=num_bytes)
    is_gpu = bench.device.type == "cuda"
    name = torch.cuda.get_device_name(bench.device) if is_gpu else "CPU"
    memory = torch.cuda.get_device_properties(bench.device).total_memory if is_gpu else None
    return {"device": name, "memory": memory, "torch": torch.__version__, "cuda": torch.version.cuda, **bench.rates}


TIGHT, LOOSE = 2e-4, 8e-2
"""Largest difference of a log-probability, relative to the largest where that exceeds 1."""


def parity(bench: Bench) -> Facts:
    """Log-probabilities of group batches on the device against those in float32 on a CPU, by family of models."""
    families = ["llama", "qwen2"] if bench.tiny else list(FAMILIES)
    worst: Facts = {}
    for dtype, limit in (("float32", TIGHT), ("bfloat16", LOOSE)):
        for family in families:
            off = _off(bench, family, dtype)
            worst[f"{dtype} {family}"] = off
            if off > limit:
                raise AssertionError(f"{family} in {dtype} differs by {off:.2g} from the CPU (at most {limit:g})")
    return worst


def _off(bench: Bench, family: str, dtype: str) -> float:
    tokenizer = tiny_tokenizer()
    groups = random_groups(6, 3, 20, 30, vocabulary=len(tokenizer), seed=1)
    [batch] = pack(groups, budget=10**6)

    def logps(device: torch.device, kind: str) -> torch.Tensor:
        hf = tiny_model(family, tokenizer=tokenizer).to(device=device, dtype=getattr(torch, kind))
        policy = PolicyModel(hf, tokenizer, config=ModelConfig(dtype=kind), trainable=False)
        with torch.no_grad():
            return policy.logps(batch).logps.float().cpu()

    expected, found = logps(torch.device("cpu"), "float32"), logps(bench.device, dtype)
    return ((found - expected).abs().max() / expected.abs().max().clamp_min(1)).item()


def attention(bench: Bench) -> Facts:
    """One layer's attention of a batch of groups: FlexAttention beside the buckets, in numbers and in time."""
    heads, width = (4, 16) if bench.tiny else (32, 128)
    groups = random_groups(max(1, bench.rows // 8), 8, bench.prompt, bench.answer, vocabulary=1000, seed=4)
    [batch] = pack(groups, budget=10**9)
    is_gpu = bench.device.type == "cuda"
    positions, buckets = batch.positions.to(bench.device), batch.plan.to(bench.device)
    dtype = torch.bfloat16 if is_gpu else torch.float32
    tensors = [torch.randn(h, batch.num_tokens, width, device=bench.device).to(dtype) for h in (heads, 2, 2)]
    call = AttentionCall(0, *tensors, scaling=width**-0.5, sliding_window=None, softcap=None)
    flex = FlexPlan(batch.segments, positions, None, is_compiled=is_gpu)
    found: Facts = {"tokens": batch.num_tokens, "works": works(bench.device) if is_gpu else "not compiled on a CPU"}
    with torch.no_grad():
        said = {name: plan.attend(call) for name, plan in (("buckets", buckets), ("flex", flex))}
        off = (said["buckets"] - said["flex"]).abs().max().item()
        if off > (LOOSE if is_gpu else TIGHT):
            raise AssertionError(f"FlexAttention differs from the buckets by {off:.2g}")
        for name, plan in (("buckets", buckets), ("flex", flex)):
            found[f"{name}_ms"] = 1000 * timed(bench, lambda plan=plan: plan.attend(call), least=0.3)[0]
    return {**found, "difference": off}


def decode(bench: Bench, size: Size) -> Facts:
    """Sampling: tokens a second beside the floor of a decode step."""
    bench.fresh()
    policy = new_policy(size, bench.device)
    policy.eos_ids = ()  # nobody stops early
    rows, new = (8, 8) if bench.tiny else (256, 128)
    engine = LocalEngine(policy, max_live_rows=rows)
    prompts = [np.asarray(g.prompt) for g in random_groups(rows, 1, bench.prompt, 1, vocabulary=320, seed=3)]
    sampling = Sampling(max_new_tokens=new)
    engine.generate(prompts[:2], num_samples=1, sampling=Sampling(max_new_tokens=2), seed=0)
    settle(bench.device)
    start = time.perf_counter()
    answers = engine.generate(prompts, num_samples=1, sampling=sampling, seed=1)
    settle(bench.device)
    seconds = time.perf_counter() - start
    kind, plain = engine.rows.kind, float("nan")
    if kind == "captured":
        engine.rows = ChosenRows("lean", "")
        start = time.perf_counter()
        engine.generate(prompts, num_samples=1, sampling=Sampling(max_new_tokens=new // 4), seed=1)
        settle(bench.device)
        plain = rows * (new // 4) / (time.perf_counter() - start)
    tokens = sum(len(one.tokens) for row in answers for one in row)
    floor = flops.decode_step_floor(
        size.shape,
        rows=rows,
        context=bench.prompt + new / 2,
        product_rate=bench.product_rate,
        read_rate=bench.rates["bytes"],
        width=2 if policy.core.dtype == torch.bfloat16 else 4,
    )
    return {
        "tokens_per_second": tokens / seconds,
        "times_floor": seconds / (new * floor),
        "floor_tokens_per_second": rows / floor,
        "rows": kind,
        "tokens_per_second_not_captured": plain,
        "peak": bench.peak(),
    }


def timed(bench: Bench, step: Callable[[], Any], *, least: float = 6.0) -> tuple[float, int]:
    """Median seconds of a step after one to warm up, of at least three in `least` seconds, and how many these were."""
    step()
    settle(bench.device)
    times: list[float] = []
    ends = time.perf_counter() + (0.2 if bench.tiny else least)
    while len(times) < 3 or time.perf_counter() < ends:
        start = time.perf_counter()
        step()
        settle(bench.device)
        times.append(time.perf_counter() - start)
    return float(np.median(times)), len(times)
