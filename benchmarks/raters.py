"""Do raters in the loss pay? `python benchmarks/raters.py` prints the tables of docs/results.md, "Raters in the loss".

Pools of simulated people rank answers of the lab: honest ones; with careless and inverted ones; with a minority of
another taste. For each pool and seed the same rankings train two reward models from the same start, one with all raters
alike and one with the raters in the loss. Both are held against what is true of the lab, without noise, and against
honest people who gave no training label. What was measured is kept in runs/bench-lab/raters.jsonl and not done again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lab_answers import LabAnswers, known_utility

from assent.core import seeds
from assent.core.config import overlay
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Task
from assent.learner.checkpoint import Cadence
from assent.learner.scorer import score_groups
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import row_scorer, state_scorer, train_reward_model
from assent.raters.config import SimulatedConfig
from assent.raters.crowd import crowd
from assent.raters.panel import Panel
from assent.raters.simulated import SimulatedRater
from assent.stats.clustered import clustered_mean
from assent.stats.estimate import Estimate
from assent.training.config import RewardConfig
from assent.training.loop import Loop
from assent.training.rater_fit import RaterFit
from assent.training.reward import taste_scores
from assent.training.targets import target_of

KEPT = Path("runs/bench-lab/raters.jsonl")
HONEST = SimulatedConfig(number=40, sharpness=3.0, careless_share=0.0)
POOLS = {
    "honest": HONEST,
    "15 % careless, 5 % inverted": HONEST.model_copy(update={"careless_share": 0.15, "inverted_share": 0.05}),
    "20 % careless, 15 % inverted": HONEST.model_copy(update={"careless_share": 0.20, "inverted_share": 0.15}),
    "20 % of taste “plain”, 10 % careless": HONEST.model_copy(
        update={"groups": {"neutral": 0.8, "plain": 0.2}, "careless_share": 0.10}
    ),
    "20 % of taste “warm”, 10 % careless": HONEST.model_copy(
        update={"groups": {"neutral": 0.8, "warm": 0.2}, "careless_share": 0.10}
    ),
}
HELD_OUT = 240
"""Prompts, with nine answers each, on which models are compared."""
METHODS: dict[str, dict[str, Any]] = {"alike": {"kind": "none"}, "joint": {"kind": "joint"}}
OPTIMIZER = {"learning_rate": 1e-3, "warmup": 0.1, "weight_decay": 0.01, "tokens_per_microbatch": 4096}
REWARD = {"epochs": 2, "batch_size": 16, "optimizer": OPTIMIZER}


@dataclass(frozen=True)
class Setting:
    """What is measured; two of the same setting give the same numbers."""

    pool: str
    method: str
    seed: int
    rankings: int
    k: int
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        return json.dumps([self.pool, self.method, self.seed, self.rankings, self.k, *self.settings])

    @property
    def reward(self) -> RewardConfig:
        """The config of the method, with changes of the command line laid over it."""
        changes: dict[str, Any] = {}
        for change in self.settings:
            key, value = change.split("=", 1)
            for part in reversed(key.split(".")):
                value = {part: value if isinstance(value, dict) else json.loads(value)}
            changes = overlay(changes, value)
        if self.method == "alike":
            changes.pop("raters", None)
        return RewardConfig.parse(overlay(overlay(REWARD, {"raters": METHODS[self.method]}), changes), where="raters")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="settings were chosen on 100 and above")
    parser.add_argument("--pools", nargs="*", default=list(POOLS), choices=list(POOLS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--rankings", type=int, default=500)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--set", action="append", default=[], dest="settings", help="reward.… setting, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lab = LabAnswers.open(pool=2400, held_out=400)
    known = {row["name"]: row for row in _read(KEPT)}
    for pool in arguments.pools:
        rows = []
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            for method in arguments.methods:
                wanted = Setting(pool, method, seed, arguments.rankings, arguments.k, tuple(sorted(arguments.settings)))
                if wanted.name not in known:
                    known[wanted.name] = measure(lab, wanted)
                    with KEPT.open("a") as stream:
                        stream.write(json.dumps(known[wanted.name]) + "\n")
                rows.append(known[wanted.name])
        print_pool(pool, rows)


def measure(lab: LabAnswers, setting: Setting) -> dict[str, Any]:
    """Train one reward model on one pool's rankings, and hold it against the truth."""
    config = POOLS[setting.pool]
    people = crowd(config, known_utility, role="train", seed=setting.seed)
    tasks = ranked_tasks(lab, setting)
    comparisons = [
        Comparison(prompt=t.prompt, completions=t.completions, judgments=(j,))
        for t, j in zip(tasks, people.judge(tasks), strict=True)
    ]
    model = lab.backends.new_reward_model(lab.policy, seed=seed_of(setting))
    renderer = lab.backends.renderer(model)
    groups = [renderer.group(c.prompt, [a.text for a in c.completions]) for c in comparisons]
    attributes = {m.record.id: m.record.attributes for m in people.members}
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        log = RunLog(Path(folder), quiet=True, tensorboard=False)
        loop = Loop(Path(folder), log, seed_of(setting), Cadence(1e9))
        targets = [target_of(c) for c in comparisons]
        fit = train_reward_model(model, groups, targets, setting.reward, loop, attributes=attributes).raters
    seconds = time.process_time() - start
    found = {"name": setting.name, "method": setting.method, "seed": setting.seed, "seconds": round(seconds, 1)}
    found |= held_out(lab, model, config, fit, setting.seed)
    return found if fit is None else found | sharpness(fit, people)


def seed_of(setting: Setting) -> int:
    """Head and order of the batches: the same for both methods."""
    return seeds.derive(setting.seed, "bench raters")


def ranked_tasks(lab: LabAnswers, setting: Setting) -> list[Task]:
    """K of the nine answers of so many prompts of the pool."""
    random = seeds.stream(setting.seed, "bench raters", "tasks")
    chosen = random.permutation(len(lab.pool))[: setting.rankings]
    return [shortened(lab.pool[int(i)], setting.k, random) for i in chosen]


def shortened(task: Task, k: int, random: np.random.Generator) -> Task:
    """A task with k of its answers."""
    kept = tuple(task.completions[int(i)] for i in random.permutation(len(task.completions))[:k])
    return task.model_copy(update={"completions": kept})


def held_out(
    lab: LabAnswers, model: ScalarModel, config: SimulatedConfig, fit: RaterFit | None, seed: int
) -> dict[str, float]:
    """Accuracy of the exported score, and of each group's own, on the true order and on what honest people say."""
    tasks = lab.held_out[:HELD_OUT]
    renderer = lab.backends.renderer(model)
    groups = [renderer.group(t.prompt, [c.text for c in t.completions]) for t in tasks]
    k = len(tasks[0].completions)
    scores = np.array(score_groups(row_scorer(model), groups, budget=4096)).reshape(-1, k)
    tastes = None if fit is None else taste_scores(state_scorer(model), groups, fit.offsets, budget=4096).numpy()
    names = sorted(config.groups, key=lambda name: -config.groups[name])
    found = {}
    for name in names:
        truth = np.array([[known_utility(t.prompt, c.text, name) for c in t.completions] for t in tasks])
        own = scores
        if fit is not None and tastes is not None and name in fit.groups:
            own = scores + tastes[:, fit.groups.index(name)].reshape(-1, k)
        found[f"truth {name}"] = agreement(scores, truth)
        found[f"own {name}"] = agreement(own, truth)
        found[f"people {name}"] = agreement_with_people(tasks, scores, config, name, seed)
        found[f"own people {name}"] = agreement_with_people(tasks, own, config, name, seed)
    return found


def agreement(scores: np.ndarray, truth: np.ndarray) -> float:
    """Share of pairs of answers to one prompt, truly different, whose better one scores higher."""
    i, j = np.triu_indices(scores.shape[1], 1)
    lead, gap = scores[:, i] - scores[:, j], truth[:, i] - truth[:, j]
    right = np.where(lead == 0, 0.5, lead * gap > 0)
    return float(right[np.abs(gap) > 1e-9].mean())


def agreement_with_people(
    tasks: list[Task], scores: np.ndarray, config: SimulatedConfig, group: str, seed: int
) -> float:
    """The same with what honest people of one group said, who gave no training label."""
    honest = config.model_copy(
        update={"groups": {group: 1.0}, "careless_share": 0.0, "inverted_share": 0.0, "slip": 0.0}
    )
    right = []
    for task, own, judgment in zip(
        tasks, scores, crowd(honest, known_utility, role="evaluation", seed=seed).judge(tasks), strict=True
    ):
        place = {c.id: n for n, c in enumerate(task.completions)}
        assert judgment.ranking is not None
        for better, worse, is_tie in judgment.ranking.pairs():
            if not is_tie:
                lead = own[place[better]] - own[place[worse]]
                right.append(0.5 if lead == 0 else float(lead > 0))
    return float(np.mean(right))


def sharpness(fit: RaterFit, people: Panel) -> dict[str, float]:
    """Mean fitted and mean true sharpness of honest people per group, of careless and of inverted ones."""
    members: dict[str, SimulatedRater] = {m.record.id: m for m in people.members}  # type: ignore[misc]
    found: dict[str, list[tuple[float, float]]] = {}
    for name, value in zip(fit.raters, fit.sharpness, strict=True):
        traits = members[name].traits
        kind = "careless" if traits.careless == 1 else "inverted" if traits.sharpness < 0 else f"honest {traits.group}"
        found.setdefault(kind, []).append((float(value), traits.sharpness))
    means = {f"a {kind}": float(np.mean([a for a, _ in pairs])) for kind, pairs in found.items()}
    true = {f"true a {kind}": float(np.mean([t for _, t in pairs])) for kind, pairs in found.items()}
    return {**means, **true, "scale": fit.scale}


def print_pool(pool: str, rows: list[dict[str, Any]]) -> None:
    """Means of both methods over seeds, and their paired difference."""
    by = {method: [r for r in rows if r["method"] == method] for method in dict.fromkeys(r["method"] for r in rows)}
    print(f"\n### {pool}, seeds {', '.join(dict.fromkeys(str(r['seed']) for r in rows))}\n")
    print("| accuracy | " + " | ".join(by) + " | joint - alike |")
    print("|---" * (len(by) + 2) + "|")
    first = rows[-1]
    for key in (k for k in first if k.startswith(("truth", "own", "people"))):
        values = {m: [r[key] for r in of] for m, of in by.items()}
        means = " | ".join(f"{np.mean(v):.3f}" for v in values.values())
        gain = difference(values["joint"], values["alike"]) if len(values) == 2 else ""
        print(f"| {key} | {means} | {gain} |")
    for key in (k for k in first if k.startswith(("a ", "true a", "scale"))):
        print(f"{key}: {over_seeds([r[key] for r in by.get('joint', rows) if key in r])}")
    print("seconds of one thread:", {m: round(float(np.mean([r["seconds"] for r in of])), 1) for m, of in by.items()})


def difference(after: Iterable[float], before: Iterable[float]) -> str:
    """Mean difference in points with its interval over seeds."""
    return over_seeds([100 * (a - b) for a, b in zip(after, before, strict=True)])


def over_seeds(values: list[float]) -> str:
    """Mean with a t interval over seeds."""
    if len(values) < 2:
        return f"{values[0]:+.2f}"
    found: Estimate = clustered_mean(values, [str(i) for i in range(len(values))])
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
