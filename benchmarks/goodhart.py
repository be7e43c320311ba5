"""Does the guard's rule stop at the peak? `python benchmarks/goodhart.py` in a small world whose truth is exact.

An answer is a point of sixteen qualities, drawn from a normal distribution around what the policy aims at, at first 0.
Truth is a weighted sum of the qualities, less what too much of each costs. Two reward models, with a weight for every
quality and its square, are fitted by logistic regression to comparisons of answers of the start: the one that trains
to few, the held-out one to more, of other people (each with a sharpness and leans of their own). REINFORCE moves the
policy against the first, without any KL. Every few steps both score samples of the policy; what `training/gauge.py`
reads in those scores decides. Truth and KL have closed forms, and truth only judges:

    truth(t)    expected truth of the policy after t steps, exact
    reached     (truth(chosen) - truth(0)) / (max over t of truth(t) - truth(0)); success from 0.9 up

The same rule with the reward that trains in place of the held-out one is "reward alone". Real training on the lab is in
`benchmarks/goodhart_lab.py`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from assent.core import seeds
from assent.stats.independent import wilson
from assent.stats.overoptimization import forecast
from assent.training.gauge import Name, Point, read

QUALITIES = 16
STEPS, EVERY = 150, 5
BATCH, WATCHED = 64, 128
"""Answers of a training step, and of a measurement (64 prompts, 2 answers each)."""
RATE = 0.02
PAIRS, HELD_PAIRS = 150, 2400
"""Comparisons behind the reward that trains, and behind the held-out one."""
LABEL_NOISE = 1.5
"""Deviation of one fresh label around what its rater thinks; the truth of the start's answers has one of about 1.5."""
RATERS, CONFIDENCE, WITHIN = 8, 0.95, 0.9
FLOOR = -1.0


@dataclass(frozen=True)
class World:
    """What is good: `gain` of each quality, and what too much of it costs."""

    gain: np.ndarray
    cost: np.ndarray

    def truth(self, answers: np.ndarray) -> np.ndarray:
        """Of each answer [n, qualities]."""
        return answers @ self.gain - answers**2 @ self.cost

    def expected(self, aim: np.ndarray) -> float:
        """Of a policy that aims at `aim`: E x = aim, E x² = aim² + 1."""
        return float(aim @ self.gain - (aim**2 + 1) @ self.cost)


@dataclass(frozen=True)
class Run:
    """One run, with what the guard sees and what it does not."""

    points: list[Point]
    truth: np.ndarray
    """[STEPS + 1]"""
    distance: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(20)))
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--held-pairs", type=int, default=HELD_PAIRS, help="0: fresh labels in place of a model")
    parser.add_argument("--image", type=Path, help="where to draw the figure, e.g. docs/images/goodhart.svg")
    arguments = parser.parse_args()
    runs = [run(seed, arguments.pairs, arguments.held_pairs) for seed in arguments.seeds]
    found = [judged(one) for one in runs]
    for seed, one in zip(arguments.seeds, found, strict=True):
        shares = ", ".join(f"{name} {share:.2f}" for name, share in one["reached"].items())
        print(
            f"seed {seed}: peak {one['peak']}, gain {one['gain']:.2f}, kept {one['kept']}, end {one['alarm']}; {shares}"
        )
    print_table(found)
    if arguments.image is not None:
        draw(runs, found, arguments.image)


def run(seed: int, pairs: int, held_pairs: int) -> Run:
    """Fit both reward models, optimize against the first, measure on the way."""
    random = seeds.stream(seed, "goodhart world")
    world = World(
        random.gamma(2.0, 0.15, QUALITIES) * random.choice([1, 1, 1, -1], QUALITIES), random.gamma(2.0, 0.05, QUALITIES)
    )
    trains, held = (
        fitted(world, count, seeds.stream(seed, name)) for count, name in ((pairs, "trains"), (held_pairs, "held"))
    )
    draws = seeds.stream(seed, "policy")
    fixed = seeds.stream(seed, "guards").normal(size=(WATCHED, QUALITIES))  # the same numbers in every measurement
    aim, points, truth, distance = np.zeros(QUALITIES), [], [], []
    for step in range(STEPS + 1):
        truth.append(world.expected(aim))
        distance.append(float(np.sqrt(aim @ aim / 2)))
        if step % EVERY == 0:
            answers = aim + fixed
            kl = float(np.mean(answers @ aim - aim @ aim / 2))  # k1: log π/π_ref of each answer
            proxy, gold = (
                float(np.mean(features(answers) @ model if model is not None else labelled(world, answers, seed, step)))
                for model in (trains, held if held_pairs else None)
            )
            points.append(Point(step, float(np.sqrt(max(kl, 0))), proxy, gold))
        sampled = draws.normal(size=(BATCH, QUALITIES))
        rewards = features(aim + sampled) @ trains
        advantage = (rewards - rewards.mean()) / (rewards.std() + 1e-8)
        aim = aim + RATE * advantage @ sampled / np.sqrt(BATCH)
    return Run(points, np.array(truth), np.array(distance))


def labelled(world: World, answers: np.ndarray, seed: int, step: int) -> np.ndarray:
    """A fresh label of each answer, by people with leans of their own."""
    leans = seeds.stream(seed, "people").normal(0, 0.2, (RATERS, QUALITIES))
    random = seeds.stream(seed, "labels", step)
    thought = world.truth(answers) + (answers * leans[random.integers(RATERS, size=len(answers))]).sum(1)
    return np.asarray(thought + random.normal(0, LABEL_NOISE, len(answers)))


def features(answers: np.ndarray) -> np.ndarray:
    """What a reward model reads: each quality and its square [n, 2 qualities]."""
    return np.concatenate([answers, answers**2], axis=1)


def fitted(world: World, pairs: int, random: np.random.Generator) -> np.ndarray:
    """Weights of a reward model from comparisons of the start's answers by noisy people: Bradley-Terry with a ridge."""
    sharpness = np.exp(random.normal(0.5, 0.3, RATERS))
    leans = random.normal(0, 0.2, (RATERS, QUALITIES))
    who = random.integers(RATERS, size=pairs)
    first, second = (random.normal(size=(pairs, QUALITIES)) for _ in range(2))
    gap = world.truth(first) - world.truth(second) + ((first - second) * leans[who]).sum(1)
    won = random.random(pairs) < expit(sharpness[who] * gap)
    apart = (features(first) - features(second)) * np.where(won, 1, -1)[:, None]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        lead = apart @ weights
        return float(np.logaddexp(0, -lead).sum() + weights @ weights / 2), weights - expit(-lead) @ apart

    return np.asarray(minimize(loss, np.zeros(2 * QUALITIES), jac=True, method="L-BFGS-B").x)


def judged(one: Run) -> dict[str, Any]:
    """Where each rule would have stopped, and how much of the true gain its checkpoint has."""
    (kept, alarm), (alone, _) = stopped(one.points, "gold"), stopped(one.points, "proxy")
    chosen = {
        "held-out reward": kept,
        "reward alone": alone,
        "highest reward": max(one.points, key=lambda point: point.proxy).step,
        "last": STEPS,
    }
    start, peak = one.truth[0], one.truth.max()
    reached = {name: float((one.truth[at] - start) / (peak - start)) for name, at in chosen.items()}
    return {
        "peak": int(one.truth.argmax()),
        "gain": float(peak - start),
        "kept": kept,
        "alarm": alarm,
        "reached": reached,
    }


def stopped(points: list[Point], name: Name) -> tuple[int, int | None]:
    """The checkpoint that the guard returns with one of the two scores, and when it ends the training.

    The last one and None where it never does.
    """
    for number in range(2, len(points) + 1):
        reading = read(points[:number], name)
        if reading is not None and reading.past_peak >= CONFIDENCE:
            return points[reading.best].step, points[number - 1].step
    return points[-1].step, None


def print_table(found: list[dict[str, Any]]) -> None:
    """How many runs each rule ends within a tenth of the peak."""
    print("| stopped by | runs within 10 % of the true peak | 95 % interval | reached, median | reached, worst |")
    print("|---|---|---|---|---|")
    for name in found[0]["reached"]:
        reached = [one["reached"][name] for one in found]
        good = sum(share >= WITHIN for share in reached)
        share = wilson(good, len(reached))
        print(
            f"| {name} | {good} of {len(reached)} | {share.low:.0%} to {share.high:.0%} | {np.median(reached):.2f} |"
            f" {min(reached):.2f} |"
        )


def draw(runs: list[Run], found: list[dict[str, Any]], path: Path) -> None:
    """One run as the guard sees it beside the truth that it does not see; and what each rule reached in every run."""
    order = sorted(range(len(found)), key=lambda i: found[i]["reached"]["held-out reward"])
    chosen = order[len(order) // 2]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    one_run(left, runs[chosen], found[chosen])
    left.set_title("the median run", fontsize=10)
    names = list(found[0]["reached"])
    for place, name in enumerate(names):
        shares = [max(one["reached"][name], FLOOR) for one in found]
        spread = np.linspace(-0.18, 0.18, len(shares))
        color = "#0072b2" if place == 0 else "#777777"
        right.plot(shares, place + spread, "o", markersize=4, alpha=0.7, color=color)
    right.axvline(WITHIN, color="#333333", linewidth=1, linestyle="--")
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xticks([FLOOR, -0.5, 0, 0.5, WITHIN])
    right.set_title(f"{len(found)} runs", fontsize=10)
    right.set_xlabel(f"share of the true gain ({FLOOR:.0f} or less at the edge)")
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def one_run(panel: Any, one: Run, result: dict[str, Any]) -> None:
    """Both rewards with their fitted curves, and truth, over √KL; each less what it was at the start."""
    ends = [point for point in one.points if result["alarm"] is None or point.step <= result["alarm"]]
    distance = [point.distance for point in ends]
    for name, label, color in (("proxy", "reward that trains", "#0072b2"), ("gold", "held-out reward", "#d55e00")):
        scores = [getattr(point, name) - getattr(ends[0], name) for point in ends]
        panel.plot(distance, scores, "o", markersize=3.5, color=color, label=label)
        fit = forecast(distance, scores)
        if fit is not None:
            grid = np.linspace(0, max(distance), 80)
            panel.plot(grid, [fit.at(float(d)) for d in grid], color=color)
    shown = one.distance <= 1.6 * distance[-1]
    gained = one.truth[shown] - one.truth[0]
    panel.plot(one.distance[shown], gained, color="#333333", linestyle="--", label="truth (not seen)")
    panel.axvline(one.distance[result["kept"]], color="#009e73", linewidth=1.2, label="weights that are kept")
    panel.axvline(one.distance[ends[-1].step], color="#009e73", linewidth=1.2, linestyle=":", label="training ends")
    panel.set_xlabel("√KL to the start, √nats per answer")
    panel.set_ylabel("gain over the start")
    panel.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    main()
