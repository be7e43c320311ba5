"""A finished run of random tiny models in the current folder: the artifacts of a real one, without the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.evaluation.report import EvaluationReport, Judge
from assent.evaluation.winrate import WinRate
from assent.models.config import LoraConfig, ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny
from assent.pipeline.record import write_rounds
from assent.stats.estimate import Estimate

LORA = ModelConfig(lora=LoraConfig(rank=4))


class Loading(Config):
    """The part of a stage's config that says how its model was loaded."""

    model: ModelConfig = ModelConfig()
    """How."""


@stage(name="sft", version=1, kind="policy")
def tune(ctx: StageContext, config: Loading) -> dict[str, Any]:
    save_tiny(ctx.output / "policy", "llama")
    return {"examples": 40}


@stage(name="fit reward", version=1, kind="reward")
def fit(ctx: StageContext, config: Loading, *, start: Artifact) -> dict[str, Any]:
    model = ScalarModel.from_policy(start.file("policy"), config=config.model, seed=2)
    nudge(model)
    model.save(ctx.output / "reward")
    return {"heldout_accuracy": {"estimate": 0.7, "low": 0.6, "high": 0.8}}


@stage(name="optimize", version=1, kind="policy")
def improve(ctx: StageContext, config: Loading, *, start: Artifact, reward: Artifact) -> dict[str, Any]:
    policy = PolicyModel.load(start.file("policy"), config=config.model, trainable=True)
    nudge(policy)
    policy.save(ctx.output / "policy", merged=True)
    if config.model.lora is not None:
        policy.save(ctx.output / "adapter")
    return {"steps": 6}


@stage(name="evaluate", version=1, kind="evaluation")
def judge(ctx: StageContext, config: Loading, *, policy: Artifact) -> dict[str, Any]:
    half, wins = Estimate(estimate=0.5, low=0.4, high=0.6), Estimate(estimate=0.8, low=0.75, high=0.85)
    compared = WinRate(
        win_rate=wins,
        length_controlled=half,
        over_raters=None,
        ties=0.0,
        first_shown=half,
        swap_consistency=None,
        new_is_longer=0.5,
        new_length=20.0,
        baseline_length=20.0,
        prompts=40,
        raters=1,
        verdicts=80,
    )
    report = EvaluationReport(judge=Judge.named("simulated"), win_rate=compared)
    report.write(ctx.output)
    return report.facts()


def nudge(model: PolicyModel | ScalarModel) -> None:
    """Move the weights, so that an adapter is not zero."""
    for parameter in model.parameters().values():
        parameter.data.add_(0.02)


def make_run(folder: Path, *, rounds: int = 2, model: ModelConfig = LORA) -> Path:
    """A run of so many rounds in `folder`."""
    loading = Loading(model=model)
    with Runner(folder, seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as run:
        policy = run(tune, loading, extra={"demonstrations.jsonl": "9c" * 32})
        for number in range(1, rounds + 1):
            with run.within("round", number):
                reward = run(fit, loading, start=policy)
                policy = run(improve, loading, start=policy, reward=reward)
                run(judge, loading, policy=policy)
        write_rounds(folder, run.steps)
    return folder
