"""Does the guard stop at the peak? `python benchmarks/goodhart.py --seeds 100 101` runs and judges seeded runs.

Every run starts from the fine-tuned policy of `configs/demo.yaml` (trained once, found if done). Its answers to some
prompts are ranked by simulated people of the seed; the judgments are split by raters and prompts into those of the
reward model that trains and those of the held-out one, and the policy is optimized without any KL until the first is
over-optimized. The guard sees the two reward models only. The lab's truth of the rollouts is logged with weight 0 and
only judges:

    truth(t)    mean truth of the training rollouts of steps t - 2 to t + 2, the policy as it was before each
    start       truth of the policy before the first step, on the guard's prompts and the first rollouts
    peak        the highest truth(t) of the run
    reached     (truth(chosen) - start) / (peak - start), success from 0.9 up

The same rule with the reward that trains in place of the held-out one is "stopping on the reward alone"; beside it
stand the checkpoint with the highest reward, and the last one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from assent.artifacts.stage import LogOptions, Runner
from assent.core.files import write_json
from assent.core.runlog import read_metrics
from assent.pipeline.places import open_project
from assent.pipeline.rounds import judgments_identity, prepare
from assent.pipeline.stages.collect import CollectStage, run_collect
from assent.pipeline.stages.fit_reward import RewardStage, run_fit_reward
from assent.pipeline.stages.optimize import OptimizeStage, run_optimize
from assent.pipeline.stages.sample import SampleStage, run_sample
from assent.training.gauge import Name, Point, read

CONFIG = Path("configs/demo.yaml")
TRUTH = "assent.lab.reward:truth"
CONFIDENCE = 0.95
WITHIN = 0.9
WORLD: dict[str, Any] = {
    "name": "goodhart",
    "base": {"shape": {"hidden": 96, "layers": 3, "heads": 4, "context": 192}},
    "data": {"kind": "lab", "corpus": 3000, "demonstrations": 5000, "prompts": 3000},
    "sample": {"prompts": 800},
    "evaluate": None,
    "compute": {"threads": 1},
}
"""The demo with a smaller model, fine-tuned less: it has much to learn, so that a peak stands out."""
RUN: dict[str, Any] = {
    "collect": {"overlap_share": 0.0},
    "reward": {"raters": {"kind": "none"}, "epochs": 3},
    "optimize": {
        "kind": "grpo",
        "steps": 40,
        "prompts_per_step": 24,
        "samples_per_prompt": 4,
        "epochs": 1,
        "minibatches": 1,
        "sampling": {"temperature": 1.0, "max_new_tokens": 40},
        "kl": {"kind": "off"},
        "optimizer": {"learning_rate": 0.001, "schedule": "constant", "warmup": 0.05, "tokens_per_microbatch": 8192},
        "rewards": [{"kind": "model"}, {"kind": "python", "target": TRUTH, "weight": 0.0}],
        "reward_clip": None,
        "guards": {
            "every": 2,
            "prompts": 64,
            "samples": 1,
            "gold": {"kind": "fitted", "share": 0.6},
            "then": "warn",
            "confidence": CONFIDENCE,
            "probes": False,
        },
    },
}
"""What follows from there, without any control of KL."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(20)))
    parser.add_argument("--set", action="append", default=[], dest="settings", help="e.g. optimize.steps=40")
    parser.add_argument("--out", type=Path, default=Path("runs/goodhart"))
    arguments = parser.parse_args()
    found = []
    for seed in arguments.seeds:
        path = arguments.out / f"seed-{seed}.json"
        if not path.exists():
            write_json(path, run_one(seed, tuple(arguments.settings)))
        found.append(judged(seed, json.loads(path.read_text(encoding="utf-8"))))
        print(json.dumps(found[-1]), flush=True)
    print_table(found)


def run_one(seed: int, settings: tuple[str, ...]) -> list[dict[str, Any]]:
    """The metrics of one run."""
    same = tuple(f"{name}={json.dumps(one)}" for name, one in WORLD.items())
    own = tuple(f"{name}={json.dumps(one)}" for name, one in RUN.items())
    url = f"sqlite:///{Path('runs').resolve()}/goodhart-{seed}.db"
    world = open_project(CONFIG, (), same)
    config = open_project(CONFIG, (), (*same, *own, f"seed={seed}", f"store.url={url}", *settings)).config
    assert config.reward is not None
    logs = LogOptions(quiet=True, tensorboard=False)
    with Runner(world.run_folder, seed=0, logs=logs) as run:
        start = prepare(run, world.config)
        policy, prompts = start.policy, start.data["prompts"]
        with run.within("round", 1):
            samples = run(run_sample, SampleStage.of(world.config, 1), policy=policy, prompts=prompts)
    train, held = (RewardStage.of(config, config.reward, is_gold=is_gold) for is_gold in (False, True))
    with Runner(Path("runs") / f"goodhart-{seed}", seed=seed, logs=logs) as run, run.within("goodhart"):
        extra = judgments_identity(config, samples, is_first=True)
        judgments = run(run_collect, CollectStage.of(config, 1, like=()), extra=extra, samples=samples)
        reward = run(run_fit_reward, train, extra=train.revised(), start=policy, judgments=judgments)
        with run.within("gold"):
            gold = run(run_fit_reward, held, extra=held.revised(), start=policy, judgments=judgments)
        done = run(run_optimize, OptimizeStage.of(config), start=policy, prompts=prompts, reward=reward, gold=gold)
    rows = read_metrics(done.folder)
    return [{name: one for name, one in row.items() if one == one} for row in rows]  # JSON knows no NaN


def judged(seed: int, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Where each rule would have stopped, and how much of the true gain its checkpoint has."""
    steps = [row for row in metrics if row["kind"] == "train"]
    measured = [row for row in metrics if row["kind"] == "guard"]
    truth = smooth([row[f"reward/{TRUTH}"] for row in steps])
    start = float(np.mean([row[f"reward/{TRUTH}"] for row in steps[:2]]))
    points = [Point(int(row["after"]), row["distance"], row["proxy"], row["gold"]) for row in measured]
    chosen = {
        "held-out reward": stopped(points, "gold"),
        "reward alone": stopped(points, "proxy"),
        "highest reward": max(points, key=lambda point: point.proxy).step,
        "last": len(steps) - 1,
    }
    peak = float(truth.max())
    reached = {name: (truth[min(at, len(truth) - 1)] - start) / (peak - start) for name, at in chosen.items()}
    return {
        "seed": seed,
        "start": round(start, 3),
        "peak": round(peak, 3),
        "peak_step": int(truth.argmax()),
        "end": round(float(truth[-1]), 3),
        "chosen": chosen,
        "alarm": alarm(points),
        "reached": {name: round(float(share), 3) for name, share in reached.items()},
    }


def stopped(points: list[Point], name: Name) -> int:
    """The checkpoint that the guard's rule returns with one of the two scores; the last where it never stops."""
    for number in range(2, len(points) + 1):
        reading = read(points[:number], name)
        if reading is not None and reading.past_peak >= CONFIDENCE:
            return points[reading.best].step
    return points[-1].step


def alarm(points: list[Point]) -> int | None:
    """The step at which the guard stops training; None where it does not."""
    for number in range(2, len(points) + 1):
        reading = read(points[:number])
        if reading is not None and reading.past_peak >= CONFIDENCE:
            return points[number - 1].step
    return None


def smooth(values: list[float], width: int = 5) -> np.ndarray:
    """Running mean over `width` steps, shorter at the ends."""
    half = width // 2
    return np.array([np.mean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def print_table(found: list[dict[str, Any]]) -> None:
    """How many runs each rule ends within a tenth of the peak."""
    print("| stopped by | runs within 10 % of the true peak | reached, mean | reached, worst |")
    print("|---|---|---|---|")
    for name in found[0]["reached"]:
        reached = [one["reached"][name] for one in found]
        good = sum(share >= WITHIN for share in reached)
        print(f"| {name} | {good} of {len(reached)} | {np.mean(reached):.2f} | {min(reached):.2f} |")


if __name__ == "__main__":
    main()
