"""Every method on the lab: truth gained, distance spent, seconds. `python benchmarks/methods.py --seeds 0 1 2`.

For each seed a policy is fine-tuned, its answers are ranked by simulated people and a reward model is fitted, all as
`configs/demo.yaml` says, once. From there every method moves the same policy: those that sample on the same number of
answers per step, those on judgments on the same ones. What is a matter of this small model (learning rate, steps,
length) is taken from the demo; what a method decides (KL, clip, averages) is its default, or what a variant says:
`--methods dpo dpo:labels=soft dpo:ranking=plackett_luce`. Then each policy and the start answer the same held-out
prompts, and the lab reads the truth of both; what the doctor says of the logs stands beside it. Every row is written
as soon as it is there, and a row that is there is not made again: a stopped run goes on, and slices may run one after
another into the same file.
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
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.logs import examine_logs
from assent.pipeline.places import open_project
from assent.pipeline.record import write_rounds
from assent.pipeline.rounds import prepare, run_round
from assent.pipeline.run import write_settings
from assent.training.config import methods

CONFIG = Path("configs/demo.yaml")
SHARED = ("steps", "epochs", "minibatches", "sampling", "optimizer")
"""Settings of the demo's PPO that every method takes over that samples."""
ANSWERS = 192
"""Rollouts of a step."""
JUDGED = {"epochs": 2, "batch_size": 16, "optimizer": {"learning_rate": 0.0003, "tokens_per_microbatch": 4096}}
"""Settings of every method that learns from judgments themselves."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(methods()), help="kind, or kind:key=value,key=value")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", help="of every method, e.g. kl.coefficient=0"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the world of each seed is kept")
    parser.add_argument("--out", type=Path, default=Path("runs/methods.json"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
    for seed in arguments.seeds:
        for method in arguments.methods:
            name = ",".join([method, *arguments.settings])
            if any((row["method"], row["seed"]) == (name, seed) for row in rows):
                continue
            rows.append({"method": name} | run_method(name, seed, arguments.runs, threads=arguments.threads))
            print(json.dumps(rows[-1]), flush=True)
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(arguments.out, rows)
    print_table(rows)


def run_method(method: str, seed: int, runs: Path, *, threads: int) -> dict[str, Any]:
    """One method from one start: what it gained and spent."""
    config = config_of(method, seed, runs, threads=threads)
    with Runner(runs / config.name, seed=seed, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        start = prepare(run, config)
        with run.within("round", 1):
            done = run_round(run, config, start, [])
        write_settings(run.root, config)
        write_rounds(run.root, run.steps)
    found = (one for one in examine_logs(runs / config.name) if one.level == "warning")
    warnings = [str(one) for one in found if not one.key.startswith("optimize")]  # those are of methods before
    assert done.evaluation is not None and done.judgments is not None
    labels = done.judgments.notes["judgments"]
    shown = measured(done.policy, done.evaluation, start.data["prompts"])
    return {"seed": seed, "labels": labels, **shown, "doctor": warnings}


def config_of(method: str, seed: int, runs: Path, *, threads: int = 1) -> RunConfig:
    """The run of a method, or of a variant of it such as "dpo:labels=soft", from the world of a seed."""
    kind, *said = method.replace(":", ",", 1).split(",")
    name = f"methods-{seed}"
    shared = (
        f"name={name}",
        f"seed={seed}",
        "rounds=1",
        f"compute.threads={threads}",
        f"store.url=sqlite:///{(runs / name).resolve()}.db",
    )
    chosen = (f"optimize={json.dumps(settings_of(kind))}", *(f"optimize.{one}" for one in said))
    return open_project(CONFIG, (), (*shared, *chosen)).config


def settings_of(kind: str) -> dict[str, Any]:
    """Of a method: those of this small model, and its own defaults."""
    method = methods()[kind]
    if method.model_fields.get("samples_per_prompt") is None:
        return {"kind": kind} | JUDGED
    demo = open_project(CONFIG, (), ()).config.model_dump(mode="json")["optimize"]
    own = {"kind": kind} | {name: demo[name] for name in SHARED}
    if kind == "ppo":
        own |= {name: demo[name] for name in ("kl", "critic_warmup", "value_optimizer")}
    samples = method.model_fields["samples_per_prompt"].default
    return own | {"samples_per_prompt": samples, "prompts_per_step": ANSWERS // samples}


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
    print("| method | truth gained | by seed | preferred to its start | KL, nats | seconds | labels | doctor warns |")
    print("|---|---|---|---|---|---|---|---|")
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        gains = np.array([row["truth_gain"] for row in own])
        spread = f" ± {gains.std(ddof=1):.2f}" if len(gains) > 1 else ""
        seeds = ", ".join(f"{row['truth_gain']:+.2f} ± {1.96 * row['truth_error']:.2f}" for row in own)
        names = ("win_rate", "kl", "seconds", "labels")
        win, kl, seconds, labels = (np.mean([row[name] for row in own]) for name in names)
        kind, *said = method.replace(":", ",", 1).split(",")
        title = ", ".join([methods()[kind].title, *said])
        gained = f"{gains.mean():+.2f}{spread}"
        warned = f"{sum(bool(row['doctor']) for row in own)} of {len(own)}"
        print(f"| {title} | {gained} | {seeds} | {win:.3f} | {kl:.1f} | {seconds:.0f} | {labels:.0f} | {warned} |")


if __name__ == "__main__":
    main()
