"""Raters in the loss on real raters: `python benchmarks/ukp.py`, on UKPConvArg1 (Habernal & Gurevych 2016).

3,788 people said which of two arguments of a debate convinces more (or neither), about five of them per pair. Whole
debates are held out, in four folds, so that each of the twelve is held out once. Three reward models per fold and seed,
the same model and the same steps: Bradley-Terry on all votes (ties by Davidson), Bradley-Terry on the majority of each
pair, and the joint fit. They start from a policy that has seen no text of these debates, in docs/results.md the SFT
policy of `assent run configs/real-cpu.yaml` (--base FOLDER; else a small one is trained). --linear leaves its weights
alone and fits a linear reward on its states: seconds. The data are in the folder ASSENT_DATA (default ../shared/data).
What was measured is kept in runs/bench-ukp/fits.jsonl and not done again. Settings were chosen by --tune: on debates of
the first fold's training.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from assent.algorithms.rater_likelihood import RaterTerms, Votes, joint_loss
from assent.algorithms.rater_posterior import Evidence, Posterior, RaterState, Spreads, cut_points
from assent.artifacts.stage import Runner
from assent.core import seeds
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Judgment, Ranking
from assent.data.config import Source
from assent.data.load import load_comparisons
from assent.evaluation.reward_report import ceiling_of, rater_agreement
from assent.learner.checkpoint import Cadence
from assent.learner.scorer import score_groups
from assent.models.groups import pack
from assent.models.scalar import ScalarModel
from assent.pipeline.backends import Backends
from assent.pipeline.config import RunConfig
from assent.pipeline.learners import row_scorer, train_reward_model
from assent.pipeline.ranked import RankedGroups, ranked_groups
from assent.pipeline.rounds import prepare
from assent.stats.clustered import clustered_share, paired_difference
from assent.training.config import RewardConfig
from assent.training.loop import Loop
from assent.training.targets import shifted

DATA = Path(os.environ.get("ASSENT_DATA", "../shared/data"))
FOLDER = Path("runs/bench-ukp")
FOLDS = 4
METHODS = {
    "Bradley-Terry, every vote": {"kind": "none"},
    "Bradley-Terry, majority of each pair": {"kind": "none"},
    "raters in the loss": {"kind": "joint"},
}
TEXTS = {
    "path": str(DATA / "text_corpora/gutenberg_stories.jsonl.gz"),
    "format": "trl",
    "columns": {"text": "document"},
}
BASE = {
    "name": "bench-ukp",
    "base": {
        "kind": "scratch",
        "vocab_size": 4096,
        "shape": {"hidden": 128, "layers": 4, "heads": 4, "context": 384},
        "pretrain": {
            "epochs": 1,
            "batch_size": 16,
            "eval_share": 0.01,
            "patience": None,
            "optimizer": {"learning_rate": 0.003, "warmup": 0.05, "beta2": 0.98, "tokens_per_microbatch": 4096},
        },
    },
    "data": {
        "kind": "files",
        "corpus": [TEXTS | {"limit": 60}],
        "demonstrations": [{"path": str(DATA / "dolly_15k/dolly.jsonl.gz"), "format": "dolly", "limit": 5000}],
    },
    "sft": None,
    "collect": None,
    "compute": {"threads": 1},
}
RIDGE = 300.0
REWARD = {
    "epochs": 2,
    "batch_size": 1,
    "optimizer": {"learning_rate": 3e-4, "warmup": 0.1, "weight_decay": 0.05, "tokens_per_microbatch": 8192},
}
JOINT = {"warmup": 0.5, "refits_per_epoch": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tune", action="store_true", help="hold out debates of the first fold's training, seed 100")
    parser.add_argument("--base", type=Path, default=None, help="folder of a policy; its texts must not hold UKP's")
    parser.add_argument("--linear", action="store_true", help="a linear reward on the base's states, all else frozen")
    parser.add_argument("--epochs", type=float, default=REWARD["epochs"])
    parser.add_argument("--ridge", type=float, default=RIDGE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    debates = load_debates()
    config = RunConfig.parse(BASE, where="benchmarks/ukp.py")
    backends = Backends(config.model, config.compute)
    base = arguments.base or small_base(config)
    names = sorted({debate_of(c) for c in debates})
    folds = [names[i::FOLDS] for i in range(FOLDS)]
    if arguments.tune:
        debates = [c for c in debates if debate_of(c) not in folds[0]]
        folds = [[n for n in names if n not in folds[0]][::3]]
    known = {json.dumps(row["setting"]): row for row in _read(FOLDER / "fits.jsonl")}
    how = ["linear", arguments.ridge] if arguments.linear else ["reward model", arguments.epochs]
    rows = []
    for seed in [100] if arguments.tune else range(arguments.seeds):
        for number, fold in enumerate(folds):
            for method in METHODS:
                setting = [method, seed, number, arguments.tune, *how]
                if json.dumps(setting) not in known:
                    learn = [c for c in debates if debate_of(c) not in fold]
                    test = [c for c in debates if debate_of(c) in fold]
                    row = {"setting": setting, **measure(backends, base, learn, test, setting)}
                    known[json.dumps(setting)] = row
                    FOLDER.mkdir(parents=True, exist_ok=True)
                    with (FOLDER / "fits.jsonl").open("a") as stream:
                        stream.write(json.dumps(row) + "\n")
                rows.append(known[json.dumps(setting)])
    print_table([c for c in debates if any(debate_of(c) in fold for fold in folds)], rows)


def small_base(config: RunConfig) -> Path:
    """A policy of one million parameters, trained on stories and on Dolly."""
    with Runner(FOLDER, seed=0) as runner:
        return prepare(runner, config).base.file("policy")


def load_debates() -> list[Comparison]:
    """One comparison per side of a debate: all its arguments, and every vote on two of them as one judgment."""
    pairs = load_comparisons([Source(path=DATA / "ukp_convarg1/pairs.jsonl.gz", format="ukp")])[0]
    sides: dict[str, list[Comparison]] = defaultdict(list)
    for pair in pairs:
        sides[pair.prompt.id].append(pair)
    return [
        Comparison(
            prompt=of[0].prompt,
            completions=tuple({c.id: c for pair in of for c in pair.completions}.values()),
            judgments=tuple(j for pair in of for j in pair.judgments),
        )
        for of in sides.values()
    ]


def debate_of(side: Comparison) -> str:
    """The debate's name."""
    return str(side.prompt.meta["split_group"])


def majorities(side: Comparison) -> Comparison:
    """One judgment per pair of arguments: what most raters said; a tie where no outcome has more votes than others."""
    votes: dict[frozenset[str], Counter[tuple[tuple[str, ...], ...]]] = defaultdict(Counter)
    for judgment in side.judgments:
        assert judgment.ranking is not None
        tiers = judgment.ranking.tiers
        said = tiers if len(tiers) > 1 else (tuple(sorted(tiers[0])),)
        votes[frozenset(judgment.ranking.ids)][said] += 1
    decided = []
    for ids, count in votes.items():
        (first, most), *rest = count.most_common()
        tied = (tuple(sorted(ids)),)
        tiers = tied if rest and rest[0][1] == most else first
        decided.append(Judgment(task_id=side.prompt.id, rater_id="majority", ranking=Ranking(tiers=tiers)))
    return side.model_copy(update={"judgments": tuple(decided)})


def measure(
    backends: Backends, base: Path, learn: Sequence[Comparison], test: Sequence[Comparison], setting: list[Any]
) -> dict[str, Any]:
    """Train on some debates; how every argument of the others scores, and how sharp raters seemed."""
    method, seed, _, _, kind, number = setting
    if "majority" in method:
        learn = [majorities(c) for c in learn]
    model = backends.new_reward_model(base, seed=seeds.derive(seed, "ukp head"))
    renderer = backends.renderer(model)
    ranked, asked = (
        ranked_groups(c, renderer, limit=model.max_length, too_long="truncate_left") for c in (learn, test)
    )
    raters = METHODS[method] | (JOINT if METHODS[method]["kind"] == "joint" else {})
    start = time.process_time()
    if kind == "linear":
        scores, sharpness = linear(model, ranked, asked, is_joint=raters["kind"] == "joint", ridge=number)
    else:
        reward = RewardConfig.parse(REWARD | {"raters": raters, "epochs": number}, where="ukp")
        with tempfile.TemporaryDirectory() as folder:
            log = RunLog(Path(folder), quiet=True, tensorboard=False)
            loop = Loop(Path(folder), log, seeds.derive(seed, "ukp"), Cadence(1e9))
            fit = train_reward_model(model, ranked.groups, ranked.targets, reward, loop).raters
        scores = score_groups(row_scorer(model), asked.groups, budget=8192)
        sharpness = None if fit is None else fit.sharpness
    seconds = time.process_time() - start
    left = iter(scores)
    found = {c.prompt.id: {a.id: next(left) for a in c.completions} for c in asked.comparisons}
    spread = None if sharpness is None else np.quantile(sharpness, [0.05, 0.25, 0.5, 0.75, 0.95]).round(3).tolist()
    return {"seconds": round(seconds, 1), "scores": found, "sharpness": spread}


def linear(
    model: ScalarModel, learn: RankedGroups, test: RankedGroups, *, is_joint: bool, ridge: float
) -> tuple[list[float], np.ndarray | None]:
    """A linear reward on frozen features, in turns with its raters until both stand still (five turns)."""
    seen, asked = features(model, learn), features(model, test)
    mean, spread = seen.mean(0), seen.std(0) + 1e-6
    x = torch.tensor((seen - mean) / spread)
    names = sorted({r for t in learn.targets for r in t.raters}) if is_joint else ["everybody"]
    number = {name: i for i, name in enumerate(names)}
    starts = np.cumsum([0, *(len(g.continuations) for g in learn.groups)])
    parts = []
    for target, start in zip(learn.targets, starts[:-1], strict=True):
        who = torch.tensor([number[r] if is_joint else 0 for r in target.raters])
        parts.append(replace(shifted(target.votes, int(start)), rater=who[target.votes.rater]))
    votes = Votes.join(parts)
    spreads = Spreads() if is_joint else Spreads(sharpness=1e-3)
    if not is_joint:
        votes = replace(votes, first=votes.first * 0)
    state = RaterState.start(len(names), 0, 0)
    weights = np.zeros(x.shape[1])
    for _ in range(5 if is_joint else 2):
        evidence = Evidence(
            votes, x.numpy() @ weights, np.zeros((len(x), 0)), np.full(len(names), -1), 0, has_ties=True
        )
        posterior = Posterior(evidence, spreads)
        state = posterior.minimize(state)
        weights = fitted_weights(x, votes, terms_of(state, posterior), weights, ridge)
    return (((asked - mean) / spread) @ weights).tolist(), state.sharpness if is_joint else None


def terms_of(state: RaterState, posterior: Posterior) -> RaterTerms:
    """Raters as constants of the loss."""
    return RaterTerms(
        sharpness=torch.tensor(state.sharpness),
        position=torch.tensor(state.pool[0] + state.position),
        length=torch.tensor(state.length - posterior.rater_share @ state.length),
        cuts=torch.tensor(cut_points(state, has_ties=True)),
        group=torch.full((len(state.sharpness),), -1),
        offsets=torch.zeros(0, 0, dtype=torch.float64),
    )


def fitted_weights(x: torch.Tensor, votes: Votes, terms: RaterTerms, start: np.ndarray, ridge: float) -> np.ndarray:
    """The weights that make the votes most likely, the raters given, under a ridge."""

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(flat, requires_grad=True)
        loss = (joint_loss(x @ weights, None, votes, terms) * votes.weight).sum() + ridge / 2 * weights.square().sum()
        loss.backward()
        assert weights.grad is not None
        return loss.item(), weights.grad.numpy()

    return np.asarray(minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x)


@torch.no_grad()
def features(model: ScalarModel, ranked: RankedGroups) -> np.ndarray:
    """Per argument: the base's state at its end, and its log words."""
    rows = torch.zeros(sum(len(g.continuations) for g in ranked.groups), model.core.score.in_features)
    for batch in pack(ranked.groups, budget=8192):
        rows[list(batch.rows)] = model.at_last_with_states(batch)[1]
    words = [np.log(max(1, len(a.text.split()))) for c in ranked.comparisons for a in c.completions]
    return np.column_stack([rows.double().numpy(), words])


def print_table(held_out: Sequence[Comparison], rows: Sequence[dict[str, Any]]) -> None:
    """Accuracy on every held-out vote and on the majority of each pair, with intervals clustered by debate."""
    by: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by[row["setting"][0]].append(row)
    hits = {method: over_seeds(held_out, of) for method, of in by.items()}
    reference = hits["Bradley-Terry, every vote"]
    print("| | votes | majority of each pair | - Bradley-Terry, every vote (votes, points) | seconds of one thread |")
    print("|---|---|---|---|---|")
    for method, (votes, majority, clusters) in hits.items():
        gain = paired_difference(100 * np.array(votes), 100 * np.array(reference[0]), clusters[0])
        seconds = np.mean([row["seconds"] for row in by[method]])
        print(
            f"| {method} | {clustered_share(votes, clusters[0])} | {clustered_share(majority, clusters[1])}"
            f" | {gain.estimate:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] | {seconds:.0f} |"
        )
    words = {c.prompt.id: {a.id: float(len(a.text.split())) for a in c.completions} for c in held_out}
    votes, majority, clusters = accuracies(held_out, words)
    print(f"| longer wins | {clustered_share(votes, clusters[0])} | {clustered_share(majority, clusters[1])} | | |")
    agreed = rater_agreement(held_out)
    print(f"| two raters agree | {agreed} | | | |")
    print(f"| a perfect score, at most | {ceiling_of(agreed)} | | | |")
    print("\nsharpness (quantiles .05 .25 .5 .75 .95):", [row["sharpness"] for row in by["raters in the loss"]])
    for method, of in by.items():
        each = [np.mean(over_seeds(held_out, [r for r in of if r["setting"][1] == s])[0]) for s in _seeds(of)]
        print(method, "votes, per seed:", np.round(each, 4).tolist())


def over_seeds(
    held_out: Sequence[Comparison], rows: Sequence[dict[str, Any]]
) -> tuple[np.ndarray, np.ndarray, tuple[list[str], list[str]]]:
    """Hits of each vote and each majority, averaged over seeds, with their debates."""
    parts = []
    for seed in _seeds(rows):
        scores = {k: v for row in rows if row["setting"][1] == seed for k, v in row["scores"].items()}
        parts.append(accuracies(held_out, scores))
    votes, majority, clusters = zip(*parts, strict=True)
    return np.mean(votes, axis=0), np.mean(majority, axis=0), clusters[0]


def accuracies(
    held_out: Sequence[Comparison], scores: dict[str, dict[str, float]]
) -> tuple[list[float], list[float], tuple[list[str], list[str]]]:
    """For each decided vote, and each decided majority: 1 where its better argument scores higher."""
    found: list[tuple[list[float], list[str]]] = [([], []), ([], [])]
    for side in held_out:
        for (hits, clusters), of in zip(found, (side, majorities(side)), strict=True):
            for judgment in of.judgments:
                assert judgment.ranking is not None
                for better, worse, is_tie in judgment.ranking.pairs():
                    if not is_tie:
                        lead = scores[side.prompt.id][better] - scores[side.prompt.id][worse]
                        hits.append(0.5 if lead == 0 else float(lead > 0))
                        clusters.append(debate_of(side))
    return found[0][0], found[1][0], (found[0][1], found[1][1])


def _seeds(rows: Sequence[dict[str, Any]]) -> list[int]:
    return sorted({row["setting"][1] for row in rows})


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
