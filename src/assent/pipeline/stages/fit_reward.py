"""Fit reward: a reward model from all judgments so far, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from assent.artifacts.jsonl import Records, read_records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core import files, seeds
from assent.core.group_store import GroupStore
from assent.core.hashing import hash_json
from assent.core.lazy import Chained, Mapped, Picked
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Rater
from assent.data.fit import fit
from assent.data.splits import HELD_OUT_SEED, split
from assent.data.talks import row_limit
from assent.evaluation.criterion_report import CriterionReport, criterion_report
from assent.evaluation.inheritance import Debias, Inheritance
from assent.evaluation.outcomes import Found, Outcome
from assent.evaluation.rater_report import rater_report
from assent.evaluation.relevance import borrowed_answers, relevance
from assent.evaluation.reward_report import RewardReport, reward_outcomes, reward_report
from assent.models.groups import Packed
from assent.models.scalar import ScalarModel
from assent.pipeline.ai_labels import by_people, weighed, weights_in
from assent.pipeline.backends import Backends, machine, save_reward
from assent.pipeline.guarding import Parted, part
from assent.pipeline.leaning import Leaning, copies_of, weights_of
from assent.pipeline.learners import all_heads, scored_with_bar, state_scorer, train_reward_model
from assent.pipeline.on_the_way import hand_over, keep, loop_of
from assent.pipeline.ranked import RankedGroups, Reading
from assent.pipeline.stages.settings import RewardStage
from assent.pipeline.waste import told
from assent.stats.estimate import Estimate
from assent.training.criterion_fit import CriterionScale, scales_of, table
from assent.training.loop import Loop
from assent.training.members import Members
from assent.training.reward import Trained, taste_scores
from assent.training.targets import MARGINS, Target


def run_fit_reward(ctx: StageContext, config: RewardStage, *, start: Artifact, judgments: Artifact) -> dict[str, Any]:
    """Write reward/ (a plain sequence-classification model), report.json, and each held-out pair as an outcome."""
    backends, wanted = Backends(config.model, config.compute), config.reward
    (sides, parted), labels = sides_of(judgments, config), weights_in(judgments)
    if labels:
        sides["held out"] = by_people(sides["held out"])
    attributes = attributes_of(judgments)
    copies = copies_of(sides["train"], sides["held out"], wanted, seed=seeds.derive(ctx.seed, "augment"))
    with machine(config.compute):
        head_seed = seeds.derive(ctx.seed, "head")
        model = backends.new_reward_model(start.file("policy"), seed=head_seed, criteria=wanted.criteria)
        limit = row_limit(wanted.max_length, model.max_length)
        budget = wanted.optimizer.tokens_per_microbatch
        reading = Reading(backends.renderer(model), limit, wanted.too_long, MARGINS[wanted.margins], budget)
        own = sides["train"] if copies is None else Chained(sides["train"], copies.comparisons)
        learn, test = reading.of(own), reading.of(sides["held out"])
        scales = scales_of(sides["train"], wanted.criteria)
        model.criteria = [scale.criterion for scale in scales]
        weights = weights_of(learn.comparisons, attributes, wanted)
        said = [] if parted is None else parted.lines()
        said += [line for one in (copies, weights) if one is not None for line in one.lines()]
        for part, what in ((learn, "comparisons"), (test, "comparisons that are held out")):
            said += part.fitted.lines(what, max_length=limit)
        for line in [*(scale.line() for scale in scales), *said]:
            ctx.log.say(line)
        loop = loop_of(ctx, config.compute)
        keep(loop, ctx, wanted.keep, model, start)
        weight = weighed(labels, None if weights is None else weights.weight)
        leaning = Leaning(model, learn, test, reading, wanted, attributes, weight)
        seed = seeds.derive(ctx.seed, "augment")
        trained, debias, inherited = trained_and_mended(leaning, scored(learn, scales), loop, seed=seed)
        report, outcomes = measured(model, test, reading, trained, ctx.log)
        if limit < model.max_length:
            model.trained_length = limit
        save_reward(model, ctx.output, start=start)
        way = {**hand_over(loop, ctx), **told(ctx.log, model)}
    report = report.model_copy(update={"debias": debias, "inheritance": inherited})
    alarms = [*(() if report.raters is None else report.raters.alarms), *inherited.alarms]
    for alarm in alarms:
        ctx.log.say(f"raters: {alarm}")
    files.write_json(ctx.output / "report.json", report.model_dump(mode="json"))
    source = hash_json([[one.item, one.cluster] for one in outcomes])
    Found(suite="reward", subject=ctx.key, source=source, kind="reward", outcomes=tuple(outcomes)).write(ctx.output)
    return {
        "comparisons": len(learn.groups),
        "held_out": len(test.groups),
        **{name: count + test.fitted.facts()[name] for name, count in learn.fitted.facts().items()},
        **({} if parted is None else {"used_by_neither": parted.unused}),
        **({} if copies is None else copies.facts()),
        **({} if weights is None else weights.facts()),
        **trained.facts(),
        **way,
        **trust(report),
        "alarms": alarms,
    }


def trained_and_mended(
    leaning: Leaning, targets: Sequence[Target], loop: Loop, *, seed: int
) -> tuple[Trained, Debias | None, Inheritance]:
    """Train the model, take out of its head what is asked for, and tell where leans come from, by its final states."""
    model, learn, test = leaning.model, leaning.learn, leaning.test
    looked_at = leaning.looked_at(loop.log, seed=seed)
    trained = train_reward_model(
        model,
        learn.groups,
        targets,
        leaning.config,
        loop,
        attributes=leaning.attributes,
        weight=leaning.weight,
        held_out=Members(test.groups, test.targets),
        asked=looked_at,
    )
    last = trained.held_out
    found = leaning.mended(loop.log, seed=seed, own=looked_at, known=trained.settled, held_out=last)
    trained = trained._replace(score_mean=model.score_mean, score_std=model.score_std, held_out=found.held_out)
    return trained, found.debias, found.inherited


def trust(report: RewardReport) -> dict[str, Any]:
    """How far the model can be trusted, as facts of its artifact."""
    by_criterion = {name: plain(one.accuracy) for name, one in report.criteria.items()}
    return {
        "heldout_accuracy": plain(report.accuracy),
        "rater_agreement": plain(report.rater_agreement),
        "ceiling": plain(report.ceiling),
        "longer_wins": plain(report.longer_wins),
        "relevance": plain(report.relevance),
        "ece": report.ece,
        **({"criteria": by_criterion} if by_criterion else {}),
    }


def scored(learn: RankedGroups, scales: Sequence[CriterionScale]) -> Sequence[Target]:
    """The targets with what raters scored by criteria, where the model has heads for some."""
    if not scales:
        return learn.targets

    def with_scores(comparison: Comparison, target: Target) -> Target:
        return replace(target, scores=table(comparison, scales))

    return Mapped(with_scores, learn.comparisons, learn.targets)


def sides_of(judgments: Artifact, config: RewardStage) -> tuple[dict[str, Sequence[Comparison]], Parted | None]:
    """Comparisons to learn from and those that are held out, by prompt; of the part of the judgments that is wanted."""
    comparisons: Sequence[Comparison] = Records(judgments.file("comparisons.jsonl"), Comparison)
    parted = None
    if config.part != "all":
        parted = part(comparisons, config.gold_share)
        comparisons = parted.gold if config.part == "gold" else parted.train
    shares = {"train": 1 - config.reward.eval_share, "held out": config.reward.eval_share}
    sides = split(comparisons, shares, seed=HELD_OUT_SEED, part_of=lambda c: str(c.meta.get("source", "")))
    return sides, parted


def measured(
    model: ScalarModel, test: RankedGroups, reading: Reading, trained: Trained, log: RunLog
) -> tuple[RewardReport, list[Outcome]]:
    """How far the model can be trusted, on what it never saw, and every pair of that."""
    scores = trained.held_out
    if scores is None:
        scores = scored_with_bar(model, test.groups, reading.budget, log, "held-out answers")
    relevant = relevance_of(model, reading, test.comparisons, log)
    raters = None
    if trained.raters is not None:
        tastes = taste_scores(state_scorer(model), test.groups, trained.raters.offsets, budget=reading.budget)
        raters = rater_report(trained.raters, test.comparisons, scores, tastes.numpy())
    found = {"raters": raters, "relevance": relevant, "criteria": criteria_of(model, test, reading)}
    report = reward_report(test.comparisons, scores).model_copy(update=found)
    return report, reward_outcomes(test.comparisons, scores)


def criteria_of(model: ScalarModel, test: RankedGroups, reading: Reading) -> dict[str, CriterionReport]:
    """How far each criterion's head can be trusted, on what it never saw."""
    if not model.criteria:
        return {}
    found = torch.zeros(sum(len(group.continuations) for group in test.groups), len(model.criteria))
    for batch in Packed(test.groups, budget=reading.budget):
        [(_, _, said)] = all_heads(model).score([batch])
        found[list(batch.rows)] = said.cpu()
    return {
        one.name: criterion_report(test.comparisons, one.name, found[:, n].tolist())
        for n, one in enumerate(model.criteria)
    }


def relevance_of(
    model: ScalarModel, reading: Reading, comparisons: Sequence[Comparison], log: RunLog
) -> Estimate | None:
    """How often a prompt's best answer scores above that of another prompt; prompts that would not fit are left out."""
    probes = borrowed_answers(comparisons)
    both = ((p.prompt, [p.own.text, p.other.text], [p.own.finished, p.other.finished]) for p in probes)
    kept: list[int] = []
    groups = GroupStore()
    for place, asked in enumerate(both):
        for group in fit([reading.renderer.group(*asked)], max_length=reading.limit, policy="drop").items:
            kept.append(place)
            groups.append(group)
    scores = scored_with_bar(model, groups, reading.budget, log, "held-out answers under other prompts")
    return relevance(Picked(probes, np.array(kept, dtype=np.int64)), scores[::2], scores[1::2])


def attributes_of(judgments: Artifact) -> dict[str, dict[str, str]]:
    """What raters have told about themselves, by rater."""
    return {rater.id: rater.attributes for rater in read_records(judgments.file("raters.jsonl"), Rater)}


def plain(estimate: Estimate | None) -> dict[str, float] | None:
    """An estimate as JSON."""
    return None if estimate is None else estimate.model_dump()
