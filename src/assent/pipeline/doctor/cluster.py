"""Plans on paper for a cluster: two models that people ask about, and the run of a config, from its settings alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, assert_never

from assent.cluster.estimate import H100, SIZES, Job, Machine, Size, fastest, lines
from assent.pipeline.config import PretrainedBase, RunConfig, ScratchBase
from assent.pipeline.places import open_project
from assent.training.on_policy_config import OnPolicyConfig

_LARGE = 4
"""GPUs that an engine of a model wants which one GPU does not hold."""
_NOTE = (
    "on paper: every number follows from the cost model and the rates above, and none was measured; it assumes that"
    " products are in bf16, and that fp32 weights are gathered beside them (docs/how-to/cluster.md)"
)


def plan(path: Path, overlays: tuple[Path, ...], settings: tuple[str, ...], machine: Machine = H100) -> Iterator[str]:
    """8B on 8 and 70B on 64 GPUs, then the run of the config where there is one. Raises ConfigError for a wrong one."""
    yield machine.line()
    yield _NOTE
    for size, gpus, wide in ((SIZES[0], 8, 1), (SIZES[1], 64, 1), (SIZES[1], 64, _LARGE)):
        for has_critic, is_lora in ((True, False), (False, False), (True, True)):
            yield ""
            yield from _spread(Job(size, 1, 1, has_critic, is_lora, gpus_per_engine=wide), gpus, machine)
    if path.is_file():
        yield ""
        yield from _own(open_project(path, overlays, settings).config, machine)


def job_of(config: RunConfig, size: Size) -> Job | None:
    """A step of the run's method over its processes; None where the method does not sample."""
    method, compute = config.optimize, config.compute
    if not isinstance(method, OnPolicyConfig):
        return None
    longest = method.sampling.max_new_tokens
    return Job(
        size,
        compute.learners,
        compute.engines,
        has_critic=method.of_value_model is not None,
        is_lora=config.model.lora is not None,
        prompts=method.prompts_per_step,
        samples=method.samples_per_prompt,
        prompt_tokens=longest,
        answer_tokens=longest,
        epochs=method.epochs,
        microbatch=method.optimizer.tokens_per_microbatch,
        frozen=compute.frozen,
        gpus_per_engine=compute.gpus_per_engine,
        is_ahead=compute.staleness > 0,
    )


def size_of(config: RunConfig) -> Size | None:
    """The size of the run's base by its settings or its folder's config.json; None where it has to be fetched first."""
    match config.base:
        case ScratchBase() as base:
            shape = base.shape
            facts: Mapping[str, Any] = {
                "num_hidden_layers": shape.layers,
                "hidden_size": shape.hidden,
                "num_attention_heads": shape.heads,
                "num_key_value_heads": shape.kv_heads or shape.heads,
                "intermediate_size": shape.ffn_width,
                "vocab_size": base.vocab_size,
                "tie_word_embeddings": shape.tie_embeddings,
            }
            return size_by(facts, name="the base")
        case PretrainedBase() as base:
            file = Path(base.path) / "config.json"
            return size_by(json.loads(file.read_text(encoding="utf-8")), name=base.path) if file.is_file() else None
        case _ as never:
            assert_never(never)


def size_by(facts: Mapping[str, Any], *, name: str) -> Size | None:
    """By a config.json; None where it does not name its sizes as most families do.

    A layer has two matrices of attention as wide as the model, two of keys and values, three of its feed-forward part.
    """
    try:
        layers, width, heads = (int(facts[key]) for key in ("num_hidden_layers", "hidden_size", "num_attention_heads"))
        kv_width = int(facts.get("num_key_value_heads") or heads) * int(facts.get("head_dim") or width // heads)
        layer = 2 * width * width + 2 * width * kv_width + 3 * width * int(facts["intermediate_size"])
        ends = float(facts["vocab_size"]) * width * (1 if facts.get("tie_word_embeddings") else 2)
        return Size(name, layers * layer + ends, layers, width, kv_width, ends)
    except (KeyError, TypeError, ValueError):
        return None


def _own(config: RunConfig, machine: Machine) -> Iterator[str]:
    size = size_of(config)
    if size is None:
        yield f"{config.name}: the size of its base is not known here; give base.path a folder that is on this disk"
        return
    if config.method.shares_trunk:
        yield f"{config.name}: optimize.value is shared_trunk, which one process computes; set it to own_model"
        return
    job = job_of(config, size)
    if job is None:
        yield f"{config.name}: {config.method.title} draws no answers; this plan is about methods that do"
        return
    yield f"{config.name}, with prompts as long as its longest answer:"
    yield from lines(job, machine)


def _spread(job: Job, gpus: int, machine: Machine) -> Iterator[str]:
    """A job over so many GPUs as is fastest, or why it does not fit."""
    yield f"{job.size.name} on {gpus} {machine.name}"
    best = fastest(job, gpus, machine)
    half = replace(job, learners=gpus // 2, engines=gpus // 2 // job.gpus_per_engine, is_checkpointed=True)
    yield from lines(best or half, machine)
