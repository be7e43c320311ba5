"""Is planted bias taken out of a reward model that is trained as a whole, body and head?

    python benchmarks/bias_trained.py --policy runs/demo/round-0 --seeds 3

Answers of the lab's crew carry a line about who wrote them: somebody from the coast, from the hills, or no line.
Simulated people of three groups compare them; the *south* leans against the coast. The demo's fine-tuned policy becomes
a reward model with the demo's settings: as it comes, and with each mitigation. Held
against the truth on prompts that nobody judged: how the score of one and the same answer moves when "from the hills"
becomes "from the coast" (its gap, in standard deviations of the score), and how often the truly better answer scores
higher. Each seed draws people, answers, votes, head and order anew. What was measured is kept below --work and not
done again.
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
import yaml
from bias import AXIS, COAST, GROUPS, HILLS, crowd

from assent.artifacts.find import model_folder
from assent.core import files, seeds
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Completion, Prompt, Task
from assent.lab.config import DemoQuality
from assent.lab.people import utility
from assent.lab.truth import read
from assent.lab.world import World
from assent.learner.checkpoint import Cadence
from assent.learner.scorer import score_groups
from assent.models.config import ModelConfig
from assent.models.scalar import ScalarModel
from assent.pipeline.backends import Backends
from assent.pipeline.config import ComputeConfig
from assent.pipeline.leaning import Leaning, copies_of, weights_of
from assent.pipeline.learners import row_scorer, train_reward_model
from assent.pipeline.ranked import Reading
from assent.raters.simulated import SimulatedRater
from assent.stats.clustered import clustered_mean, clustered_share, paired_difference
from assent.training.config import RewardConfig
from assent.training.loop import Loop

BUDGET = 4096
PEOPLE, VOTES = 24, 3
LINE = " Written for you by a colleague, who is {}."
WAYS: dict[str, dict[str, object]] = {
    "as it comes": {},
    "debias": {"debias": ["identity"]},
    "population": {"population": {"group": {"north": 0.45, "south": 0.1, "east": 0.45}}},
    "augment": {"augment": ["origin"]},
}


@dataclass(frozen=True)
class Known:
    """What a benchmark knows of an answer: what it is worth without its line."""

    worth: dict[str, float]

    def of(self, prompt: Prompt, text: str, group: str) -> float:
        """Utility to everybody, whatever the line says."""
        return self.worth[text]


@dataclass(frozen=True)
class Found:
    """One reward model of one seed."""

    gaps: list[float]
    """Of each held-out answer: score with the coast less score with the hills, in standard deviations."""
    right: list[float]
    """Of each held-out pair, whether the truly better answer scores higher."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="runs/demo/round-0")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--lean", type=float, default=-3.0, help="of the south, in logits")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--work", type=Path, default=Path("runs/bias-trained"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[Found]] = {name: [] for name in arguments.ways}
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for name in arguments.ways:
            one = kept(arguments, seed, name)
            found[name].append(one)
            print(f"seed {seed}, {name}: gap {np.mean(one.gaps):+.3f}, accuracy {np.mean(one.right):.3f}", flush=True)
    table(found)


def kept(arguments: argparse.Namespace, seed: int, name: str) -> Found:
    """What was measured before, or measured now and kept."""
    sizes = f"{arguments.pairs}-{arguments.held_out}{arguments.lean:+g}"
    path = arguments.work / f"{sizes}-{seed}-{name.replace(' ', '-')}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps(vars(measured(arguments, seed, WAYS[name]))))
    return Found(**json.loads(path.read_text()))


def measured(arguments: argparse.Namespace, seed: int, changes: dict[str, object]) -> Found:
    """Train one reward model, and hold it against the truth."""
    known = Known({})
    people = crowd(PEOPLE, arguments.lean, seed)
    judges = [SimulatedRater(p.record, p.traits, known.of, seed) for p in people]
    comparisons = judged(known, judges, arguments.pairs, seed)
    attributes = {one.record.id: one.record.attributes for one in judges}
    backends = Backends(ModelConfig(), ComputeConfig(threads=1))
    with tempfile.TemporaryDirectory() as folder:
        config = reward_config(Path(folder), changes)
        model = backends.new_reward_model(model_folder(arguments.policy), seed=seeds.derive(seed, "bias head"))
        reading = Reading(backends.renderer(model), model.max_length, "drop", None, BUDGET)
        cut = len(comparisons) * 9 // 10
        train, test = comparisons[:cut], comparisons[cut:]
        copies = copies_of(train, test, config, seed=seed)
        learn = reading.of([*train, *(() if copies is None else copies.comparisons)])
        weights = weights_of(learn.comparisons, attributes, config)
        weight = None if weights is None else weights.weight
        log = RunLog(Path(folder), quiet=True, tensorboard=False)
        loop = Loop(Path(folder), log, seeds.derive(seed, "bias"), Cadence(1e9))
        train_reward_model(model, learn.groups, learn.targets, config, loop, attributes=attributes, weight=weight)
        if config.debias:
            Leaning(model, learn, reading.of(test), reading, config, attributes, weight).mended(log, seed=seed)
        return held_out(model, backends, known, arguments.held_out, seed)


def reward_config(folder: Path, changes: dict[str, object]) -> RewardConfig:
    """The demo's settings of the reward, with the benchmark's own words."""
    words = folder / "origin.yaml"
    words.write_text(yaml.safe_dump(AXIS.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    optimizer = {"learning_rate": 0.001, "warmup": 0.1, "weight_decay": 0.01, "tokens_per_microbatch": BUDGET}
    raters = {"kind": "joint", "group_by": ["group"]}
    plain = {"epochs": 3, "batch_size": 16, "optimizer": optimizer, "raters": raters, "swaps": str(words)}
    return RewardConfig.parse(plain | changes, where="reward")


def judged(known: Known, people: Sequence[SimulatedRater], pairs: int, seed: int) -> list[Comparison]:
    """Pairs of answers, each judged by some people."""
    random, found = seeds.stream(seed, "bias", "who judges"), []
    for prompt, texts in answered("reward", pairs, seed):
        told = [known_text(known, prompt, text, line_of(random)) for text in texts]
        both = (told[0], told[1])
        task = Task(id=prompt.id, prompt=prompt, completions=both)
        chosen = random.choice(len(people), size=VOTES, replace=False)
        judgments = tuple(people[i].judge([task])[0] for i in chosen)
        found.append(Comparison(prompt=prompt, completions=both, judgments=judgments))
    return found


def answered(split: str, count: int, seed: int) -> list[tuple[Prompt, tuple[str, str]]]:
    """Prompts of the lab with two different answers of its crew."""
    world, found, index = World(0), [], 1000 * (seed % 30)
    while len(found) < count:
        prompt = world.prompt(split, index)
        texts = tuple(world.reply(prompt, n, quality=DemoQuality()).text for n in (0, 1))
        if texts[0] != texts[1]:
            found.append((prompt, texts))
        index += 1
    return found


def line_of(random: np.random.Generator) -> str:
    """Who wrote the answer, or nothing."""
    kind = int(random.integers(3))
    return "" if kind == 2 else LINE.format(random.choice((COAST, HILLS)[kind]))


def known_text(known: Known, prompt: Prompt, text: str, line: str) -> Completion:
    """An answer with its line; what it is worth is remembered."""
    known.worth[text + line] = utility(read(prompt, text))
    return Completion(prompt_id=prompt.id, text=text + line)


def held_out(model: ScalarModel, backends: Backends, known: Known, count: int, seed: int) -> Found:
    """Gaps and accuracy on prompts of another split."""
    renderer, random = backends.renderer(model), seeds.stream(seed, "bias", "held out")
    asked = answered("test", count, seed)

    def scored(prompts: Sequence[Prompt], texts: Sequence[Sequence[str]]) -> np.ndarray:
        groups = [renderer.group(p, list(t)) for p, t in zip(prompts, texts, strict=True)]
        return np.array(score_groups(row_scorer(model), groups, budget=BUDGET)).reshape(len(groups), -1)

    prompts = [prompt for prompt, _ in asked]
    shown = [[known_text(known, p, text, line_of(random)).text for text in texts] for p, texts in asked]
    scores = scored(prompts, shown)
    worth = np.array([[known.worth[text] for text in texts] for texts in shown])
    apart = np.abs(worth[:, 0] - worth[:, 1]) > 1e-9
    right = ((scores[:, 0] > scores[:, 1]) == (worth[:, 0] > worth[:, 1]))[apart].astype(float)
    words = [int(random.integers(len(COAST))) for _ in asked]
    swapped = [
        [texts[0] + LINE.format(COAST[w]), texts[0] + LINE.format(HILLS[w])]
        for (_, texts), w in zip(asked, words, strict=True)
    ]
    moved = scored(prompts, swapped)
    return Found(((moved[:, 0] - moved[:, 1]) / scores.std()).tolist(), right.tolist())


def table(found: dict[str, list[Found]]) -> None:
    """Each way beside the reward as it comes, intervals over seeds and prompts."""
    print("| reward | gap, by seed | gap | share of it removed | accuracy | difference |\n|---|---|---|---|---|---|")
    first = found["as it comes"]
    place = [n for n, one in enumerate(first) for _ in one.right]
    before = np.concatenate([one.right for one in first])
    plain = np.array([np.mean(one.gaps) for one in first])
    for name, some in found.items():
        gaps = np.array([np.mean(one.gaps) for one in some])
        right = np.concatenate([one.right for one in some])
        over = list(range(len(some)))
        pairs = list(range(len(right)))
        removed = clustered_mean(1 - np.abs(gaps / plain), over) if len(some) > 1 else None
        print(
            f"| {name} | {', '.join(f'{gap:+.3f}' for gap in gaps)} | {gaps.mean():+.3f} | {removed}"
            f" | {clustered_share(right, pairs)} | {paired_difference(right, before, pairs)} |"
        )
    print(f"{len(place)} held-out pairs in all; groups {', '.join(GROUPS)}")


if __name__ == "__main__":
    main()
