"""KTO, soft labels and K-wise DPO beside plain DPO on people's own judgments: `python benchmarks/preferences.py`.

UKPConvArg1: which of two arguments convinces more, about five votes per pair; whole debates are held out.
OpenAssistant: replies to a message ranked by volunteers, 2 to 9 of them; whole trees are held out. Each seed draws
other training data, and another third is held out. Every method takes one pass over the same comparisons from the same
small base, which is trained on stories first and has seen none of these texts (--base FOLDER: another one). Measured is
the implicit reward β log π/π_ref on held-out pairs: the share in which it agrees with the people, and the negative
log-likelihood of their votes under it. What was measured is kept in --out and not done again, so that a stopped run
goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ukp import BASE, DATA, TEXTS

from assent.algorithms.soft_labels import share_labels
from assent.artifacts.stage import Runner
from assent.core import seeds
from assent.core.runlog import RunLog
from assent.core.types import Comparison
from assent.data.config import Source
from assent.data.load import load_comparisons
from assent.learner.checkpoint import Cadence
from assent.learner.scorer import sum_logps
from assent.pipeline.backends import Backends
from assent.pipeline.config import RunConfig
from assent.pipeline.learners import policy_learner, policy_scorer
from assent.pipeline.ranked import RankedGroups, ranked_groups
from assent.pipeline.rounds import prepare
from assent.stats.clustered import clustered_mean, clustered_share, paired_difference
from assent.training.config import methods
from assent.training.dpo import train_dpo
from assent.training.kto import Said, train_kto
from assent.training.labels import labels_of
from assent.training.loop import Loop
from assent.training.preference_config import KTOConfig
from assent.training.targets import softened

DOLLY = {"path": str(DATA / "dolly_15k/dolly.jsonl.gz"), "format": "dolly"}
SHARED = {
    "beta": 0.1,
    "epochs": 1,
    "batch_size": 8,
    "optimizer": {"learning_rate": 3e-4, "warmup": 0.1, "tokens_per_microbatch": 4096},
}
METHODS: dict[str, dict[str, Any]] = {
    "DPO": {"kind": "dpo"},
    "DPO, soft labels": {"kind": "dpo", "labels": "soft"},
    "DPO, K-wise": {"kind": "dpo", "ranking": "plackett_luce"},
    "KTO": {"kind": "kto"},
}
SETS = {"UKP": ["DPO", "DPO, soft labels", "KTO"], "OpenAssistant": ["DPO", "DPO, soft labels", "DPO, K-wise", "KTO"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--pairs", type=int, default=300, help="comparisons to learn from, at most")
    parser.add_argument("--tests", type=int, default=300, help="comparisons to test on, at most")
    parser.add_argument("--base", type=Path, default=None, help="folder of a policy that has seen none of the texts")
    parser.add_argument("--out", type=Path, default=Path("runs/preferences.jsonl"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = small_run()
    backends, base = Backends(config.model, config.compute), arguments.base or small_base(config)
    lines = arguments.out.read_text().splitlines() if arguments.out.is_file() else []
    rows = [json.loads(line) for line in lines]
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            learn, test = drawn(name, seed, arguments.pairs, arguments.tests)
            for method in SETS[name]:
                setting = [name, method, seed, arguments.pairs, arguments.tests]
                if all(row["setting"] != setting for row in rows):
                    rows.append({"setting": setting, **measure(backends, base, learn, test, method, seed)})
                    arguments.out.parent.mkdir(parents=True, exist_ok=True)
                    with arguments.out.open("a") as stream:
                        stream.write(json.dumps(rows[-1]) + "\n")
    chosen = [r for r in rows if r["setting"][3:] == [arguments.pairs, arguments.tests]]
    for name in arguments.sets:
        print_table(name, [row for row in chosen if row["setting"][0] == name])


def small_run() -> RunConfig:
    """The base of `ukp.py` on fewer texts: a tokenizer and a million weights from some stories and answers of Dolly."""
    corpus, dolly = ([{**one, "limit": limit}] for one, limit in ((TEXTS, 30), (DOLLY, 500)))
    data = {"kind": "files", "corpus": corpus, "demonstrations": dolly}
    return RunConfig.parse(BASE | {"name": "bench-preferences", "data": data}, where="benchmarks/preferences.py")


def small_base(config: RunConfig) -> Path:
    """Trained once, and kept."""
    with Runner(Path("runs/bench-preferences"), seed=0) as runner:
        return prepare(runner, config).base.file("policy")


def drawn(name: str, seed: int, pairs: int, tests: int) -> tuple[list[Comparison], list[Comparison]]:
    """Comparisons to learn from and to test on: of a third of the debates or trees, drawn anew for each seed."""
    where = {"UKP": "ukp_convarg1/pairs.jsonl.gz", "OpenAssistant": "oasst_en_100_trees/trees.jsonl.gz"}[name]
    every = load_comparisons([Source(path=DATA / where, format="ukp" if name == "UKP" else "oasst")])[0]
    random = seeds.stream(seed, "preferences", name)
    clusters = sorted({cluster_of(c) for c in every})
    held_out = set(random.permutation(clusters)[: math.ceil(len(clusters) / 3)])
    order = [every[i] for i in random.permutation(len(every))]
    return (
        [c for c in order if cluster_of(c) not in held_out][:pairs],
        [c for c in order if cluster_of(c) in held_out][:tests],
    )


def cluster_of(comparison: Comparison) -> str:
    """The debate or the tree."""
    return str(comparison.prompt.meta.get("split_group", comparison.prompt.id))


def measure(
    backends: Backends, base: Path, learn: Sequence[Comparison], test: Sequence[Comparison], method: str, seed: int
) -> dict[str, Any]:
    """Train once; how the implicit reward orders each held-out pair, with the votes on it and its cluster."""
    own = METHODS[method]
    settings = methods()[own["kind"]].parse(SHARED | own, where=method)
    policy, start = (backends.policy(base, trainable=trainable) for trainable in (True, False))
    read = partial(ranked_groups, renderer=backends.renderer(policy), limit=policy.max_length, too_long="truncate_left")
    ranked, asked = read(learn), read(test)
    learner = policy_learner(policy, settings.optimizer)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        log = RunLog(Path(folder), quiet=True, tensorboard=False)
        loop = Loop(Path(folder), log, seeds.derive(seed, "preferences"), Cadence(1e9))
        if isinstance(settings, KTOConfig):
            train_kto(learner, labelled(ranked), settings, loop)
        else:
            soft = getattr(settings, "labels", "hard") == "soft"
            targets = [softened(t, partial(share_labels, prior=1.0)) if soft else t for t in ranked.targets]
            train_dpo(learner, ranked.groups, targets, settings, loop)
    seconds = time.process_time() - begin
    now, before = (sum_logps(policy_scorer(one), asked.groups, budget=4096) for one in (policy, start))
    rewards = SHARED["beta"] * (now - before)  # type: ignore[operator]
    return {"seconds": round(seconds, 1), "learned": len(ranked.groups), "pairs": pairs_of(asked, rewards)}


def labelled(ranked: RankedGroups) -> Said:
    """Groups with the answers that the judgments call good or bad."""
    groups: list[Any] = []
    says, weights = [], []
    for comparison, group in zip(ranked.comparisons, ranked.groups, strict=True):
        found = labels_of([comparison], middle=3.0).labelled
        if found:
            place = {c.id: i for i, c in enumerate(comparison.completions)}
            kept = tuple(group.continuations[place[c.id]] for c in found[0].completions)
            groups.append(type(group)(group.prompt, kept))
            says.append(found[0].says)
            weights.append(found[0].weights)
    return groups, says, weights


def pairs_of(asked: RankedGroups, rewards: torch.Tensor) -> list[tuple[str, float, int, int]]:
    """Of each held-out pair with any decided vote: its cluster, the gap of rewards, votes for the first and against."""
    found, start = [], 0
    for comparison in asked.comparisons:
        own = {c.id: float(rewards[start + i]) for i, c in enumerate(comparison.completions)}
        start += len(own)
        votes: dict[tuple[str, str], list[int]] = {}
        for judgment in comparison.judgments:
            for better, worse, is_tie in judgment.ranking.pairs() if judgment.ranking else ():
                first, second = sorted((better, worse))
                if not is_tie:
                    votes.setdefault((first, second), [0, 0])[better != first] += 1
        found += [(cluster_of(comparison), own[a] - own[b], *count) for (a, b), count in votes.items()]
    return found


def print_table(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Accuracy on the majority of each pair, nats per vote, and differences to DPO, clustered by debate or tree."""
    print(f"\n{name}: held-out pairs by majority; intervals by cluster\n")
    print("| | agrees with the majority | - DPO, points | nats per vote | - DPO | by seed | seconds |")
    print("|---|---|---|---|---|---|---|")
    plain = {row["setting"][2]: row["pairs"] for row in rows if row["setting"][1] == "DPO"}
    for method in SETS[name]:
        own = [row for row in rows if row["setting"][1] == method and row["setting"][2] in plain]
        if not own:
            continue
        hits, nats, clusters = joined([row["pairs"] for row in own])
        base_hits, base_nats, _ = joined([plain[row["setting"][2]] for row in own])
        gain = paired_difference(100 * hits, 100 * base_hits, clusters)
        less = paired_difference(nats, base_nats, clusters)
        by_seed = ", ".join(f"{joined([row['pairs']])[0].mean():.3f}" for row in own)
        print(
            f"| {method} | {clustered_share(hits, clusters)} | {gain.estimate:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]"
            f" | {clustered_mean(nats, clusters).estimate:.3f}"
            f" | {less.estimate:+.3f} [{less.low:+.3f}, {less.high:+.3f}] | {by_seed}"
            f" | {np.mean([row['seconds'] for row in own]):.0f} |"
        )
        if method == SETS[name][-1]:
            print(f"\n{len(hits)} pairs of {len(set(clusters))} clusters over {len(own)} seeds")


def joined(parts: Sequence[Sequence[Sequence[Any]]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Hits of the majority and mean nats of the votes of each pair that a majority decides, with its cluster."""
    decided = [pair for pairs in parts for pair in pairs if pair[2] != pair[3]]
    gaps, first, second = (np.array([pair[i] for pair in decided], float) for i in (1, 2, 3))
    hits = np.where(gaps == 0, 0.5, (gaps > 0) == (first > second))
    nats = (first * np.logaddexp(0, -gaps) + second * np.logaddexp(0, gaps)) / (first + second)
    return hits.astype(float), nats, [str(pair[0]) for pair in decided]


if __name__ == "__main__":
    main()
