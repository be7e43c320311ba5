"""A small finished run, written through the real writers, with made-up numbers that tests can look for."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assent.artifacts.store import Artifact, ArtifactStore, Manifest
from assent.core import files
from assent.core.hashing import hash_json
from assent.core.runlog import RunLog
from assent.evaluation.reward_report import ReliabilityBin, RewardReport
from assent.evaluation.winrate import WinRate
from assent.stats.estimate import Estimate

PPO = {"kind": "ppo", "kl": {"kind": "adaptive", "target": 6.0}}
DPO = {"kind": "dpo", "beta": 0.1}


def estimate(value: float, half: float = 0.05) -> Estimate:
    return Estimate(estimate=value, low=value - half, high=value + half)


WINS = WinRate(
    win_rate=Estimate(estimate=0.83, low=0.78, high=0.87),
    length_controlled=estimate(0.8),
    over_raters=None,
    ties=0.06,
    first_shown=estimate(0.51),
    swap_consistency=0.92,
    new_is_longer=0.44,
    new_length=180.0,
    baseline_length=190.0,
    prompts=40,
    raters=6,
    verdicts=80,
)
REPORT = RewardReport(
    accuracy=estimate(0.71),
    rater_agreement=estimate(0.70),
    ceiling=estimate(0.82),
    longer_wins=estimate(0.54),
    ece=0.031,
    brier=0.19,
    bins=tuple(
        ReliabilityBin(low=i / 10, high=i / 10 + 0.1, count=10 + i, predicted=i / 10 + 0.05,
                       observed=min(1, i / 10 + 0.06), lower=max(0, i / 10 - 0.05), upper=min(1, i / 10 + 0.15))
        for i in range(10)
    ),
    slices={"kind=ordinary": estimate(0.72), "kind=dangerous": estimate(0.81), "kind=lookalike": estimate(0.66)},
    by_source={},
    by_lead={"lead 0 to 0.5": estimate(0.55), "lead 0.5 to 1": estimate(0.7), "lead above 4": estimate(0.94, 0.03)},
    by_strength={},
    pairs=812,
    prompts=140,
)  # fmt: skip
BEFORE = {
    "helpful": 0.41,
    "honest": 0.7,
    "harmless": 0.9,
    "harm": 0.5,
    "over_refusal": 0.2,
    "fluent": 0.93,
    "mean_length": 41.0,
}
AFTER = {
    "helpful": 0.72,
    "honest": 0.88,
    "harmless": 0.97,
    "harm": 0.12,
    "over_refusal": 0.05,
    "fluent": 0.94,
    "mean_length": 38.0,
}


@dataclass
class MadeRun:
    """Writes artifacts one after the other; `truth`, `wins` and `reward` say what the run measures."""

    folder: Path
    rounds: int = 1
    optimize: dict[str, Any] = field(default_factory=lambda: PPO)
    wins: WinRate | None = WINS
    truth: bool = True
    reward: bool = True
    judge: str = "simulated"
    answers: Sequence[dict[str, Any]] = ()
    slices: dict[str, float] | None = None
    steps: int = 60

    def __post_init__(self) -> None:
        self.store = ArtifactStore(self.folder / "artifacts", say=print)
        self._count = 0

    def write(self) -> Path:
        prompts, demonstrations = (
            self.artifact("gather", "data", part="prompts"),
            self.artifact("gather", "data", part="demonstrations"),
        )
        base = self.artifact("base", "policy", log=self.losses(6.0))
        sft = self.artifact("sft", "policy", log=self.losses(2.0), base=base, demonstrations=demonstrations)
        policy, judgments, rounds = sft, None, []
        for number in range(1, self.rounds + 1):
            stages = self.round(number, policy, prompts, judgments)
            policy, judgments = stages["optimize"], stages["collect"]
            rounds.append(stages)
        if self.rounds > 1:
            self.evaluation("final", policy, sft, prompts)
        values = {
            "name": "made-up",
            "seed": 7,
            "version": "0.1.0",
            "rounds": [
                {"round": n, "judgments": 400 * n, "artifacts": {stage: a.name for stage, a in stages.items()}}
                for n, stages in enumerate(rounds, start=1)
            ],
        }
        files.write_json(self.folder / "result.json", values)
        return self.folder

    def round(
        self, number: int, policy: Artifact, prompts: Artifact, judgments: Artifact | None
    ) -> dict[str, Artifact]:
        earlier = {} if judgments is None else {"earlier": judgments}
        samples = self.artifact("sample", "samples", round=number, policy=policy, prompts=prompts)
        found = {"sample": samples, "collect": self.artifact("collect", "judgments", samples=samples, **earlier)}
        used = {"judgments": found["collect"]}
        if self.reward:
            slices = REPORT.slices if self.slices is None else {name: estimate(v) for name, v in self.slices.items()}
            report = {"report.json": REPORT.model_copy(update={"slices": slices}).model_dump_json()}
            log = [{"loss": 0.7 - 0.003 * i, "accuracy": 0.5 + 0.004 * i} for i in range(50)]
            found["reward"] = self.artifact("fit reward", "reward", texts=report, log=log, start=policy, **used)
            used = {"reward": found["reward"], "prompts": prompts}
        found["optimize"] = self.artifact(
            "optimize", "policy", optimize=self.optimize, log=self.moves(), start=policy, **used
        )
        found["evaluate"] = self.evaluation(f"round {number}", found["optimize"], policy, prompts)
        return found

    def evaluation(self, scope: str, policy: Artifact, baseline: Artifact, prompts: Artifact) -> Artifact:
        def card(values: dict[str, float]) -> dict[str, Any]:
            return {**{n: {**estimate(v, 0.03).model_dump(), "n": 40} for n, v in values.items()}, "n": 40}

        values = {
            "judge": self.judge,
            "win_rate": None if self.wins is None else self.wins.model_dump(),
            "truth": {"before": card(BEFORE), "after": card(AFTER)} if self.truth else None,
            "kl_per_response": estimate(5.8, 0.4).model_dump(),
            "reward_before": estimate(0.02).model_dump() if self.reward else None,
            "reward_after": estimate(1.31).model_dump() if self.reward else None,
        }
        texts = {"evaluation.json": json.dumps(values)}
        if self.answers:
            texts["samples.jsonl"] = "".join(json.dumps(a) + "\n" for a in self.answers)
        made = {"policy": policy, "baseline": baseline, "prompts": prompts}
        asked = {"sampling": {"temperature": 0.7, "top_p": 0.8, "top_k": None, "max_new_tokens": 64, "stop": []}}
        return self.artifact("evaluate", "evaluation", texts=texts, scope=scope, evaluate=asked, **made)

    def artifact(
        self, stage: str, kind: str, *, texts: dict[str, str] | None = None, log: Any = (), **given: Any
    ) -> Artifact:
        """Commit an artifact; whatever of `given` is an artifact becomes an input, the rest its config."""
        self._count += 1
        inputs = {name: value.key for name, value in given.items() if isinstance(value, Artifact)}
        config = {name: value for name, value in given.items() if not isinstance(value, Artifact)}
        output = self.folder / "work" / str(self._count)
        output.mkdir(parents=True)
        for name, text in (texts or {}).items():
            files.write_text(output / name, text)
        if log:
            with RunLog(output, quiet=True, tensorboard=False) as run_log:
                for step, values in enumerate(log):
                    kind_of = "eval" if "eval_loss" in values else "train"
                    run_log.record(values.pop("step", step), values, kind=kind_of)
        key = hash_json([stage, config, inputs, self._count])
        manifest = Manifest(
            kind=kind,
            key=key,
            stage=stage,
            version=1,
            config=config,
            inputs=inputs,
            seconds=3.7 * self._count,
            created=f"2026-01-05T10:{self._count:02d}:00+00:00",
            package="0.1.0",
        )
        return self.store.commit(output, manifest)

    def losses(self, start: float) -> list[dict[str, float]]:
        rng = np.random.default_rng(1)
        train = [{"loss": start * math.exp(-i / 60) + 1 + 0.1 * rng.normal()} for i in range(self.steps)]
        held_out = [{"step": i, "eval_loss": start * math.exp(-i / 60) + 1.1} for i in range(9, self.steps, 10)]
        return train + held_out

    def moves(self) -> list[dict[str, float]]:
        if self.optimize["kind"] == "dpo":
            shared = {"better_gain": -0.5, "grad_norm": 1.0, "learning_rate": 1e-6}
            return [
                {"loss": 0.69 - 0.004 * i, "accuracy": 0.5 + 0.005 * i, "margin": 0.01 * i, **shared}
                for i in range(self.steps)
            ]
        rng = np.random.default_rng(2)

        def noisy(value: float, spread: float) -> float:
            return value + spread * rng.normal()

        rise = [1 - math.exp(-3 * i / self.steps) for i in range(self.steps)]
        return [
            {
                "reward": noisy(1.4 * r, 0.1),
                "kl_per_response": noisy(6.2 * r**2, 0.1),
                "entropy": noisy(1.1 - 0.4 * r, 0.02),
                "length": noisy(44 - 6 * r, 1.0),
                "eos_rate": min(1, 0.9 + 0.1 * r),
                "clip_fraction": noisy(0.08, 0.01),
                "approx_kl": noisy(0.01, 0.002),
                "explained_variance": 0.8 * r,
                "value_loss": noisy(0.6 - 0.4 * r, 0.03),
                "sampler_gap_max": 1e-5 * (1 + abs(rng.normal())),
                "kl_coefficient": 0.05 + 0.02 * r,
                "policy_updates": 4.0,
                "grad_norm": noisy(0.6, 0.1),
            }
            for r in rise
        ]
