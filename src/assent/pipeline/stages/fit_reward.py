"""Fit reward: a reward model from all judgments so far, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assent.artifacts.jsonl import read_records
from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core import files, seeds
from assent.core.config import Config
from assent.core.group import Group
from assent.core.hashing import hash_json
from assent.core.types import Comparison, Rater
from assent.data.fit import Policy, fit
from assent.data.render import Renderer
from assent.data.splits import split
from assent.data.talks import Fitted, fit_comparisons, row_limit
from assent.evaluation.outcomes import Found
from assent.evaluation.rater_report import rater_report
from assent.evaluation.relevance import borrowed_answers, relevance
from assent.evaluation.reward_report import reward_outcomes, reward_report
from assent.learner.checkpoint import Cadence
from assent.learner.scorer import score_groups
from assent.models.config import ModelConfig
from assent.models.scalar import ScalarModel
from assent.pipeline.backends import Backends, machine, save_reward
from assent.pipeline.config import ComputeConfig, RunConfig
from assent.pipeline.learners import row_scorer, state_scorer, train_reward_model
from assent.pipeline.waste import told
from assent.stats.estimate import Estimate
from assent.training.config import RewardConfig
from assent.training.loop import Loop
from assent.training.reward import taste_scores
from assent.training.targets import MARGINS, Target, target_of

HELD_OUT_SEED = 0
"""The same prompts are held out in every round and run, so that accuracies can be compared."""


class RewardStage(Config):
    """What decides the reward model."""

    reward: RewardConfig
    """How it is trained."""
    model: ModelConfig
    """How models are loaded."""
    compute: ComputeConfig
    """Where it runs."""

    @classmethod
    def of(cls, config: RunConfig, reward: RewardConfig) -> RewardStage:
        """As the run says."""
        return cls(reward=reward, model=config.model, compute=config.compute)

    def revised(self) -> dict[str, str]:
        """What enters the key beside the stage's version, which would make reward models anew that did not change."""
        learns_ties = self.reward.raters.kind == "none" and self.reward.ties in ("davidson", "rao_kupper")
        return {"tie strength": "fitted apart"} if learns_ties else {}


@stage(name="fit reward", version=2, kind="reward")
def run_fit_reward(ctx: StageContext, config: RewardStage, *, start: Artifact, judgments: Artifact) -> dict[str, Any]:
    """Write reward/ (a plain sequence-classification model), report.json, and each held-out pair as an outcome."""
    backends = Backends(config.model, config.compute)
    comparisons = read_records(judgments.file("comparisons.jsonl"), Comparison)
    share = config.reward.eval_share
    shares = {"train": 1 - share, "held out": share}
    sides = split(comparisons, shares, seed=HELD_OUT_SEED, part_of=lambda c: str(c.meta.get("source", "")))
    budget = config.reward.optimizer.tokens_per_microbatch
    with machine(config.compute):
        model = backends.new_reward_model(start.file("policy"), seed=seeds.derive(ctx.seed, "head"))
        renderer = backends.renderer(model)
        limit = row_limit(config.reward.max_length, model.max_length)
        margins = MARGINS[config.reward.margins]
        learn, test = (
            ranked_groups(part, renderer, limit=limit, too_long=config.reward.too_long, margins=margins)
            for part in (sides["train"], sides["held out"])
        )
        for part, what in ((learn, "comparisons"), (test, "comparisons that are held out")):
            for line in part.fitted.lines(what, max_length=limit):
                ctx.log.say(line)
        loop = Loop(ctx.scratch / "checkpoints", ctx.log, ctx.seed, Cadence(config.compute.checkpoint_seconds))
        trained = train_reward_model(
            model, learn.groups, learn.targets, config.reward, loop, attributes=attributes_of(judgments)
        )
        scores = score_groups(row_scorer(model), test.groups, budget=budget)
        relevant = relevance_of(model, renderer, test.comparisons, limit=limit, budget=budget)
        raters = None
        if trained.raters is not None:
            tastes = taste_scores(state_scorer(model), test.groups, trained.raters.offsets, budget=budget)
            raters = rater_report(trained.raters, test.comparisons, scores, tastes.numpy())
        if limit < model.max_length:
            model.trained_length = limit
        save_reward(model, ctx.output, start=start)
        waste = told(ctx.log, model)
    report = reward_report(test.comparisons, scores).model_copy(update={"raters": raters, "relevance": relevant})
    alarms = [] if raters is None else list(raters.alarms)
    for alarm in alarms:
        ctx.log.say(f"raters: {alarm}")
    files.write_json(ctx.output / "report.json", report.model_dump(mode="json"))
    outcomes = reward_outcomes(test.comparisons, scores)
    source = hash_json([[one.item, one.cluster] for one in outcomes])
    Found(suite="reward", subject=ctx.key, source=source, kind="reward", outcomes=tuple(outcomes)).write(ctx.output)
    return {
        "comparisons": len(learn.groups),
        "held_out": len(test.groups),
        **{name: count + test.fitted.facts()[name] for name, count in learn.fitted.facts().items()},
        **trained.facts(),
        **waste,
        "heldout_accuracy": plain(report.accuracy),
        "rater_agreement": plain(report.rater_agreement),
        "ceiling": plain(report.ceiling),
        "longer_wins": plain(report.longer_wins),
        "relevance": plain(relevant),
        "ece": report.ece,
        "alarms": alarms,
    }


def relevance_of(
    model: ScalarModel, renderer: Renderer, comparisons: Sequence[Comparison], *, limit: int, budget: int
) -> Estimate | None:
    """How often a prompt's best answer scores above that of another prompt; prompts that would not fit are left out."""
    probes = borrowed_answers(comparisons)
    groups = [renderer.group(p.prompt, [p.own.text, p.other.text], [p.own.finished, p.other.finished]) for p in probes]
    kept = fit(groups, max_length=limit, policy="drop")
    scores = score_groups(row_scorer(model), list(kept.items), budget=budget)
    return relevance([probes[i] for i in kept.kept], scores[::2], scores[1::2])


def attributes_of(judgments: Artifact) -> dict[str, dict[str, str]]:
    """What raters have told about themselves, by rater."""
    return {rater.id: rater.attributes for rater in read_records(judgments.file("raters.jsonl"), Rater)}


def plain(estimate: Estimate | None) -> dict[str, float] | None:
    """An estimate as JSON."""
    return None if estimate is None else estimate.model_dump()


@dataclass(frozen=True)
class RankedGroups:
    """Comparisons that say something and fit, as token groups with their targets."""

    comparisons: list[Comparison]
    groups: list[Group]
    targets: list[Target]
    fitted: Fitted


def ranked_groups(
    comparisons: Sequence[Comparison],
    renderer: Renderer,
    *,
    limit: int,
    too_long: Policy,
    margins: Sequence[float] | None = None,
) -> RankedGroups:
    """Render each comparison as one group: its prompt once, all its answers."""
    targets = [(c, target_of(c, margins=margins)) for c in comparisons]
    found = [(comparison, target) for comparison, target in targets if target is not None]
    asked = [(c.prompt, [a.text for a in c.completions], [a.finished for a in c.completions]) for c, _ in found]
    fitted = fit_comparisons(asked, renderer, max_length=limit, policy=too_long)
    kept = [found[i] for i in fitted.checked("comparisons", max_length=limit).kept]
    return RankedGroups([c for c, _ in kept], list(fitted.flat), [t for _, t in kept], fitted)
