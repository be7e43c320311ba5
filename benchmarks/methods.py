"""Every method on the lab: truth gained, distance spent, seconds. `python benchmarks/methods.py --seeds 0 1 2`.

For each seed a policy is fine-tuned, its answers are ranked by simulated people and a reward model is fitted, all as
`configs/demo.yaml` says, once. From there every method moves the same policy: the on-policy ones on the same number of
answers per step, DPO on the same rankings. What is a matter of this small model (learning rate, steps, length) is taken
from the demo; what a method decides (KL, clip, averages) is its default. Then each policy and the start answer the same
held-out prompts, and the lab reads the truth of both.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from assent.artifacts.stage import LogOptions, Runner
from assent.artifacts.store import Artifact
from assent.core.files import write_json
from assent.core.types import Prompt
from assent.lab.reward import truth
from assent.pipeline.places import open_project
from assent.pipeline.rounds import prepare, run_round
from assent.training.config import methods

CONFIG = Path("configs/demo.yaml")
SHARED = ("steps", "epochs", "minibatches", "sampling", "optimizer")
"""Settings of the demo's PPO that every on-policy method takes over."""
ANSWERS = 192
"""Rollouts of a step."""
DPO = {"epochs": 2, "batch_size": 16, "optimizer": {"learning_rate": 0.0003, "tokens_per_microbatch": 4096}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=[kind for kind in methods() if kind != "dpo"] + ["dpo"])
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", help="of the method, e.g. kl.coefficient=0"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/methods.json"))
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        for kind in arguments.methods:
            rows.append(run_method(kind, seed, tuple(arguments.settings), threads=arguments.threads))
            print(json.dumps(rows[-1]), flush=True)
    write_json(arguments.out, rows)
    print_table(rows)


def run_method(kind: str, seed: int, settings: tuple[str, ...], *, threads: int) -> dict[str, Any]:
    """One method from one start: what it gained and spent."""
    demo = open_project(CONFIG, (), ()).config.model_dump(mode="json")["optimize"]
    own = {name: demo[name] for name in SHARED} if kind != "dpo" else DPO
    own = {"kind": kind} | own
    if kind == "ppo":
        own |= {name: demo[name] for name in ("kl", "critic_warmup", "value_optimizer")}
    if kind != "dpo":
        samples = methods()[kind].model_fields["samples_per_prompt"].default
        own |= {"samples_per_prompt": samples, "prompts_per_step": ANSWERS // samples}
    name = f"methods-{seed}"
    shared = (
        f"name={name}",
        f"seed={seed}",
        "rounds=1",
        f"compute.threads={threads}",
        f"store.url=sqlite:///runs/{name}.db",
    )
    chosen = (f"optimize={json.dumps(own)}", *(f"optimize.{one}" for one in settings))
    config = open_project(CONFIG, (), (*shared, *chosen)).config
    with Runner(Path("runs") / name, seed=seed, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        start = prepare(run, config)
        with run.within("round", 1):
            done = run_round(run, config, start, [])
    return {"method": kind, "seed": seed, **measured(done.policy, done.evaluation, start.data["prompts"])}


def measured(policy: Artifact, evaluation: Artifact, prompts: Artifact) -> dict[str, Any]:
    """Numbers of one policy against its start."""
    asked = {p.text: p for p in map(Prompt.model_validate_json, prompts.file("eval.jsonl").read_text().splitlines())}
    samples = [json.loads(line) for line in evaluation.file("samples.jsonl").read_text().splitlines()]
    before, after = (
        np.array(truth([asked[s["prompt"]] for s in samples], [s[side] for s in samples]))
        for side in ("before", "after")
    )
    notes = evaluation.notes
    return {
        "truth_before": before.mean().item(),
        "truth_gain": (after - before).mean().item(),
        "truth_error": ((after - before).std(ddof=1) / np.sqrt(len(samples))).item(),
        "win_rate": notes["win_rate"]["estimate"],
        "kl": notes["kl_per_response"]["estimate"],
        "seconds": policy.manifest.seconds,
        "helpful": notes["truth"]["after"]["helpful"],
        "harmless": notes["truth"]["after"]["harmless"],
        "length": notes["truth"]["after"]["mean_length"],
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """One line a method: mean over seeds, and each seed's gain with the half-width of its interval."""
    print(
        "| method | truth gained | by seed | preferred to its start | KL, nats | seconds |\n|---|---|---|---|---|---|"
    )
    for kind in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == kind]
        gains = np.array([row["truth_gain"] for row in own])
        spread = f" ± {gains.std(ddof=1):.2f}" if len(gains) > 1 else ""
        seeds = ", ".join(f"{row['truth_gain']:+.2f} ± {1.96 * row['truth_error']:.2f}" for row in own)
        win, kl, seconds = (np.mean([row[name] for row in own]) for name in ("win_rate", "kl", "seconds"))
        gained = f"{gains.mean():+.2f}{spread}"
        print(f"| {methods()[kind].title} | {gained} | {seeds} | {win:.3f} | {kl:.1f} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
