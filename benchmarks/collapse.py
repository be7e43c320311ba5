"""Does a policy that learns from its own texts collapse? `benchmarks/collapse.py` draws docs/images/collapse.svg.

On the lab: a small base is fine-tuned on demonstrations; then, six rounds long, the base is fine-tuned anew on answers
that the policy before it wrote, with none or some of the demonstrations mixed in (after Shumailov et al. 2024,
"AI models collapse when trained on recursively generated data"). Each policy answers the same held-out prompts once at
temperature 1. What was measured is kept in runs/collapse-rounds and not done again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from assent.artifacts.jsonl import read_records
from assent.artifacts.layout import RUNS
from assent.artifacts.stage import Runner
from assent.core import files, seeds
from assent.core.runlog import RunLog
from assent.core.types import Conversation, Message, Prompt
from assent.data.talks import fit_demonstrations
from assent.evaluation.suites.diversity import of_texts
from assent.generation.config import Sampling
from assent.lab.scorecard import Scorecard
from assent.lab.truth import read
from assent.learner.checkpoint import Cadence
from assent.models.groups import pack
from assent.pipeline.backends import Backends, machine
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.pipeline.places import open_project
from assent.pipeline.rounds import Start, prepare
from assent.stats.clustered import clustered_mean
from assent.stats.estimate import Estimate
from assent.training.config import SFTConfig
from assent.training.loop import Loop
from assent.training.sft import evaluation_loss, train_sft

KEPT = Path("runs/collapse-rounds")
MEASURED = "measured.json"
SMALL = (
    "name=collapse",
    "base.vocab_size=900",
    "base.shape.hidden=64",
    "base.shape.layers=3",
    "data.corpus=3000",
    "data.demonstrations=3000",
    "data.prompts=3000",
    "compute.threads=1",
    "log.tensorboard=false",
)
SHOWN = {
    "ead": "different words (EAD)",
    "opener_entropy": "entropy of openings, nats",
    "largest_cluster": "largest cluster, share",
    "self_bleu": "self-BLEU",
    "human_loss": "loss on people's answers, nats",
    "helpful": "helpful (truth)",
}
WORDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/demo.yaml"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.3], help="of demonstrations mixed in")
    parser.add_argument("--texts", type=int, default=1000, help="that each round learns from")
    parser.add_argument("--temperature", type=float, default=0.8, help="at which they are written")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    rows = [row for seed in arguments.seeds for share in arguments.shares for row in chain(arguments, seed, share)]
    draw(rows, Path("docs/images/collapse.svg"))
    print_table(rows)


def chain(arguments: argparse.Namespace, seed: int, share: float) -> list[dict[str, Any]]:
    """What is measured of the first policy and of that of each round; what is there already is read."""
    place = KEPT / f"seed-{seed}-people-{share:g}-texts-{arguments.texts}-temperature-{arguments.temperature:g}"
    there = [place / str(number) / MEASURED for number in range(arguments.rounds + 1)]
    if all(one.exists() for one in there):
        return [json.loads(one.read_text()) for one in there]
    project = open_project(arguments.config, (), (*SMALL, f"seed={seed}", *arguments.settings))
    config = project.config
    assert config.sft is not None
    with Runner(project.run_folder, home=RUNS, seed=seed) as runner:
        start = prepare(runner, config)
    backends = Backends(config.model, config.compute)
    human = read_records(start.data["demonstrations"].file("demonstrations.jsonl"), Conversation)
    held_out, human = human[:200], human[200:]
    prompts = read_records(start.data["prompts"].file("prompts.jsonl"), Prompt)
    asked = read_records(start.data["prompts"].file("eval.jsonl"), Prompt)[:200]
    with machine(config.compute):
        for number, done in enumerate(there):
            if done.exists():
                continue
            texts: Sequence[Conversation] = human[: arguments.texts]
            if number:
                drawn, before = seeds.derive(seed, "texts", number), place / str(number - 1) / "policy"
                texts = own_texts(backends, before, prompts, human, arguments, drawn, share)
            policy = tuned(backends, start, texts, config.sft, place / str(number), seed)
            found = {"seed": seed, "share": share, "round": number, **measured(backends, policy, asked, held_out)}
            files.write_json(done, found)
            print({name: round(value, 3) for name, value in found.items()}, flush=True)
    return [json.loads(one.read_text()) for one in there]


def own_texts(
    backends: Backends,
    policy: Path,
    prompts: Sequence[Prompt],
    human: Sequence[Conversation],
    arguments: argparse.Namespace,
    seed: int,
    share: float,
) -> list[Conversation]:
    """Answers of the policy to prompts, and so many of people's that they are `share` of all."""
    random, people = seeds.stream(seed, "which"), round(share * arguments.texts)
    chosen = [prompts[i] for i in random.choice(len(prompts), size=arguments.texts - people, replace=False)]
    writer = backends.writer(backends.policy(policy, trainable=False), name="own")
    sampling = Sampling(temperature=arguments.temperature, max_new_tokens=64)
    rows = writer.write(chosen, num_samples=1, sampling=sampling, seed=seed)
    own = [
        Conversation(messages=(*p.messages, Message(role="assistant", content=row[0].text)))
        for p, row in zip(chosen, rows, strict=True)
        if row[0].text.strip()
    ]
    return own + [human[i] for i in random.choice(len(human), size=people, replace=False)]


def tuned(
    backends: Backends, start: Start, texts: Sequence[Conversation], config: SFTConfig, folder: Path, seed: int
) -> Path:
    """The base fine-tuned on texts."""
    policy = backends.policy(start.base.file("policy"), trainable=True)
    rows = fit_demonstrations(texts, backends.renderer(policy), max_length=policy.max_length, policy="drop")
    shutil.rmtree(folder, ignore_errors=True)
    loop = Loop(folder / "checkpoints", RunLog(folder / "log", quiet=True, tensorboard=False), seed, Cadence(1e9))
    train_sft(policy_learner(policy, config.optimizer), rows.flat, (), config, loop)
    policy.save(folder / "policy", merged=True)
    return folder / "policy"


def measured(
    backends: Backends, folder: Path, asked: Sequence[Prompt], held_out: Sequence[Conversation]
) -> dict[str, float]:
    """Diversity of one answer to each prompt, their truth, and the loss on what people wrote."""
    policy = backends.policy(folder, trainable=False)
    writer = backends.writer(policy, name="measured")
    rows = writer.write(asked, num_samples=1, sampling=Sampling(temperature=1.0, max_new_tokens=64), seed=0)
    texts = [row[0].text for row in rows]
    card = Scorecard.of([read(prompt, text) for prompt, text in zip(asked, texts, strict=True)])
    people = fit_demonstrations(held_out, writer.renderer, max_length=policy.max_length, policy="drop")
    loss = evaluation_loss(policy_scorer(policy), pack(people.flat, budget=4096))
    truth = {name: getattr(card, name).estimate for name in ("helpful", "honest", "fluent")}
    return of_texts(texts, words=WORDS) | truth | {"human_loss": loss}


def over_seeds(rows: Sequence[dict[str, Any]], share: float, number: int, name: str) -> Estimate:
    """Mean over seeds with Student's interval; without one of a single seed."""
    values = [r[name] for r in rows if r["share"] == share and r["round"] == number]
    if len(values) < 2:
        return Estimate(estimate=values[0], low=values[0], high=values[0], n=1)
    return clustered_mean(values, list(range(len(values))))


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel a measure, a line a share of demonstrations: thin of each seed, with dots of their mean."""
    shares, numbers = sorted({r["share"] for r in rows}), sorted({r["round"] for r in rows})
    figure, panels = plt.subplots(2, 3, figsize=(11.5, 6), layout="constrained")
    for panel, (name, title) in zip(panels.flat, SHOWN.items(), strict=True):
        for share, colour in zip(shares, ("#d55e00", "#0072b2", "#009e73"), strict=False):
            found = [over_seeds(rows, share, n, name) for n in numbers]
            label = "own texts only" if share == 0 else f"{share:.0%} people's texts"
            panel.plot(numbers, [e.estimate for e in found], "o-", color=colour, label=label, markersize=4)
            for seed in sorted({r["seed"] for r in rows}):
                own = {r["round"]: r[name] for r in rows if r["share"] == share and r["seed"] == seed}
                panel.plot(numbers, [own[n] for n in numbers], color=colour, alpha=0.3, linewidth=1)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("round on own texts")
        panel.spines[["top", "right"]].set_visible(False)
    panels.flat[0].legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """First and last policy."""
    last = max(r["round"] for r in rows)
    print("| people's texts | " + " | ".join(SHOWN.values()) + " |")
    print("|---|" + "---|" * len(SHOWN))
    for share in sorted({r["share"] for r in rows}):
        cells = []
        for name in SHOWN:
            first, end = over_seeds(rows, share, 0, name), over_seeds(rows, share, last, name)
            end = end if name in ("opener_entropy", "human_loss") else end.inside(0, 1)
            cells.append(f"{first.estimate:.3f} → {end}")
        print(f"| {share:.0%} | " + " | ".join(cells) + " |")
    print(f"\n{len({r['seed'] for r in rows})} seeds, {last} rounds")


if __name__ == "__main__":
    main()
