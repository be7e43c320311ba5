"""How many answers a task should hold, and which tasks come first: `python benchmarks/k_and_queue.py k` or `… queue`.

Real answers of the lab's fine-tuned policy (see lab_answers.py), simulated people of configs/demo.yaml who see the
lab's truth through noise, and the real training of reward models, without rater terms. Accuracy is the share of pairs
of answers to held-out prompts that the reward orders as the truth does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lab_answers import ANSWERS, Floats, LabAnswers, known_utility, words
from label_queue import ORDERS, Offer, bound, curve, fit_linear, table

from assent.core import seeds
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Judgment, Task
from assent.learner.checkpoint import Cadence
from assent.learner.scorer import score_groups
from assent.models.groups import pack
from assent.models.scalar import ScalarModel
from assent.pipeline.learners import row_scorer, train_reward_model
from assent.raters.config import SimulatedConfig
from assent.raters.crowd import crowd
from assent.stats.clustered import clustered_mean
from assent.training.config import NoRatersConfig
from assent.training.loop import Loop
from assent.training.targets import target_of

SIZES = (2, 3, 4, 6, 9)
PER_STEP = 48
"""Answers per optimizer step, whatever K: equal numbers of answers then mean equal numbers of steps."""
BUDGET = 4096
EARLIER = 500
"""Prompts whose rankings trained the reward that the queue's stand-in builds on."""
KEPT = Path("runs/bench-lab/k.jsonl")
"""Accuracies that were measured; delete it to measure again."""


@dataclass(frozen=True)
class Bench:
    """The lab's answers and the truth about those held out."""

    lab: LabAnswers
    truth: Floats
    """[N, 9]"""

    @classmethod
    def open(cls) -> Bench:
        lab = LabAnswers.open(pool=2400, held_out=400)
        return cls(lab, np.stack([lab.truth(t) for t in lab.held_out]))

    def judge(self, tasks: list[Task], *, seed: int, sharpness: float = 1.0) -> list[Judgment]:
        """One judgment per task by the demo's people, as sharp as there or so many times."""
        collect = self.lab.config.collect
        assert collect is not None and isinstance(collect.raters, SimulatedConfig)
        config = collect.raters.model_copy(update={"sharpness": collect.raters.sharpness * sharpness})
        return crowd(config, known_utility, role="train", seed=seed).judge(tasks)

    def fit(self, tasks: Sequence[Task], judgments: Sequence[Judgment], *, seed: int) -> Reward:
        """Train a reward model as the demo does."""
        size = len(tasks[0].completions)
        config = self.lab.config.reward.model_copy(
            update={"batch_size": max(1, PER_STEP // size), "raters": NoRatersConfig()}
        )
        model = self.lab.backends.new_reward_model(self.lab.policy, seed=seed)
        reward = Reward(self.lab, model)
        comparisons = [
            Comparison(prompt=t.prompt, completions=t.completions, judgments=(j,))
            for t, j in zip(tasks, judgments, strict=True)
        ]
        with tempfile.TemporaryDirectory() as scratch:
            log = RunLog(Path(scratch), quiet=True, tensorboard=False)
            loop = Loop(Path(scratch), log, seed, Cadence(1e9))
            train_reward_model(model, reward.groups(tasks), [target_of(c) for c in comparisons], config, loop)
            log.close()
        return reward

    def accuracy(self, reward: Reward) -> float:
        """Share of held-out pairs with different truths that the reward orders as the truth does."""
        return self.agreement(reward.scores(self.lab.held_out))

    def agreement(self, scores: Floats) -> float:
        """The same of scores [N, 9] of the held-out answers."""
        first, second = np.triu_indices(ANSWERS, 1)
        lead, true_lead = scores[:, first] - scores[:, second], self.truth[:, first] - self.truth[:, second]
        right = np.where(lead == 0, 0.5, lead * true_lead > 0)
        return float(right[np.abs(true_lead) > 1e-9].mean())


@dataclass(frozen=True)
class Reward:
    """A trained reward model."""

    lab: LabAnswers
    model: ScalarModel

    def groups(self, tasks: Sequence[Task]) -> list:
        renderer = self.lab.backends.renderer(self.model)
        return [renderer.group(t.prompt, [c.text for c in t.completions]) for t in tasks]

    def scores(self, tasks: Sequence[Task]) -> Floats:
        """Scores [N, K] of tasks of equal K."""
        return np.array(score_groups(row_scorer(self.model), self.groups(tasks), budget=BUDGET)).reshape(len(tasks), -1)

    @torch.no_grad()
    def states(self, tasks: Sequence[Task]) -> Floats:
        """The states [N, K, d] that scores are read from."""
        rows = np.zeros((sum(len(t.completions) for t in tasks), self.model.core.config.hidden_size))
        for batch in pack(self.groups(tasks), budget=BUDGET):
            rows[list(batch.rows)] = self.model.at_last_with_states(batch)[1].double().numpy()
        return rows.reshape(len(tasks), -1, rows.shape[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    by_size = commands.add_parser("k", help="K at equal reading cost")
    by_size.add_argument("--words", type=int, default=30_000, help="words that raters read in all")
    queue = commands.add_parser("queue", help="near ties first, against a random order")
    queue.add_argument("--size", type=int, default=4, choices=(2, 3, 4), help="answers per task")
    queue.add_argument("--labels", type=int, default=600, help="rankings that the random order ends with")
    for command in (by_size, queue):
        command.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench.open()
    if arguments.command == "k":
        study_sizes(bench, budget=arguments.words, runs=arguments.seeds)
    else:
        study_queue(bench, size=arguments.size, labels=arguments.labels, runs=arguments.seeds)


def study_sizes(bench: Bench, *, budget: int, runs: int) -> None:
    """Accuracy by K at equal reading cost, and how much less sharp people may be at K = 4 before its lead is gone."""
    arms = [(size, 1.0) for size in SIZES] + [(4, 0.7), (4, 0.5), (4, 0.35)]
    found: dict[tuple[int, float], list[float]] = {arm: [] for arm in arms}
    used: dict[tuple[int, float], list[int]] = {arm: [] for arm in arms}
    for seed in range(runs):
        for size, sharpness in arms:
            tasks = affordable(bench.lab.pool, size, budget=budget, seed=seed)
            key = {"seed": seed, "size": size, "sharpness": sharpness, "words": budget}
            accuracy = kept(key)
            if accuracy is None:
                judgments = bench.judge(tasks, seed=seed, sharpness=sharpness)
                accuracy = bench.accuracy(bench.fit(tasks, judgments, seed=seed))
                keep(key, accuracy)
            found[size, sharpness].append(accuracy)
            used[size, sharpness].append(len(tasks))
    print(f"\n| K | people's sharpness | tasks | accuracy, mean of {runs} seeds | less that of K = 2, paired |")
    print("|---|---|---|---|---|")
    for arm in arms:
        gain = np.array(found[arm]) - np.array(found[2, 1.0])
        paired = "" if arm == (2, 1.0) else f"{clustered_mean(gain, range(runs))}"
        print(f"| {arm[0]} | {arm[1]:g} | {np.mean(used[arm]):.0f} | {np.mean(found[arm]):.3f} | {paired} |")


def study_queue(bench: Bench, *, size: int, labels: int, runs: int) -> None:
    """Labels that each order of the queue needs to reach what a random order reaches in the end."""
    known, held_out = earlier_states(bench)
    found: dict[str, list[list[float]]] = {name: [] for name in ORDERS}
    for seed in range(runs):
        cut = [parts(task, size, seed=seed) for task in bench.lab.pool[EARLIER:]]
        tasks = [task for own in cut for task in own]
        states = np.concatenate(
            [places(whole, own, at) for whole, own, at in zip(bench.lab.pool[EARLIER:], cut, known, strict=True)]
        )
        offer = Offer(tasks, bench.judge(tasks, seed=seed), states)
        for name, order in ORDERS.items():
            reached = curve(offer, order, labels=labels, seed=seed, accuracy=lambda w: bench.agreement(held_out @ w))
            found[name].append(reached)
            print(f"seed {seed}  {name}:", *(f"{a:.4f}" for a in reached), flush=True)
    weights = fit_linear(offer, range(labels))[0]
    table(found, labels)
    print(f"\nInformation per label, as predicted: {bound(offer, weights):.2f} of a tie's; near ties save no more.")


def earlier_states(bench: Bench) -> tuple[Floats, Floats]:
    """States of the answers [N, 9, d] of later prompts and of those held out, by a reward trained on earlier ones."""
    path = Path("runs/bench-lab/states.npz")
    if not path.exists():
        tasks = [parts(task, 4, seed=0)[0] for task in bench.lab.pool[:EARLIER]]
        reward = bench.fit(tasks, bench.judge(tasks, seed=0), seed=0)
        later, held_out = reward.states(bench.lab.pool[EARLIER:]), reward.states(bench.lab.held_out)
        with path.open("wb") as stream:
            np.savez(stream, later=later, held_out=held_out)
    with np.load(path) as kept_states:
        return kept_states["later"], kept_states["held_out"]


def places(whole: Task, own: Sequence[Task], states: Floats) -> Floats:
    """The states [parts, K, d] of a task's parts, out of those of the whole [9, d]."""
    at = {c.id: i for i, c in enumerate(whole.completions)}
    return np.stack([states[[at[c.id] for c in part.completions]] for part in own])


def kept(key: dict[str, float]) -> float | None:
    """What was measured before."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    return next((row["accuracy"] for row in map(json.loads, lines) if {n: row[n] for n in key} == key), None)


def keep(key: dict[str, float], accuracy: float) -> None:
    """Note a measurement, so that it need not be made again."""
    with KEPT.open("a") as stream:
        stream.write(json.dumps({**key, "accuracy": accuracy}) + "\n")
    print(*(f"{name} {value}" for name, value in key.items()), f"accuracy {accuracy:.4f}", flush=True)


def affordable(pool: Sequence[Task], size: int, *, budget: int, seed: int) -> list[Task]:
    """Tasks of `size` answers, prompts in an order that the seed draws, until their words are used up."""
    chosen: list[Task] = []
    left = budget
    for i in seeds.stream(seed, "prompts").permutation(len(pool)):
        task = parts(pool[int(i)], size, seed=seed)[0]
        left -= words(task)
        if left < 0:
            return chosen
        chosen.append(task)
    raise SystemExit(f"the pool of {len(pool)} prompts is too small for {budget} words at K = {size}")


def parts(task: Task, size: int, *, seed: int) -> list[Task]:
    """A task of nine answers cut at random into tasks of `size` that share none."""
    order = seeds.stream(seed, "cut", task.id).permutation(ANSWERS)
    cuts = [order[start : start + size] for start in range(0, ANSWERS - size + 1, size)]
    return [
        task.model_copy(
            update={"id": f"{task.id}-{size}-{n}", "completions": tuple(task.completions[int(i)] for i in own)}
        )
        for n, own in enumerate(cuts)
    ]


if __name__ == "__main__":
    main()
