"""The best of n as a way to answer, on the lab: `python benchmarks/best_of_n.py --seeds 0 1 2`.

For each seed the world of `benchmarks/methods.py` (its fine-tuned policy, its reward model from simulated people; made
where it is not there). The policy draws the most answers to each held-out prompt once; the best of n is that of the
first n, by the reward model. The lab reads the truth of what is given, and of the first answer. Nothing is trained, so
the distance is known: at most log n - (n - 1)/n nats. Intervals are over prompts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from assent.algorithms.kl import best_of_n_kl
from assent.artifacts.stage import LogOptions, Runner
from assent.core import seeds
from assent.core.files import write_json
from assent.core.types import Prompt
from assent.generation.best_of import best_rows
from assent.lab.reward import truth
from assent.pipeline.backends import Backends, machine
from assent.pipeline.places import open_project
from assent.pipeline.rounds import prepare, run_round

CONFIG = Path("configs/demo.yaml")
SIZES = (1, 2, 4, 8, 16, 32)
JUDGED = 8
"""The best of so many is compared blind with one answer, by the simulated people of the demo."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the world of each seed is kept")
    parser.add_argument("--out", type=Path, default=Path("runs/best-of-n.json"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in arguments.seeds:
        rows += measure(seed, arguments.runs, prompts=arguments.prompts, threads=arguments.threads)
        write_json(arguments.out, rows)
    print("| best of | truth gained over one answer, by seed | mean | nats at most |")
    print("|---|---|---|---|")
    for n in SIZES[1:]:
        own = [row for row in rows if row["n"] == n]
        gains = np.array([row["gain"] for row in own])
        by_seed = ", ".join(f"{row['gain']:+.2f} ± {1.96 * row['error']:.2f}" for row in own)
        spread = f" ± {gains.std(ddof=1):.2f}" if len(gains) > 1 else ""
        print(f"| {n} | {by_seed} | {gains.mean():+.2f}{spread} | {best_of_n_kl(n):.2f} |")


def measure(seed: int, runs: Path, *, prompts: int, threads: int) -> list[dict[str, Any]]:
    """One row for each n."""
    name = f"methods-{seed}"
    store = f"store.url=sqlite:///{(runs / name).resolve()}.db"
    shared = (f"name={name}", f"seed={seed}", "rounds=1", f"compute.threads={threads}", store)
    config = open_project(CONFIG, (), (*shared, "optimize=null", f"evaluate.best_of={JUDGED}")).config
    with Runner(runs / name, seed=seed, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        start = prepare(run, config)
        with run.within("round", 1):
            done = run_round(run, config, start, [])
    assert done.reward is not None and done.evaluation is not None
    wins = done.evaluation.notes["win_rate"]
    print(f"seed {seed}: the best of {JUDGED} preferred to one answer in {wins['estimate']:.3f}", wins, flush=True)
    lines = start.data["prompts"].file("eval.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [Prompt.model_validate_json(line) for line in lines][:prompts]
    sampling = open_project(CONFIG, (), ()).config.evaluate.sampling  # type: ignore[union-attr]
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        policy = backends.policy(start.policy.file("policy"), trainable=False)
        score = backends.scorer(done.reward.file("reward"), normalize=True)
        drawn = backends.writer(policy, name="start").write(
            asked, num_samples=SIZES[-1], sampling=sampling, seed=seeds.derive(seed, "best of n")
        )
        first = np.array(truth(asked, [row[0].text for row in drawn]))
        rows = []
        for n in SIZES:
            given = best_rows(asked, [row[:n] for row in drawn], score)
            gain = np.array(truth(asked, [one.text for one in given])) - first
            error = (gain.std(ddof=1) / np.sqrt(len(gain))).item()
            rows.append(
                {"seed": seed, "n": n, "gain": gain.mean().item(), "error": error, "start": first.mean().item()}
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    main()
