"""Tokens per second of vLLM beside the local engine, and what handing weights over takes; in the environment with vLLM.

    .venv-vllm/bin/python benchmarks/vllm_engine.py                          # a random Llama of a million weights
    .venv-vllm/bin/python benchmarks/vllm_engine.py MODEL --rows 16 --new 32  # a folder of a model, or a hub id

Both engines draw the same number of tokens from the same prompts, in turns: local, vLLM, local, vLLM. Nothing ends an
answer but its length. The first call of each is not counted. Where others use the machine too, `--cpu-time` counts the
seconds that this process computed instead of those that passed; with OMP_NUM_THREADS=1 they disturb that least.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from assent.core import seeds
from assent.core.group import TokenIds
from assent.generation.config import Sampling
from assent.generation.engine import Engine
from assent.generation.local import LocalEngine
from assent.generation.vllm import VllmEngine
from assent.generation.vllm_config import VllmConfig
from assent.learner.config import OptimizerConfig
from assent.models.config import LoraConfig, ModelConfig, ScratchConfig
from assent.models.policy import PolicyModel
from assent.models.scratch import new_model
from assent.models.tiny import tiny_tokenizer
from assent.pipeline.learners import policy_learner

Timed = Callable[[Callable[[], object]], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="folder or hub id; left out: a random small Llama")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=32, help="tokens of each prompt")
    parser.add_argument("--new", type=int, default=64, help="tokens of each answer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--tensor-parallel", type=int, default=1, help="processes, or GPUs, that share vLLM's copy")
    parser.add_argument("--cpu-time", action="store_true")
    asked = parser.parse_args()
    clock = time.process_time if asked.cpu_time else time.perf_counter
    timed = partial(seconds_of, clock)
    with tempfile.TemporaryDirectory() as folder:
        where = asked.model or small_model(Path(folder))
        speed(where, asked, timed)
        handing_over(where, asked, timed, None)
        for adapters in ("auto", "merged"):
            handing_over(where, asked, timed, LoraConfig(rank=16, alpha=32), adapters)


def small_model(folder: Path) -> str:
    """A Llama of about a million weights, whose heads are as wide as vLLM wants them on a CPU."""
    tokenizer = tiny_tokenizer(vocab_size=320)
    shape = ScratchConfig(hidden=128, layers=4, heads=4, context=512)
    hf = new_model(tokenizer, shape, seed=0)
    PolicyModel(hf, tokenizer, config=ModelConfig(), trainable=False).save(folder)
    return str(folder)


def opened(where: str, lora: LoraConfig | None = None, *, trainable: bool = True) -> PolicyModel:
    policy = PolicyModel.load(where, config=ModelConfig(lora=lora), trainable=trainable)
    policy.eos_ids = (policy.core.config.vocab_size + 7,)  # nothing that could be drawn
    return policy


def settings_of(asked: argparse.Namespace) -> dict[str, object]:
    return {"dtype": asked.dtype, "context": asked.prompt + asked.new, "tensor_parallel": asked.tensor_parallel}


def speed(where: str, asked: argparse.Namespace, timed: Timed) -> None:
    """Tokens of answers per second, of both engines in turns."""
    policy = opened(where, trainable=False)
    generator = seeds.stream(0, "prompts")
    prompts = [generator.integers(3, policy.core.config.vocab_size, size=asked.prompt) for _ in range(asked.rows)]
    config = VllmConfig.model_validate(settings_of(asked))
    engines: dict[str, Engine] = {
        "local": LocalEngine(policy, max_live_rows=asked.rows),
        "vllm": VllmEngine(policy, config, max_live_rows=asked.rows),
    }
    sampling = Sampling(max_new_tokens=asked.new)
    took: dict[str, list[float]] = {name: [] for name in engines}
    for repeat in range(asked.repeats + 1):
        for name, engine in engines.items():
            seconds = timed(lambda engine=engine, repeat=repeat: draw(engine, prompts, sampling, repeat))
            if repeat:
                took[name].append(asked.rows * asked.new / seconds)
            else:
                print(f"{name}: the first call took {seconds:.1f} s", flush=True)
    for name, rates in took.items():
        print(f"{name}: {spread(rates)} tokens/s ({policy.num_parameters / 1e6:.1f}M, {asked.rows} rows)", flush=True)


def draw(engine: Engine, prompts: list[TokenIds], sampling: Sampling, seed: int) -> None:
    drawn = engine.generate(prompts, num_samples=1, sampling=sampling, seed=seed)
    assert all(len(one.tokens) == sampling.max_new_tokens for row in drawn for one in row)


def handing_over(
    where: str, asked: argparse.Namespace, timed: Timed, lora: LoraConfig | None, adapters: str = "auto"
) -> None:
    """Seconds from an optimizer step to an engine that samples from its weights."""
    policy = opened(where, lora)
    learner = policy_learner(policy, OptimizerConfig())
    settings = VllmConfig.model_validate({**settings_of(asked), "adapters": adapters})
    engine = VllmEngine(policy, settings, max_live_rows=asked.rows)
    first = timed(lambda: engine.load_weights(learner, version=0))
    again = [timed(lambda n=n: moved(policy, engine, learner, n)) for n in range(1, asked.repeats + 1)]
    what = "all weights" if lora is None else f"LoRA, {'adapter alone' if adapters == 'auto' else 'merged'}"
    print(
        f"hand-over, {what}: {spread([1000 * s for s in again])} ms; the first, with opening: {first:.1f} s", flush=True
    )


def moved(policy: PolicyModel, engine: VllmEngine, learner: object, version: int) -> None:
    with torch.no_grad():
        for parameter in policy.parameters().values():
            parameter.add_(1e-4)
    engine.load_weights(learner, version=version)  # type: ignore[arg-type]


def seconds_of(clock: Callable[[], float], do: Callable[[], object]) -> float:
    start = clock()
    do()
    return clock() - start


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.4g} ({np.min(values):.4g} to {np.max(values):.4g})"


if __name__ == "__main__":
    main()
