"""A tiny policy learns to write functions that pass their tests. `python benchmarks/code_rl.py --seeds 0 1 2`.

Prompts ask for one-line functions of a small grammar ("Write mix(p, q): p plus q, then times 4"). A model from random
weights is fine-tuned on answers of which most are wrong: another operation, swapped arguments, a wrong number, another
name, or no Python. Then RLOO or GRPO moves it with nothing but `kind: code`: the tests run in the sandbox. Held-out
prompts ask for computations (operations and numbers) of which training never saw one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assent.artifacts.jsonl import read_records
from assent.artifacts.layout import RUNS
from assent.artifacts.stage import LogOptions, Runner
from assent.artifacts.store import Artifact
from assent.checks.code.scoring import Parts
from assent.core import seeds
from assent.core.files import write_json
from assent.core.runlog import read_metrics
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.pipeline.backends import Backends, machine
from assent.pipeline.config import RunConfig
from assent.pipeline.places import open_project
from assent.pipeline.rounds import prepare
from assent.pipeline.stages.declared import run_optimize
from assent.pipeline.stages.settings import OptimizeStage
from assent.stats.independent import wilson
from assent.training.code_reward import CodeRewardConfig

NAMES = ("mix", "calc", "blend", "join", "step", "form", "rate", "cost", "gain", "shift")
LETTERS = "abcdefghkmnpqrstuvwxyz"
SIGNS = {"plus": "+", "minus": "-", "times": "*"}
ARGUMENTS = ((2, 5), (7, 3), (-4, 6), (9, -8))
"""What every function is tested on; they tell all computations of the grammar apart."""
WRONG = 0.85
"""Share of the demonstrations that are spoiled."""
OPTIMIZER = {"schedule": "linear", "warmup": 0.05, "tokens_per_microbatch": 4096}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--method", choices=["rloo", "grpo"], default="rloo")
    parser.add_argument("--demonstrations", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--prompts", type=int, default=12, help="of a step, eight answers each")
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("runs/code-rl"))
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        rows.append(run(seed, arguments))
        print(json.dumps(rows[-1]), flush=True)
    write_json(arguments.out / f"{arguments.method}.json", rows)
    print_table(rows)


def run(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One policy, before and after."""
    folder = arguments.out / f"{arguments.method}-{seed}"
    write_project(folder, seed, arguments)
    project = open_project(folder / "assent.yaml", (), ())
    config = project.config
    with Runner(project.run_folder, home=RUNS, seed=seed, logs=LogOptions(quiet=True, tensorboard=False)) as runner:
        start = prepare(runner, config)
        stage = OptimizeStage.of(config)
        policy = runner(run_optimize, stage, start=start.policy, prompts=start.data["prompts"])
        held_out = read_records(start.data["prompts"].file("eval.jsonl"), Prompt)
        before, after = (examined(one, held_out, config, seed) for one in (start.policy, policy))
    steps = read_metrics(policy.folder)
    rewards = [float(np.mean([step["reward"] for step in part])) for part in (steps[:3], steps[-3:])]
    return {"seed": seed, "before": before, "after": after, "seconds": policy.manifest.seconds, "rewards": rewards}


def examined(policy: Artifact, prompts: list[Prompt], config: RunConfig, seed: int) -> dict[str, float]:
    """What one answer to each held-out prompt is worth."""
    with machine(config.compute):
        backends = Backends(config.model, config.compute)
        writer = backends.writer(backends.policy(policy.file("policy"), trainable=False), name="policy")
        sampling = Sampling(temperature=1.0, max_new_tokens=40)
        rows = writer.write(prompts, num_samples=1, sampling=sampling, seed=seeds.derive(seed, "held out"))
    parts: list[Parts] = CodeRewardConfig().open().examine(prompts, [row[0].text for row in rows])
    return {
        "prompts": len(parts),
        "parses": float(np.mean([one.parses for one in parts])),
        "share": float(np.mean([one.passes for one in parts])),
        "passing": float(np.sum([one.passes == 1 for one in parts])),
    }


def write_project(folder: Path, seed: int, arguments: argparse.Namespace) -> None:
    """Files of data and a YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = seeds.stream(seed, "code-rl")
    computations = [tuple(one) for one in rng.permutation(np.array(list(all_computations()), dtype=object))]
    kept = computations[: len(computations) // 5]
    seen = computations[len(computations) // 5 :]
    tasks = [task(seen, rng) for _ in range(arguments.demonstrations)]
    demonstrations = [{"prompt": one["prompt"], "response": spoiled(one["answer"], rng)} for one in tasks]
    asked = [task(seen, rng) for _ in range(arguments.steps * arguments.prompts)]
    held_out = list({one["prompt"]: one for one in (task(kept, rng) for _ in range(2 * arguments.held_out))}.values())
    for name, rows in (
        ("demonstrations", demonstrations),
        ("prompts", [{"prompt": one["prompt"], "tests": one["tests"]} for one in asked]),
        ("held-out", [{"prompt": one["prompt"], "tests": one["tests"]} for one in held_out[: arguments.held_out]]),
    ):
        text = "".join(json.dumps(row) + "\n" for row in {row["prompt"]: row for row in rows}.values())
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    write_json(folder / "assent.yaml", settings(seed, arguments))  # JSON is YAML


def settings(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """The run."""
    learned = {"learning_rate": 0.004, "weight_decay": 0.01, "beta2": 0.98, **OPTIMIZER}
    passes = {"epochs": 1, "batch_size": 16, "eval_share": 0.02, "patience": None, "optimizer": learned}
    files = {
        part: [{"path": f"{name}.jsonl"}]
        for part, name in (
            ("demonstrations", "demonstrations"),
            ("prompts", "prompts"),
            ("eval_prompts", "held-out"),
        )
    }
    return {
        "name": "code-rl",
        "seed": seed,
        "base": {
            "kind": "scratch",
            "vocab_size": 384,
            "shape": {"hidden": 96, "layers": 3, "heads": 4, "context": 96},
            "pretrain": passes,
        },
        "data": {"kind": "files", **files},
        "sft": passes,
        "reward": None,
        "optimize": {
            "kind": arguments.method,
            "steps": arguments.steps,
            "prompts_per_step": arguments.prompts,
            "samples_per_prompt": 8,
            "sampling": {"temperature": 1.0, "max_new_tokens": 40},
            "rewards": [{"kind": "code"}],
            "optimizer": {"learning_rate": 0.001, **OPTIMIZER},
        },
        "evaluate": None,
        "compute": {"threads": 1},
    }


def all_computations() -> Iterator[tuple[str, str, str, int]]:
    """First operation, its second operand ("y" or a digit), second operation or "", its number."""
    for first in SIGNS:
        for operand in ("y", *map(str, range(2, 10))):
            yield first, operand, "", 0
            for second in SIGNS:
                for number in range(2, 10):
                    yield first, operand, second, number


def task(computations: list[Any], rng: np.random.Generator) -> dict[str, Any]:
    """A prompt, its right answer and its tests."""
    first, operand, second, number = computations[rng.integers(len(computations))]
    name = NAMES[rng.integers(len(NAMES))]
    x, y = (LETTERS[i] for i in rng.choice(len(LETTERS), 2, replace=False))
    other = y if operand == "y" else operand
    words, code = f"{x} {first} {other}", f"{x} {SIGNS[first]} {other}"
    if second:
        words, code = f"{words}, then {second} {number}", f"({code}) {SIGNS[second]} {number}"
    tests = [
        {"call": f"{name}{arguments}", "value": eval(code, {x: arguments[0], y: arguments[1]})}
        for arguments in ARGUMENTS
    ]
    answer = f"def {name}({x}, {y}): return {code}"
    return {"prompt": f"Write {name}({x}, {y}): {words}", "answer": answer, "tests": tests}


def spoiled(answer: str, rng: np.random.Generator) -> str:
    """The answer, or in most cases one with a fault."""
    if rng.random() >= WRONG:
        return answer
    head, _, body = answer.partition(": return ")
    kind = rng.integers(5)
    if kind == 0:
        sign = next(one for one in body if one in "+-*")
        return f"{head}: return {body.replace(sign, '+-*'[('+-*'.index(sign) + 1) % 3], 1)}"
    if kind == 1:
        name, _, arguments = head.partition("(")
        first, second = arguments.rstrip(")").split(", ")
        return f"{name}({second}, {first}): return {body}"
    if kind == 2:
        return f"{head}: return {body} + {rng.integers(2, 10)}"
    if kind == 3:
        return f"def {NAMES[rng.integers(len(NAMES))]}x{head[head.index('(') :]}: return {body}"
    return f"{head} return {body}" if rng.random() < 0.5 else f"{head}: return ({body}"


def print_table(rows: list[dict[str, Any]]) -> None:
    """Share of held-out prompts whose tests all pass, per seed and in all."""
    print("| seed | before | after | parses before, after | seconds |\n|---|---|---|---|---|")
    for row in rows:
        found = [_share(row[side]["passing"], row[side]["prompts"]) for side in ("before", "after")]
        parses = f"{row['before']['parses']:.1%}, {row['after']['parses']:.1%}"
        print(f"| {row['seed']} | {found[0]} | {found[1]} | {parses} | {row['seconds']:.0f} |")
    if len(rows) > 1:
        gains = np.array(
            [(row["after"]["passing"] - row["before"]["passing"]) / row["before"]["prompts"] for row in rows]
        )
        print(f"gain, mean over seeds: {gains.mean():+.3f}, from {gains.min():+.3f} to {gains.max():+.3f}")


def _share(number: float, n: float) -> str:
    found = wilson(number, n)
    return f"{found.estimate:.1%} [{found.low:.1%}, {found.high:.1%}]"


if __name__ == "__main__":
    main()
