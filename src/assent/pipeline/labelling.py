"""What judgments say to a method that learns from them: soft labels, weights by raters, good and bad answers."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from assent.algorithms.rater_likelihood import RaterTerms, Votes
from assent.algorithms.soft_labels import SoftPairs, rater_labels, share_labels
from assent.artifacts.jsonl import Records
from assent.artifacts.store import Artifact
from assent.core.errors import DataError
from assent.core.lazy import Chained, Mapped, pick
from assent.core.types import Comparison, Marked
from assent.data.render import Renderer
from assent.data.talks import Fitted, fit_comparisons
from assent.evaluation.rater_report import RaterReport
from assent.pipeline.imported import MARKS
from assent.training.kto import Said
from assent.training.labels import Labels, labels_of
from assent.training.preference_config import DPOConfig, KTOConfig
from assent.training.targets import Target, softened


@dataclass(frozen=True, eq=False)
class KnownRaters:
    """The raters as the joint fit of a reward model left them."""

    names: tuple[str, ...]
    terms: RaterTerms
    """Of each, and at last of somebody of whom nothing is known: as the pool is on average."""
    spread: float
    """Prior deviation of the gap of two answers, in logits: that of the reward model's scores, times √2."""

    @classmethod
    def of(cls, reward: Artifact | None) -> KnownRaters | None:
        """Of a reward model; None where there is none, or its raters were not fitted."""
        if reward is None:
            return None
        found = json.loads(reward.file("report.json").read_text(encoding="utf-8")).get("raters")
        if found is None:
            return None
        lines = RaterReport.model_validate(found).raters
        values = torch.tensor([[one.sharpness.estimate, one.position, one.length, *one.cuts] for one in lines])
        anyone = values.mean(0)
        anyone[0] = 1.0
        known = torch.cat([values, anyone[None]])
        nobody = torch.full((len(known),), -1)
        terms = RaterTerms(known[:, 0], known[:, 1], known[:, 2], known[:, 3:], nobody, torch.zeros(0, 0))
        spread = math.sqrt(2) * float(reward.notes["score_std"])
        return cls(tuple(one.rater for one in lines), terms, spread)

    def labels(self, votes: Votes, raters: Sequence[str]) -> SoftPairs:
        """Soft labels of the votes on a group; `raters` are named by the votes' numbers."""
        number = {name: i for i, name in enumerate(self.names)}
        place = torch.tensor([number.get(name, len(self.names)) for name in raters])
        return rater_labels(replace(votes, rater=place[votes.rater]), self.terms, spread=self.spread)

    def weights(self) -> dict[str, float]:
        """How much each rater's word weighs: their sharpness, not below 0."""
        sharpness = self.terms.sharpness[:-1].clamp(min=0).tolist()
        return dict(zip(self.names, sharpness, strict=True))


@dataclass(frozen=True)
class Relabelled:
    """Targets as a method's settings want them, and what was used for that, in words and counted."""

    targets: Sequence[Target]
    line: str | None
    facts: dict[str, Any]


def relabelled(targets: Sequence[Target], config: DPOConfig, reward: Artifact | None) -> Relabelled:
    """Hard labels as they are, soft ones, or judgments weighed by their raters.

    Raises DataError where weights want a rater model and the reward model was fitted without one, and where judgments
    weigh differently in whole orders, which hold no weights.
    """
    if config.ranking == "plackett_luce" and any(t.is_weighted for t in targets):
        raise DataError(
            "judgments of AI raters weigh otherwise than people's, and optimize.ranking plackett_luce reads whole"
            " orders; set optimize.ranking: pairs, or the weight of AI labels to 1"
        )
    if config.labels == "hard" and config.weights == "alike":
        return Relabelled(targets, None, {})
    known = KnownRaters.of(reward)
    if config.weights == "raters":
        if known is None:
            raise DataError(
                "optimize.weights is raters, and the reward model was fitted with all raters alike; set"
                " reward.raters.kind: joint, or optimize.weights: alike"
            )
        weights = known.weights()
        silent = sum(weight == 0 for weight in weights.values())
        line = f"judgments weigh by the sharpness of their rater in the rater model; those of {silent} raters nothing"
        by_raters = Mapped(lambda target: target.weighted(weights), targets)
        return Relabelled(by_raters, line, {"raters_without_weight": silent})
    if known is None:
        soft = Mapped(lambda target: softened(target, partial(share_labels, prior=config.vote_prior)), targets)
        source, used = "shares", f"shares of votes, with {config.vote_prior:g} more each way (there is no rater model)"
    else:
        soft = Mapped(lambda target: softened(target, partial(known.labels, raters=target.raters)), targets)
        source, used = "rater model", f"the rater model, with a gap of {known.spread:.2f} logits as its prior deviation"
    chances = torch.tensor(array("f", (value for t in soft if t.chance is not None for value in t.chance.tolist())))
    judged = sum(len(t.pairs.better) for t in targets)
    line = (
        f"soft labels by {used}: {len(chances)} pairs from {judged} votes, chance of the better answer"
        f" {chances.mean().item():.3f} on average"
    )
    facts = {"labels_from": source, "soft_pairs": len(chances), "mean_chance": round(chances.mean().item(), 4)}
    return Relabelled(soft, line, facts)


@dataclass(frozen=True)
class LabelledGroups:
    """Labelled answers that fit, as token groups."""

    said: Said
    labels: Labels
    fitted: Fitted


def judged(judgments: Artifact) -> Sequence[Comparison | Marked]:
    """Every task with all that was said of its answers."""
    return Chained[Comparison | Marked](
        Records(judgments.file("comparisons.jsonl"), Comparison), Records(judgments.file(MARKS), Marked)
    )


def labelled_groups(
    judged: Sequence[Comparison | Marked],
    renderer: Renderer,
    config: KTOConfig,
    *,
    limit: int,
    weight: Mapping[str, float] | None,
) -> LabelledGroups:
    """Every answer of which any judgment says that it is good or bad. Raises DataError where there is none.

    `weight` is that of raters; see `labels_of`.
    """
    labels = labels_of(judged, middle=config.score_middle, weight=weight)
    if not len(labels.labelled):
        raise DataError(
            "kto needs answers that are called good or bad by a ranking, a score or a flag, and there is none in"
            f" {len(judged)} judged tasks"
        )
    asked = (
        (one.prompt, [c.text for c in one.completions], [c.finished for c in one.completions])
        for one in labels.labelled
    )
    fitted = fit_comparisons(asked, renderer, max_length=limit, policy=config.too_long)
    kept = np.array(fitted.checked("labelled tasks", max_length=limit).kept, dtype=np.int64)
    said = (fitted.flat, pick(labels.says, kept), pick(labels.says.weights, kept))
    return LabelledGroups(said, labels, fitted)
