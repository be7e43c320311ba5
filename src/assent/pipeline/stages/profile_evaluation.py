"""A profile against its parent, blind, each under its principles, judged by people of the audience not learned from.

What it writes is what a round's evaluation writes, so that the gate reads the inherited safety floor off it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.config import Config
from assent.core.errors import DataError
from assent.core.types import Completion, Prompt, Rater
from assent.data.heldout import FEWEST_PROMPTS
from assent.evaluation.config import EvaluateConfig
from assent.evaluation.report import EvaluationReport, Judge, Trainers
from assent.evaluation.suite import Asked
from assent.evaluation.suites.own import measure
from assent.evaluation.winrate import Pair, Verdict, blind_tasks, read_verdicts, win_rate, write_verdicts
from assent.feedback.config import StoreConfig
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.generation.writer import LocalWriter
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, machine
from assent.pipeline.config import ComputeConfig, LabData
from assent.pipeline.judges import judges_of, take_queue
from assent.pipeline.judging import judge, panel_of, quorum_of
from assent.pipeline.queueing import QueuePlan
from assent.pipeline.stages.evaluate import write_samples
from assent.pipeline.stages.profile_reward import RATERS
from assent.profiles.audience import members_of
from assent.profiles.holdout import is_held_out
from assent.profiles.principles import prompt_under
from assent.raters.config import RatersConfig

ANSWERS = "pairs.jsonl"


class ProfilePromptsStage(Config):
    """What a policy is told before each prompt."""

    principles: tuple[str, ...]
    """In their order."""


class ProfileEvaluationStage(Config):
    """What decides a profile's evaluation."""

    profile: str
    """Its name, which raters do not see."""
    principles: tuple[str, ...]
    """What its policy is told."""
    parents: tuple[str, ...]
    """What the parent's policy is told."""
    audience: dict[str, tuple[str, ...]]
    """Whose verdicts count."""
    evaluate: EvaluateConfig
    """Prompts, sampling, how many raters."""
    raters: RatersConfig
    """Who judges."""
    lab: LabData | None
    """The lab, whose truth can be read."""
    people_seed: int
    """Draws the simulated people."""
    model: ModelConfig
    """How policies are loaded."""
    store: StoreConfig = Field(json_schema_extra={"affects_result": False})
    """Where verdicts are given."""
    compute: ComputeConfig
    """Where it runs."""


@stage(name="profile prompts", version=1, kind="data")
def run_profile_prompts(ctx: StageContext, config: ProfilePromptsStage, *, prompts: Artifact) -> dict[str, Any]:
    """Write prompts.jsonl and eval.jsonl with the principles before each prompt."""
    counts = {}
    for name in ("prompts.jsonl", "eval.jsonl"):
        found = [prompt_under(one, config.principles) for one in read_records(prompts.file(name), Prompt)]
        counts[name.partition(".")[0]] = write_records(ctx.output / name, found)
    return counts


@stage(name="profile evaluation", version=1, kind="evaluation")
def run_profile_evaluation(
    ctx: StageContext,
    config: ProfileEvaluationStage,
    *,
    policy: Artifact,
    baseline: Artifact,
    prompts: Artifact,
    votes: Artifact | None = None,
) -> dict[str, Any]:
    """Write evaluation.json, samples.jsonl and verdicts.jsonl; `votes` are those learned from.

    Raises AwaitingJudgments where people have to judge.
    """
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        pairs = pairs_of(ctx, config, backends, policy, baseline, read_records(prompts.file("eval.jsonl"), Prompt))
        panel = panel_of(config.raters, lab=config.lab, role="evaluation", seed=config.people_seed, backends=backends)
        asked = Queue(f"profile {config.profile}, {policy.name} against {baseline.name}", "evaluation")
        judges = judges_of(config.raters, role="evaluation", seed=config.people_seed)
        queue, tasks = take_queue(config.store, asked, judges, blind_tasks(pairs, project=asked.project))
        many = config.evaluate.raters_per_pair
        said = judge(
            config.store,
            panel,
            tasks,
            queue,
            slots=many if panel is None else min(many, len(panel.members)),
            quorum=quorum_of(config.raters),
            plan=QueuePlan(f"Compare two answers ({config.profile})"),
            log=ctx.log,
        )
    everybody = read_verdicts(pairs, tasks, said)
    with Store.open(config.store.url) as store:
        members = members_of(store.raters(), config.audience)
        trained = store.trainers({one.rater_id for one in everybody})
    voted = set() if votes is None else {rater.id for rater in read_records(votes.file(RATERS), Rater)}
    verdicts = that_count(everybody, members, voted)
    left_out = len(everybody) - len(verdicts)
    ctx.log.say(f"{len(verdicts)} verdicts by people of the audience who were not learned from; {left_out} left out")
    compared = win_rate(verdicts) if len({one.prompt_id for one in verdicts}) > 1 else None
    seen = Asked([p.prompt for p in pairs], [p.baseline for p in pairs], [p.new for p in pairs], verdicts, compared, (),
                 config.lab is not None)  # fmt: skip
    report = EvaluationReport(
        judge=Judge.of(config.raters.kind, is_own=False),
        win_rate=compared,
        trainers=Trainers(raters=len(trained), verdicts=sum(one.rater_id in trained for one in verdicts)),
        suites=measure(seen),
    )
    report.write(ctx.output)
    write_samples(ctx.output, seen, report)
    write_verdicts(ctx.output, verdicts, are_people=config.raters.kind == "people")
    return {**report.facts(), "project": queue.project, "verdicts_left_out": left_out}


def that_count(verdicts: Sequence[Verdict], members: frozenset[str], voted: set[str]) -> list[Verdict]:
    """Verdicts of the audience's people whose votes were not learned from: who never voted, or is held out."""
    return [
        one
        for one in verdicts
        if one.rater_id in members and (one.rater_id not in voted or is_held_out("rater", one.rater_id))
    ]


def pairs_of(
    ctx: StageContext,
    config: ProfileEvaluationStage,
    backends: Backends,
    policy: Artifact,
    baseline: Artifact,
    prompts: Sequence[Prompt],
) -> list[Pair]:
    """One answer of each to each prompt; kept while people judge them. Raises DataError where too few prompts fit."""
    kept = ctx.scratch / ANSWERS
    sides = ((baseline, config.parents), (policy, config.principles))
    if not kept.exists():
        writers = [backends.writer(backends.policy(a.file("policy"), trainable=False), name=a.name) for a, _ in sides]
        room = config.evaluate.sampling.max_new_tokens
        fitting = [
            one
            for one in prompts
            if all(w.room(prompt_under(one, told)) >= room for w, (_, told) in zip(writers, sides, strict=True))
        ][: config.evaluate.prompts]
        if len(fitting) < FEWEST_PROMPTS:
            raise DataError(
                f"{len(fitting)} evaluation prompts leave room for an answer under the principles, and"
                f" {FEWEST_PROMPTS} are wanted; shorten the principles, or lower evaluate.sampling.max_new_tokens"
            )
        found = [
            answers(ctx, writer, fitting, told, config.evaluate, side=side)
            for side, writer, (_, told) in zip(("parent", config.profile), writers, sides, strict=True)
        ]
        write_records(kept, [one for both in zip(*found, strict=True) for one in both])
    by_id = {one.id: one for one in prompts}
    said = read_records(kept, Completion)
    return [Pair(by_id[old.prompt_id], new, old) for old, new in zip(said[::2], said[1::2], strict=True)]


def answers(
    ctx: StageContext,
    writer: LocalWriter,
    prompts: Sequence[Prompt],
    told: Sequence[str],
    config: EvaluateConfig,
    *,
    side: str,
) -> list[Completion]:
    """One answer of a policy to each prompt, under its principles; `side` tells apart what one policy says to both."""
    seed = seeds.derive(ctx.seed, "answers", side)
    with ctx.log.progress(f"answers of {writer.name}", len(prompts)) as bar:
        rows = writer.write(
            [prompt_under(one, told) for one in prompts],
            num_samples=1,
            sampling=config.sampling,
            seed=seed,
            on_progress=bar.advance,
        )
    return [
        row[0].completion(prompt, source=f"{side}: {writer.name}") for prompt, row in zip(prompts, rows, strict=True)
    ]
