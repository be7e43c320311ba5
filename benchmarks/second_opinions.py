"""Where do further votes pay? `python benchmarks/second_opinions.py`: seconds, no model is trained.

Simulated people of `configs/demo.yaml`, some of whom do not read, rank answers of the lab's writers, whose truth is
known. Every task has one ranking, a fifth have three; then a number of further votes is spent in two ways: where one
more vote tells most (`feedback/quality/opinions.py`), or at random over tasks. The consensus of a pair is the likelier
order by the posterior of pairs and raters; accuracy is against the truth, over the pairs of all tasks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from assent.core import seeds
from assent.core.files import write_json
from assent.core.types import Completion, Judgment, Prompt, Task
from assent.feedback.quality.ballots import pair_values
from assent.feedback.quality.opinions import opinions, second_opinions
from assent.feedback.queue.assign import overlap
from assent.lab.people import utility
from assent.lab.truth import read
from assent.lab.world import World
from assent.raters.config import SimulatedConfig
from assent.raters.crowd import crowd
from assent.raters.panel import Panel
from assent.raters.simulated import lab_utility
from assent.stats.clustered import clustered_share

ANSWERS = 4
WORLD = World()


def main() -> None:
    """Each seed is other people, other prompts, other answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--more", type=float, default=0.3, help="further votes, as a share of the tasks")
    parser.add_argument("--careless", type=float, default=0.2, help="share of people who do not read")
    parser.add_argument("--out", type=Path, default=Path("runs/second-opinions.json"))
    arguments = parser.parse_args()
    rows = [
        {"seed": seed, **spent(seed, arguments.tasks, arguments.more, arguments.careless)} for seed in arguments.seeds
    ]
    write_json(arguments.out, rows)
    print(json.dumps(rows[0]))
    for name in ("before", "where it tells most", "at random"):
        values = np.array([float(row[name]) for row in rows])
        print(f"{name:22} {values.mean():.4f} ± {values.std(ddof=1):.4f} over {len(rows)} seeds")
    gains = np.array([float(row["where it tells most"]) - float(row["at random"]) for row in rows])
    half = 1.96 * gains.std(ddof=1) / np.sqrt(len(gains))
    print(f"told most less random: {gains.mean():+.4f} [{gains.mean() - half:+.4f}, {gains.mean() + half:+.4f}]")


def spent(seed: int, count: int, share: float, careless: float) -> dict[str, float]:
    """Accuracy of the consensus before the further votes, and after each way of spending them."""
    tasks = made_tasks(seed, count)
    people = SimulatedConfig(number=12, sharpness=3.0, careless_share=careless, tie_threshold=0.0)
    panel = crowd(people, lab_utility(), role="train", seed=seed)
    slots = overlap([task.id for task in tasks], share=0.2, depth=3, seed=seed)
    first = panel.judge_by(slots, tasks)
    labels = round(share * count)
    told = second_opinions(first, labels=labels)
    drawn = [tasks[int(i)].id for i in seeds.stream(seed, "random").choice(count, size=labels, replace=False)]
    return {
        "judgments": float(len(first)),
        "further": float(labels),
        "before": accuracy(tasks, first),
        "where it tells most": accuracy(tasks, with_more(panel, tasks, slots, told)),
        "at random": accuracy(tasks, with_more(panel, tasks, slots, drawn)),
    }


def with_more(panel: Panel, tasks: Sequence[Task], slots: Mapping[str, int], chosen: Sequence[str]) -> list[Judgment]:
    """What the panel says with one more vote on the chosen tasks."""
    again = set(chosen)
    return panel.judge_by({task: n + (task in again) for task, n in slots.items()}, tasks)


def accuracy(tasks: Sequence[Task], judgments: Sequence[Judgment]) -> float:
    """Share of pairs whose likelier order is the true one; a pair without a decided vote counts half."""
    known = opinions(judgments)
    pairs: dict[str, list[tuple[str, str]]] = {}
    for one in judgments:
        if one.ranking is not None:
            own = pairs.setdefault(one.task_id, [])
            own += [pair for pair, value in pair_values(one.ranking).items() if value and pair not in own]
    right, clusters = [], []
    for task in tasks:
        truth = {c.id: utility(read(task.prompt, c.text)) for c in task.completions}
        posterior = dict(zip(pairs.get(task.id, []), known.posterior.get(task.id, ()), strict=True))
        ids = sorted(truth)
        for i, one in enumerate(ids):
            for other in ids[i + 1 :]:
                if truth[one] != truth[other]:
                    says = posterior.get((one, other), 0.5)
                    right.append(0.5 if says == 0.5 else float((says > 0.5) == (truth[one] > truth[other])))
                    clusters.append(task.prompt.id)
    return clustered_share(right, clusters).estimate


def made_tasks(seed: int, count: int) -> list[Task]:
    """Prompts of the lab, other ones for each seed, with replies of its crew, good and bad."""
    prompts = WORLD.prompts("ppo", count, start=seed * count)
    return [Task(id=f"t-{seed}-{n}", prompt=one, completions=_answers(one)) for n, one in enumerate(prompts)]


def _answers(prompt: Prompt) -> tuple[Completion, ...]:
    texts = dict.fromkeys(WORLD.reply(prompt, n).text for n in range(3 * ANSWERS))
    return tuple(Completion(prompt_id=prompt.id, text=text, source="crew") for text in list(texts)[:ANSWERS])


if __name__ == "__main__":
    main()
