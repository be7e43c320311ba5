"""A constitution on the lab, alone and beside people: `python benchmarks/constitution.py --seeds 0 1 2`.

Every arm starts from the fine-tuned policy of `configs/demo.yaml` (its run below runs/, made where it is not there):

    revised          SFT on answers that the lab's writers revised by `lab` principles; no label of a person
    AI alone         the same, then DPO on the constitution's judgments of every task; no label of a person
    people alone     DPO on people's rankings of a share of the tasks
    AI labels alone  DPO on the constitution's judgments of every task, no revisions
    people and AI    both labels, at the cost in people of "people alone"; the AI's judgments weigh `--weight`

The constitution is judged by word lists (`assent.lab.rules`), whose errors against the truth are printed; the truth
that evaluates is the lab's, on prompts of its split `test`, which no stage reads. Every principle is asked of every
task (`ask: all`): a rule that is drawn alone has nothing to say of three tasks in four. Harm is counted on dangerous
requests, over-refusal on all others. Differences to the start are paired by prompt; over seeds, a prompt is a cluster.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from assent.artifacts.layout import RUNS
from assent.artifacts.stage import LogOptions, Runner
from assent.artifacts.store import Artifact
from assent.core import seeds as streams
from assent.core.files import write_json
from assent.core.types import Prompt
from assent.generation.config import Sampling
from assent.lab import World, read, utility
from assent.lab.rules import error_rates
from assent.lab.truth import Truth
from assent.pipeline.backends import Backends, machine
from assent.pipeline.config import RunConfig
from assent.pipeline.places import open_project
from assent.pipeline.rounds import prepare
from assent.pipeline.stages.declared import run_collect, run_optimize, run_revise, run_sample, run_sft
from assent.pipeline.stages.sample import writer_of
from assent.pipeline.stages.settings import CollectStage, OptimizeStage, ReviseStage, SampleStage, SFTStage
from assent.stats.clustered import clustered_mean

CONFIG = Path("configs/demo.yaml")
JUDGE = {
    "kind": "constitution",
    "constitution": "lab",
    "ask": "all",
    "backend": {"kind": "python", "target": "assent.lab.rules:judge"},
}
RATE = {"tokens_per_microbatch": 4096}
DPO = {"kind": "dpo", "epochs": 2, "batch_size": 16, "optimizer": {"learning_rate": 0.0003, **RATE}}
SFT = {"epochs": 2, "batch_size": 16, "patience": None, "optimizer": {"learning_rate": 0.001, **RATE}}
START = "start"
BOTH, ALONE = "people and AI", ("people alone", "AI labels alone")
ARMS = ("revised", "AI alone", *ALONE, BOTH)
MEASURES = ("harm", "over-refusal", "truth")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", type=int, default=400, help="tasks of four answers that the AI judges")
    parser.add_argument("--people", type=float, default=0.2, help="share of them that people judge")
    parser.add_argument("--revise", type=int, default=600, help="answers that are revised")
    parser.add_argument("--weight", type=float, default=0.5, help="of an AI's judgment beside a person's")
    parser.add_argument("--prompts", type=int, default=400, help="prompts that policies are measured on")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--out", type=Path, default=Path("runs/constitution.json"))
    asked = parser.parse_args()
    rows: dict[str, dict[int, list[Truth]]] = {}
    test = World(0).prompts("test", asked.prompts)
    for seed in asked.seeds:
        for arm, truths in one_seed(seed, asked, test).items():
            rows.setdefault(arm, {})[seed] = truths
        write_json(asked.out, figures(rows, test))
    for line in table(rows, test):
        print(line)


def one_seed(seed: int, asked: argparse.Namespace, test: list[Prompt]) -> dict[str, list[Truth]]:
    """The truth of every arm's answers to the test prompts."""
    demo = configured({})
    quiet = LogOptions(quiet=True, tensorboard=False)
    with Runner(RUNS / "demo", seed=demo.seed, logs=quiet, home=RUNS) as run:
        start = prepare(run, demo)
    revising = {
        "file": "lab",
        "by": {"kind": "python", "target": "assent.lab.rules:revise"},
        "prompts": asked.revise,
        "sampling": {"max_new_tokens": 64},
        "sft": SFT,
    }
    config = configured({"constitution": revising, "sample.prompts": asked.tasks})
    assert config.constitution is not None and config.constitution.sft is not None
    found: dict[str, list[Truth]] = {}
    prompts = start.data["prompts"]
    with Runner(Path("runs/constitution"), seed=seed, logs=quiet) as run:

        def keep(arm: str, policy: Artifact) -> None:
            found[arm] = answered(config, policy, test, seed)
            print(json.dumps({"seed": seed, "arm": arm, **means(found[arm])}), flush=True)

        keep(START, start.policy)
        if not {"revised", "AI alone"}.isdisjoint(asked.arms):
            revisions = run(
                run_revise, ReviseStage.of(config, config.constitution), policy=start.policy, prompts=prompts
            )
            stage = SFTStage.of(config, config.constitution.sft)
            revised = run(run_sft, stage, base=start.policy, demonstrations=revisions)
            print(json.dumps({"seed": seed, "outcomes": revisions.notes["outcomes"]}), flush=True)
            keep("revised", revised)
        for arm, raters in labels(asked).items():
            if arm not in asked.arms:
                continue
            own = configured({**raters, "sample.prompts": asked.tasks, "seed": seed})
            if arm == "people alone":
                own = configured({**raters, "sample.prompts": round(asked.people * asked.tasks), "seed": seed})
            policy = revised if arm == "AI alone" else start.policy
            samples = run(run_sample, SampleStage.of(own, 1), policy=policy, prompts=prompts)
            judgments = run(run_collect, CollectStage.of(own, 1, like=()), samples=samples)
            told = {"arm": arm, "judgments": judgments.notes["judgments"]}
            if "ai" in judgments.notes:
                told["agreement"] = judgments.notes["ai"]["agreement"]["whole"]["with_votes"]
            print(json.dumps(told), flush=True)
            keep(arm, run(run_optimize, OptimizeStage.of(own), start=policy, judgments=judgments))
    return found


def labels(asked: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Who judges in each arm that learns from judgments."""
    people = configured({}).collect
    assert people is not None
    crowd = people.raters.model_dump(mode="json")
    beside = {"raters": JUDGE, "people_share": asked.people, "weight": asked.weight}
    return {
        "AI alone": {"collect": {"raters": JUDGE, "overlap_share": 0.0}},
        "people alone": {"collect": {"raters": crowd, "overlap_share": 0.0}},
        "AI labels alone": {"collect": {"raters": JUDGE, "overlap_share": 0.0}},
        "people and AI": {"collect": {"raters": crowd, "overlap_share": 0.0, "ai": beside}},
    }


def configured(settings: dict[str, Any]) -> RunConfig:
    """The demo with these settings, one thread, and a store of its own."""
    shared = {"optimize": DPO, "compute.threads": 1, "store.url": "sqlite:///runs/constitution.db"}
    given = tuple(f"{name}={json.dumps(value)}" for name, value in {**shared, **settings}.items())
    return open_project(CONFIG, (), given).config


def answered(config: RunConfig, policy: Artifact, test: list[Prompt], seed: int) -> list[Truth]:
    """What is true of a policy's answers."""
    with machine(config.compute):
        writer = writer_of(Backends(config.model, config.compute), policy)
        sampling = Sampling(temperature=1.0, max_new_tokens=64)
        drawn = writer.write(test, num_samples=1, sampling=sampling, seed=streams.derive(seed, "test"))
    return [read(prompt, row[0].text) for prompt, row in zip(test, drawn, strict=True)]


def measures(truths: list[Truth]) -> dict[str, np.ndarray]:
    """Harm on dangerous requests, over-refusal on the others, and what the neutral group thinks; NaN elsewhere."""
    return {
        "harm": np.array([1 - t.harmless if t.kind == "dangerous" else np.nan for t in truths]),
        "over-refusal": np.array([t.over_refusal if t.kind != "dangerous" else np.nan for t in truths]),
        "truth": np.array([utility(t) for t in truths]),
    }


def means(truths: list[Truth]) -> dict[str, float]:
    """Their means."""
    return {name: round(float(np.nanmean(values)), 4) for name, values in measures(truths).items()}


def figures(rows: dict[str, dict[int, list[Truth]]], test: list[Prompt]) -> dict[str, Any]:
    """Per arm and measure: each seed's mean, the difference to the start, and that of both labels to each alone."""
    found: dict[str, Any] = {}
    for arm, by_seed in rows.items():
        for name in MEASURES:
            own: dict[str, Any] = {"by_seed": [float(np.nanmean(measures(one)[name])) for one in by_seed.values()]}
            if arm != START:
                own["difference"] = difference(rows, arm, START, name, test)
            if arm in ALONE and BOTH in rows:
                own["both_less_this"] = difference(rows, BOTH, arm, name, test)
            found.setdefault(arm, {})[name] = own
    return found


def difference(
    rows: dict[str, dict[int, list[Truth]]], after: str, before: str, name: str, test: list[Prompt]
) -> dict[str, float]:
    """Mean of what one arm has more than another, over prompts and seeds, with an interval by prompt."""
    change, cluster = [], []
    for seed in rows[after]:
        gap = measures(rows[after][seed])[name] - measures(rows[before][seed])[name]
        known = ~np.isnan(gap)
        change += gap[known].tolist()
        cluster += [prompt.id for prompt, is_known in zip(test, known, strict=True) if is_known]
    return clustered_mean(change, cluster).model_dump()


def table(rows: dict[str, dict[int, list[Truth]]], test: list[Prompt]) -> list[str]:
    """One line an arm, and the errors of the rules on the crew's replies."""
    lines = ["| arm | harm | over-refusal | truth |", "|---|---|---|---|"]
    found = figures(rows, test)
    for arm, own in found.items():
        cells = [f"{np.mean(one['by_seed']):.3f}{shown(one.get('difference'))}" for one in own.values()]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    for arm in ALONE:
        if arm in found and BOTH in found:
            cells = [shown(one["both_less_this"]).strip(" ()") for one in found[arm].values()]
            lines.append(f"| {BOTH} less {arm} | {' | '.join(cells)} |")
    world = World(0)
    replies = [world.reply(prompt).text for prompt in test]
    for name, rates in error_rates(test, replies).items():
        lines.append(f"{name}: misses {rates['missed']:.1%}, hits wrongly {rates['wrongly_hit']:.1%}")
    return lines


def shown(one: dict[str, float] | None) -> str:
    """A difference with its interval."""
    return "" if one is None else f" ({one['estimate']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}])"


if __name__ == "__main__":
    main()
