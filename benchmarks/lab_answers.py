"""Answers of the lab for benchmarks of feedback: sampled once from the demo's fine-tuned policy, with their truth.

Everything lies below runs/bench-lab and is found again if done: tokenizer, base and SFT of configs/demo.yaml (seed 0),
and a pool of prompts with nine different answers each. What people would think of an answer is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.layout import RUNS
from assent.artifacts.stage import Runner
from assent.core import seeds
from assent.core.group import Group
from assent.core.types import Completion, Prompt, Task
from assent.generation.config import Sampling
from assent.lab.people import utility
from assent.lab.truth import read
from assent.lab.world import World
from assent.models.groups import pack
from assent.models.policy import PolicyModel
from assent.pipeline.backends import Backends
from assent.pipeline.config import RunConfig
from assent.pipeline.places import open_project
from assent.pipeline.rounds import prepare

Floats = NDArray[np.float64]

CONFIG = Path("configs/demo.yaml")
SETTINGS = ("name=bench-lab", "compute.threads=1", "log.tensorboard=false")
SAMPLING = Sampling(temperature=1.0, max_new_tokens=64)
DRAWN = 14
"""Samples per prompt, of which the first nine that differ are kept."""
ANSWERS = 9


@dataclass(frozen=True)
class LabAnswers:
    """Prompts with nine answers each, and the truth about them."""

    config: RunConfig
    policy: Path
    """The fine-tuned policy that wrote the answers."""
    pool: list[Task]
    """Tasks whose answers may be shown to raters."""
    held_out: list[Task]
    """Tasks of other prompts, on whose true order rewards are measured."""

    @classmethod
    def open(cls, *, pool: int, held_out: int) -> LabAnswers:
        """Make or find policy and answers."""
        project = open_project(CONFIG, (), SETTINGS)
        with Runner(project.run_folder, home=RUNS, seed=0) as runner:
            policy = prepare(runner, project.config).policy.file("policy")
        parts = {"reward": pool, "test": held_out}
        made = [_answers(project.run_folder, project.config, policy, split, n) for split, n in parts.items()]
        return cls(project.config, policy, *made)

    @cached_property
    def backends(self) -> Backends:
        """Opens models with the run's settings."""
        return Backends(self.config.model, self.config.compute)

    def features(self, tasks: list[Task]) -> list[Floats]:
        """Per task [K, d]: the policy's last hidden state at each answer's end, beside the mean over the answer."""
        policy = self.backends.policy(self.policy, trainable=False)
        groups = self.groups(tasks, policy)
        rows: list[Floats] = [np.empty(0)] * sum(len(t.completions) for t in tasks)
        with torch.inference_mode():
            for batch in pack(groups, budget=4096):
                states = policy.hidden(batch)
                scored = batch.take_scored.take(states)
                for local, number in enumerate(batch.rows):
                    own = scored[batch.row == local]
                    rows[number] = torch.cat([states[batch.last[local]], own.mean(0)]).double().numpy()
        ends = np.cumsum([len(t.completions) for t in tasks])
        return [np.stack(rows[end - len(t.completions) : end]) for t, end in zip(tasks, ends, strict=True)]

    def groups(self, tasks: list[Task], model: PolicyModel) -> list[Group]:
        """Token groups of tasks."""
        renderer = self.backends.renderer(model)
        return [renderer.group(t.prompt, [c.text for c in t.completions]) for t in tasks]

    def truth(self, task: Task) -> Floats:
        """What the people of the demo think of each answer on average over their groups [K]."""
        collect = self.config.collect
        assert collect is not None
        groups: dict[str, float] = collect.raters.groups  # type: ignore[union-attr]
        total = sum(groups.values())
        values = [[known_utility(task.prompt, c.text, g) for c in task.completions] for g in groups]
        return np.average(np.array(values), axis=0, weights=[share / total for share in groups.values()])


_seen: dict[tuple[str, str], dict[str, float]] = {}


def known_utility(prompt: Prompt, text: str, group: str) -> float:
    """The true utility of the lab, read once per answer."""
    found = _seen.setdefault((prompt.id, text), {})
    if group not in found:
        found[group] = utility(read(prompt, text), group)
    return found[group]


def words(task: Task) -> int:
    """What a rater has to read: the prompt once, and every answer."""
    return sum(len(m.content.split()) for m in task.prompt.messages) + sum(
        len(c.text.split()) for c in task.completions
    )


def _answers(folder: Path, config: RunConfig, policy: Path, split: str, number: int) -> list[Task]:
    """Sample answers to the first prompts of a split, unless they lie there."""
    path = folder / f"answers-{split}-{number}.jsonl"
    if not path.exists():
        write_records(path, _sample(config, policy, World(0).prompts(split, number)))
    return read_records(path, Task)


def _sample(config: RunConfig, folder: Path, prompts: list[Prompt]) -> list[Task]:
    backends = Backends(config.model, config.compute)
    policy = backends.policy(folder, trainable=False)
    renderer = backends.renderer(policy)
    ids = [renderer.prompt(p.messages) for p in prompts]
    drawn = backends.engine(policy).generate(
        ids, num_samples=DRAWN, sampling=SAMPLING, seed=seeds.derive(0, "bench answers")
    )
    tasks = []
    for prompt, row in zip(prompts, drawn, strict=True):
        texts = list(dict.fromkeys(t for g in row if (t := renderer.text(g.tokens)).strip()))[:ANSWERS]
        if len(texts) == ANSWERS:
            answers = tuple(Completion(prompt_id=prompt.id, text=text) for text in texts)
            tasks.append(Task(id=f"t-{prompt.id}", prompt=prompt, completions=answers))
    return tasks
