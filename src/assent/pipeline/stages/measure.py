"""Measure: one suite, asked of one policy or one reward model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core.errors import ConfigError
from assent.evaluation.catalog import suite_of
from assent.evaluation.exam import Exam, sit
from assent.evaluation.outcomes import OF_REWARD, Found, estimates, report
from assent.evaluation.subject import Subject
from assent.evaluation.suite import SuiteReport
from assent.pipeline.backends import TOKENS_PER_MICROBATCH, Backends, machine
from assent.pipeline.judging import panel_of
from assent.pipeline.learners import policy_scorer
from assent.pipeline.stages.settings import MeasureStage
from assent.pipeline.subjects import PolicySubject, RewardSubject, Watch
from assent.raters.rater import SingleRater


def run_measure(
    ctx: StageContext, config: MeasureStage, *, policy: Artifact | None = None, reward: Artifact | None = None
) -> dict[str, Any]:
    """Write outcomes.jsonl, an outcome per item, and found.json; notes are the measures with their intervals."""
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        subject = subject_of(backends, policy, reward, watch=ctx.log.progress)
        found = examined(config, subject, judge=judge_of(config, backends), log=ctx.log.say)
    found.write(ctx.output)
    measures = estimates(found.outcomes, suite_of(config.suite).measures(config.suite))
    return {name: None if one is None else one.model_dump(mode="json") for name, one in measures.items()}


def examined(config: MeasureStage, subject: Subject, *, judge: SingleRater | None, log: Callable[[str], None]) -> Found:
    """What the suite finds of a subject, and says of it in a line."""
    suite = suite_of(config.suite)
    found = sit(suite, config.suite, Exam(subject, config.items_seed, judge))
    said = estimates(found.outcomes, suite.measures(config.suite))
    for name, one in said.items():
        if one is not None:
            log(f"{config.suite.title} {name.replace('_', ' ')}: {one}")
    if left := [name.replace("_", " ") for name, one in said.items() if one is None]:
        log(f"{config.suite.title}, does not apply: {', '.join(left)}")
    for name, value in found.notes.items():
        if isinstance(value, str):
            log(f"{config.suite.title} {name}: {value}")
    return found


def judge_of(config: MeasureStage, backends: Backends) -> SingleRater | None:
    """The judge of a suite that wants one. Raises ConfigError where it is no single rater."""
    if config.judge is None or not suite_of(config.suite).wants_judge(config.suite):
        return None
    panel = panel_of(config.judge, lab=None, role="evaluation", seed=config.items_seed, backends=backends)
    if panel is None or len(panel.members) != 1:
        raise ConfigError(f"judge.kind is {config.judge.kind}; suites want one rater that gives scores, an autorater")
    return panel.members[0]


def subject_of(backends: Backends, policy: Artifact | None, reward: Artifact | None, *, watch: Watch) -> Subject:
    """The policy, or the reward model, as a subject."""
    if policy is not None:
        return policy_subject(backends, policy.file("policy"), name=policy.name, watch=watch)
    assert reward is not None
    return reward_subject(backends, reward.file("reward"), name=reward.name, watch=watch)


def policy_subject(backends: Backends, folder: Path | str, *, name: str, watch: Watch) -> PolicySubject:
    """A policy's folder, loaded."""
    model = backends.policy(folder, trainable=False)
    writer, scorer = backends.writer(model, name=name), policy_scorer(model)
    return PolicySubject(name, writer, writer.renderer, scorer, model.max_length, TOKENS_PER_MICROBATCH, watch)


def reward_subject(backends: Backends, folder: Path | str, *, name: str, watch: Watch) -> RewardSubject:
    """A reward model's folder, loaded."""
    return RewardSubject(name, backends.scorer(folder, normalize=True), watch)


def suite_reports(
    after: Mapping[str, Artifact], before: Mapping[str, Artifact], config: Mapping[str, MeasureStage]
) -> dict[str, SuiteReport]:
    """What each suite found of the newer subject, beside the one before it."""
    found = {}
    for title, artifact in after.items():
        stage_config = config[title.removesuffix(OF_REWARD)]
        earlier = Found.read(before[title].folder) if title in before else None
        kinds = suite_of(stage_config.suite).measures(stage_config.suite)
        found[title] = report(Found.read(artifact.folder), kinds, before=earlier)
    return found
