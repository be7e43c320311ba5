"""Measure: one suite, asked of one policy or one reward model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.config import Config
from assent.evaluation.catalog import suite_of
from assent.evaluation.exam import Exam, sit
from assent.evaluation.outcomes import Found, estimates, report
from assent.evaluation.subject import Subject
from assent.evaluation.suite import SuiteReport
from assent.evaluation.suites.config import SuiteConfig
from assent.models.config import ModelConfig
from assent.pipeline.backends import TOKENS_PER_MICROBATCH, Backends, machine
from assent.pipeline.config import ComputeConfig, RunConfig
from assent.pipeline.learners import policy_scorer
from assent.pipeline.subjects import PolicySubject, RewardSubject


class MeasureStage(Config):
    """What decides what a suite finds."""

    suite: SuiteConfig
    """The suite and its settings."""
    items_seed: int
    """Draws the items and the answers: the same of every policy of a run, so that they can be compared by item."""
    model: ModelConfig
    """How the subject is loaded."""
    compute: ComputeConfig
    """Where it runs."""

    @classmethod
    def all_of(cls, config: RunConfig) -> dict[str, MeasureStage]:
        """The suites of a run by their titles."""
        seed = seeds.derive(config.seed, "suites")
        return {
            one.title: cls(suite=one, items_seed=seed, model=config.model, compute=config.compute)
            for one in config.suites
        }


@stage(name="measure", version=1, kind="measurement")
def run_measure(
    ctx: StageContext, config: MeasureStage, *, policy: Artifact | None = None, reward: Artifact | None = None
) -> dict[str, Any]:
    """Write outcomes.jsonl, an outcome per item, and found.json; notes are the measures with their intervals."""
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        subject = subject_of(backends, policy, reward)
        found = examined(config, subject, log=ctx.log.say)
    found.write(ctx.output)
    measures = estimates(found.outcomes, suite_of(config.suite).kinds)
    return {name: None if one is None else one.model_dump() for name, one in measures.items()}


def examined(config: MeasureStage, subject: Subject, *, log: Any) -> Found:
    """What the suite finds of a subject, and says of it in a line."""
    suite = suite_of(config.suite)
    found = sit(suite, config.suite, Exam(subject, config.items_seed))
    said = estimates(found.outcomes, suite.kinds)
    for name, one in said.items():
        if one is not None:
            log(f"{config.suite.title} {name.replace('_', ' ')}: {one}")
    if left := [name.replace("_", " ") for name, one in said.items() if one is None]:
        log(f"{config.suite.title}, does not apply: {', '.join(left)}")
    for name, value in suite.remarks(config.suite, found.outcomes).items():
        log(f"{config.suite.title} {name}: {value}")
    return found


def subject_of(backends: Backends, policy: Artifact | None, reward: Artifact | None) -> Subject:
    """The policy, or the reward model, as a subject."""
    if policy is not None:
        return policy_subject(backends, policy.file("policy"), name=policy.name)
    assert reward is not None
    return reward_subject(backends, reward.file("reward"), name=reward.name)


def policy_subject(backends: Backends, folder: Path | str, *, name: str) -> PolicySubject:
    """A policy's folder, loaded."""
    model = backends.policy(folder, trainable=False)
    writer, scorer = backends.writer(model, name=name), policy_scorer(model)
    return PolicySubject(name, writer, writer.renderer, scorer, model.max_length, TOKENS_PER_MICROBATCH)


def reward_subject(backends: Backends, folder: Path | str, *, name: str) -> RewardSubject:
    """A reward model's folder, loaded."""
    return RewardSubject(name, backends.scorer(folder, normalize=True))


def suite_reports(
    after: Mapping[str, Artifact], before: Mapping[str, Artifact], config: Mapping[str, MeasureStage]
) -> dict[str, SuiteReport]:
    """What each suite found of the newer subject, beside the one before it."""
    found = {}
    for title, artifact in after.items():
        stage_config = config[title.removesuffix(OF_REWARD)]
        earlier = Found.read(before[title].folder) if title in before else None
        found[title] = report(Found.read(artifact.folder), suite_of(stage_config.suite).kinds, before=earlier)
    return found


OF_REWARD = " of the reward model"
"""What is added to a suite's title where a reward model sat it."""
