"""Prompts by disagreement against prompts in order, on the lab: `python benchmarks/choosing.py --seeds 0 1 2 3 4`.

For each seed the fine-tuned policy of `benchmarks/methods.py` (made where it is not there) answers prompts for three
rounds, simulated people rank them, and each round fits a reward model to all rankings so far; no method moves the
policy. `next` takes the prompts in order, `disagreement` as `sample.choose` does, of three times as many. Both spend
the same number of labels. Every reward model orders pairs of answers to held-out prompts, which are the same for both,
and the lab's truth says which order is right. Intervals are over seeds (Student's t of the paired difference).
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from assent.artifacts.stage import LogOptions, Runner
from assent.core import seeds
from assent.core.files import write_json
from assent.core.types import Prompt
from assent.lab.reward import truth
from assent.pipeline.backends import Backends, machine
from assent.pipeline.places import open_project
from assent.pipeline.rounds import run_all

CONFIG = Path("configs/demo.yaml")
ORDERS = ("next", "disagreement")
ANSWERS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--prompts", type=int, default=120, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the world of each seed is kept")
    parser.add_argument("--out", type=Path, default=Path("runs/choosing.json"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
    for seed in arguments.seeds:
        for order in ORDERS:
            if any((row["order"], row["seed"]) == (order, seed) for row in rows):
                continue
            rows += measure(order, seed, arguments)
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(arguments.out, rows)
    print_table(rows)


def measure(order: str, seed: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each round: the share of held-out pairs that its reward model orders rightly."""
    name = f"methods-{seed}"
    settings = (
        f"name={name}",
        f"seed={seed}",
        f"rounds={arguments.rounds}",
        f"compute.threads={arguments.threads}",
        f"store.url=sqlite:///{(arguments.runs / f'choosing-{order}-{seed}').resolve()}.db",
        f"sample.prompts={arguments.prompts}",
        f"sample.choose={order}",
        "optimize=null",
        "evaluate.best_of=2",  # an evaluation sets the held-out prompts aside, and is not what is measured here
        "evaluate.prompts=240",
    )
    config = open_project(CONFIG, (), settings).config
    with Runner(arguments.runs / name, seed=seed, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        result = run_all(run, config)
    lines = result.start.data["prompts"].file("eval.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [Prompt.model_validate_json(line) for line in lines]
    backends = Backends(config.model, config.compute)
    rows = []
    with machine(config.compute):
        policy = backends.policy(result.start.policy.file("policy"), trainable=False)
        sampling = config.sample.sampling
        drawn = backends.writer(policy, name="start").write(
            asked, num_samples=ANSWERS, sampling=sampling, seed=seeds.derive(seed, "held-out pairs")
        )
        texts = [list(dict.fromkeys(one.text for one in row)) for row in drawn]
        flat = [text for row in texts for text in row]
        prompts = [prompt for prompt, row in zip(asked, texts, strict=True) for _ in row]
        values = truth(prompts, flat)
        for number, one in enumerate(result.rounds, start=1):
            assert one.reward is not None and one.judgments is not None
            scores = backends.scorer(one.reward.file("reward"), normalize=True)(prompts, flat)
            row = {"order": order, "seed": seed, "round": number, "labels": one.judgments.notes["judgments"]}
            rows.append(row | {"right": right(texts, values, scores)})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def right(texts: list[list[str]], values: list[float], scores: list[float]) -> float:
    """Share of pairs of answers to one prompt, of different truth, that scores order as the truth does."""
    hits, start = [], 0
    for row in texts:
        for i, j in combinations(range(start, start + len(row)), 2):
            if values[i] != values[j]:
                hits.append((scores[i] > scores[j]) == (values[i] > values[j]))
        start += len(row)
    return float(np.mean(hits))


def print_table(rows: list[dict[str, Any]]) -> None:
    """A line a round: both orders, and their difference by seed."""
    print("| round | labels | next | disagreement | difference, over seeds |")
    print("|---|---|---|---|---|")
    for number in sorted({row["round"] for row in rows}):
        own = {(row["order"], row["seed"]): row for row in rows if row["round"] == number}
        both = sorted({s for o, s in own if o == "next"} & {s for o, s in own if o == "disagreement"})
        if not both:
            continue
        first, second = (np.array([own[order, s]["right"] for s in both]) for order in ORDERS)
        labels = np.mean([own[order, s]["labels"] for order in ORDERS for s in both])
        gap = second - first
        half = student.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else np.nan
        print(
            f"| {number} | {labels:.0f} | {first.mean():.3f} | {second.mean():.3f} | {gap.mean():+.3f} ± {half:.3f} |"
        )


if __name__ == "__main__":
    main()
